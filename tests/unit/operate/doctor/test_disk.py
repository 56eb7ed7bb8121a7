from pathlib import Path

import pytest

from streamproc.operate.doctor import disk
from streamproc.operate.doctor.finding import Verdict
from streamproc.settings import LocalSettings, Settings


class Usage:
    def __init__(self, free: int) -> None:
        self.free = free


@pytest.mark.parametrize(
    ("free", "verdict"),
    [
        (disk.LEAST_BYTES - 1, Verdict.WRONG),
        (disk.LEAST_BYTES, Verdict.DOUBTFUL),
        (disk.LOW_BYTES - 1, Verdict.DOUBTFUL),
        (disk.LOW_BYTES, Verdict.WELL),
    ],
)
def test_room_is_judged(free: int, verdict: Verdict, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: Usage(free))
    found = disk.check(Settings(local=LocalSettings(state_dir=tmp_path / "not" / "yet"))).look()
    assert found.verdict is verdict
    assert list(tmp_path.iterdir()) == []
