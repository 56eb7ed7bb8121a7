"""What every analyzer does: the emotion network, FunASR, and the example of docs/analyzers.md."""

import importlib
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest
import torch

from streamproc.analyzer import Analyzer
from streamproc.arena import Arena
from streamproc.emotion.device import DeviceProcess
from streamproc.emotion.directory import find_directory
from streamproc.emotion.funasr_model import load_funasr
from streamproc.emotion.model import load_model
from streamproc.settings import ModelSettings
from streamproc.testing.analyzer import CHECKS, Check, Subject, has_a_fingerprint_of_its_numbers
from tests.contract.test_device import process, sound

PAGE = Path(__file__).parents[2] / "docs" / "analyzers.md"
DEMO = find_directory("demo", Path("/nowhere"))
EXAMPLE, ITS_TEST = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
FP32, FP32_EMBEDDING = 5e-6, 1e-5
"""What company may change of a score, and of a number of an embedding (docs/engine.md)."""


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Other work shares the cores; waiting at barriers for a descheduled thread costs more than it gives."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the page's files lie, on the path of modules."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "energy.py").write_text(EXAMPLE, "utf-8")
    (folder / "page_test_energy.py").write_text(ITS_TEST, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder
    for name in ("energy", "page_test_energy"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def energy(folder: Path) -> ModuleType:
    assert folder.is_dir()
    return importlib.import_module("energy")


@pytest.fixture(scope="module")
def altered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model with another bias."""
    directory = tmp_path_factory.mktemp("altered") / "demo"
    shutil.copytree(DEMO, directory)
    weights = torch.load(directory / "model.pt", weights_only=True)
    weights["model"]["proj.bias"] += torch.linspace(-1, 1, 9)
    torch.save(weights, directory / "model.pt")
    return directory


@pytest.fixture(scope="module")
def subjects(altered: Path, energy: ModuleType) -> dict[str, Subject]:
    def emotion(load: Callable[[Path], Analyzer], *bounds: float) -> Subject:
        return Subject(lambda: load(DEMO), lambda: load(altered), *bounds)

    return {
        "emotion": emotion(lambda directory: load_model(directory, device="cpu"), FP32, FP32_EMBEDDING),
        "funasr": emotion(lambda directory: load_funasr(directory, "cpu", "fp32")),
        "energy": Subject(lambda: energy.Energy(-30.0), lambda: energy.Energy(-40.0)),
    }


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", ["emotion", "funasr", "energy"])
def test_it_keeps_the_contract(subjects: dict[str, Subject], name: str, check: Check) -> None:
    check(subjects[name])


def test_the_example_is_as_short_as_it_is_said_to_be() -> None:
    lines = [line for line in EXAMPLE.splitlines() if line.strip()]
    assert len(lines) <= 30


def test_the_test_of_the_page_runs_and_can_fail(
    folder: Path, energy: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert folder.is_dir()
    page_test = importlib.import_module("page_test_energy")
    for check in CHECKS:
        page_test.test_energy_is_an_analyzer(check)
    unaltered = Subject(make=lambda: energy.Energy(-30.0), altered=lambda: energy.Energy(-30.0))
    monkeypatch.setattr(page_test, "SUBJECT", unaltered)
    with pytest.raises(AssertionError, match="has the same fingerprint"):
        page_test.test_energy_is_an_analyzer(has_a_fingerprint_of_its_numbers)


def test_the_page_names_each_check() -> None:
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert [row for row in rows if row not in {"identity", "profile"}] == [check.__name__ for check in CHECKS]


def test_the_example_runs_in_a_device_process(
    folder: Path, energy: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=":")
    waves = [sound(1), sound(2, 7000), sound(3, 400)]
    with closing(Arena(8)) as arena:
        for bench in process(arena, "energy:make"):
            bench.take_until(len)
            found = bench.values(*waves)
            assert isinstance(bench.device, DeviceProcess)
            loaded = Path(f"/proc/{bench.device.pid}/maps").read_text("utf-8")
    assert found == energy.Energy(-30.0).run(waves)
    assert "libtorch" not in loaded, "an analyzer that needs no torch has none in its process"


def test_the_engine_of_the_page_is_a_setting() -> None:
    assert ModelSettings(engine="energy:make").engine == "energy:make"
    for wrong in ("energy", "energy:", ":make", "energy:make()", "os:system:x", "Streamproc", "funasr\n"):
        with pytest.raises(ValueError, match="engine"):
            ModelSettings(engine=wrong)
