import os
from pathlib import Path

import pytest

from streamproc.errors import UsageError
from streamproc.kafka.slot import claim_slot
from streamproc.settings import KafkaSettings, LocalSettings, Settings

IN_KUBERNETES = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(local=LocalSettings(state_dir=tmp_path))


def with_slot(settings: Settings, slot: int) -> Settings:
    return settings.model_copy(update={"kafka": KafkaSettings(slot=slot)})


def test_the_setting_goes_first(settings: Settings) -> None:
    assert claim_slot(with_slot(settings, 7), "worker-3", IN_KUBERNETES).number == 7


def test_a_statefulset_has_its_ordinal(settings: Settings) -> None:
    assert claim_slot(settings, "streamproc-worker-12", IN_KUBERNETES).number == 12


@pytest.mark.parametrize(
    ("hostname", "environ"), [("ip-10-0-0-7", {}), ("worker-5d4f9c-x7k2p", IN_KUBERNETES), ("-3", IN_KUBERNETES)]
)
def test_a_name_that_is_no_ordinal_takes_the_lowest_free_lock(
    settings: Settings, hostname: str, environ: dict[str, str]
) -> None:
    first = claim_slot(settings, hostname, environ)
    second = claim_slot(settings, hostname, environ)
    assert (first.number, second.number) == (0, 1)
    first.release()
    assert claim_slot(settings, hostname, environ).number == 0
    second.release()


def test_a_dead_holder_frees_its_lock(settings: Settings) -> None:
    child = os.fork()
    if child == 0:
        os._exit(claim_slot(settings, "host", {}).number)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert claim_slot(settings, "host", {}).number == 0


def test_pipelines_with_other_prefixes_do_not_share_slots(settings: Settings) -> None:
    other = settings.model_copy(update={"kafka": KafkaSettings(transactional_prefix="../x")})
    assert [claim_slot(each, "host", {}).number for each in (settings, other)] == [0, 0]
    assert {path.parent for path in settings.local.state_dir.rglob("*.lock")} == {settings.local.state_dir / "slots"}


def test_a_folder_that_cannot_be_written_is_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="STREAMPROC_KAFKA__SLOT"):
        claim_slot(Settings(local=LocalSettings(state_dir=tmp_path / "file")), "host", {})
