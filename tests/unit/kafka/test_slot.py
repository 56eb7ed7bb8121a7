import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from streamproc.errors import UsageError
from streamproc.kafka.slot import Slot, claim_slot
from streamproc.settings import KafkaSettings, Settings

Claim = Callable[[Settings, str, Mapping[str, str]], int]
IN_KUBERNETES = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}


HOLDER = """
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from streamproc.kafka.slot import Slot, claim_slot
from streamproc.settings import Settings

print(claim_slot(Settings(), "host", {}, Path(sys.argv[1])).number, end="", flush=True)
os._exit(0)
"""
"""Ends without letting go of its slot, as a process that is killed does."""


@pytest.fixture
def settings() -> Settings:
    return Settings()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "slots"


@pytest.fixture
def claim(folder: Path) -> Iterator[Claim]:
    """Claims slots, and lets go of them when the test is over."""
    held: list[Slot] = []

    def claim(settings: Settings, hostname: str, environ: Mapping[str, str]) -> int:
        held.append(claim_slot(settings, hostname, environ, folder))
        return held[-1].number

    yield claim
    for slot in held:
        slot.release()


def with_slot(settings: Settings, slot: int) -> Settings:
    return settings.model_copy(update={"kafka": KafkaSettings(slot=slot)})


def test_the_setting_goes_first(settings: Settings, claim: Claim) -> None:
    assert claim(with_slot(settings, 7), "worker-3", IN_KUBERNETES) == 7


def test_a_statefulset_has_its_ordinal(settings: Settings, claim: Claim) -> None:
    assert claim(settings, "streamproc-worker-12", IN_KUBERNETES) == 12


@pytest.mark.parametrize(
    ("hostname", "environ"), [("ip-10-0-0-7", {}), ("worker-5d4f9c-x7k2p", IN_KUBERNETES), ("-3", IN_KUBERNETES)]
)
def test_a_name_that_is_no_ordinal_takes_the_lowest_free_lock(
    settings: Settings, folder: Path, claim: Claim, hostname: str, environ: dict[str, str]
) -> None:
    first = claim_slot(settings, hostname, environ, folder)
    assert (first.number, claim(settings, hostname, environ)) == (0, 1)
    first.release()
    assert claim(settings, hostname, environ) == 0


def test_a_dead_holder_frees_its_lock(settings: Settings, folder: Path, claim: Claim) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HOLDER, str(folder)], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout == "0"
    assert claim(settings, "host", {}) == 0


def test_pipelines_with_other_prefixes_do_not_share_slots(settings: Settings, folder: Path, claim: Claim) -> None:
    other = settings.model_copy(update={"kafka": KafkaSettings(transactional_prefix="../x")})
    assert [claim(each, "host", {}) for each in (settings, other)] == [0, 0]
    assert {path.parent for path in folder.parent.rglob("*.lock")} == {folder}


def test_the_same_prefix_on_another_cluster_shares_no_slots(settings: Settings, claim: Claim) -> None:
    other = settings.model_copy(update={"kafka": KafkaSettings(bootstrap_servers="elsewhere:9092")})
    assert [claim(each, "host", {}) for each in (settings, other)] == [0, 0]


def test_a_folder_that_cannot_be_written_is_wrong_use(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="STREAMPROC_KAFKA__SLOT"):
        claim_slot(settings, "host", {}, tmp_path / "file" / "slots")


def test_a_folder_behind_a_link_is_not_trusted(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(UsageError, match="somebody else's"):
        claim_slot(settings, "host", {}, tmp_path / "link")
