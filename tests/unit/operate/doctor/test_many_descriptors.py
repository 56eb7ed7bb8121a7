"""A process that has more descriptors open than ``select`` can count may ask the doctor, too."""

import os
import resource
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from streamproc.emotion.directory import find_directory
from streamproc.operate.doctor import device, sandbox
from streamproc.operate.doctor.check import Check
from streamproc.operate.doctor.finding import Verdict
from streamproc.settings import Settings
from tests.programs import missing

MOST_OF_SELECT = 1024


@pytest.fixture
def _many() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_OF_SELECT + 512
    if hard != resource.RLIM_INFINITY and hard < wanted:
        missing(f"this user may open {hard} files")
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
        last = 0
        while last < MOST_OF_SELECT:
            last = os.open(os.devnull, os.O_RDONLY)
            stack.callback(os.close, last)
        yield


def checks(folder: Path) -> list[Check]:
    model = Settings().model.model_copy(update={"device": "cpu", "name_or_dir": str(find_directory("demo", folder))})
    return [sandbox.check(Settings()), device.check(device.Warm(model, folder))]


@pytest.mark.usefixtures("_many")
@pytest.mark.parametrize("number", [0, 1])
def test_children_are_waited_for(number: int, tmp_path: Path) -> None:
    found = checks(tmp_path)[number].look()
    assert found.verdict in {Verdict.WELL, Verdict.DOUBTFUL}
