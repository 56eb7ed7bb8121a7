import os
from pathlib import Path

import pytest

from streamproc.cores import cores


@pytest.fixture(autouse=True)
def _sixteen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))


@pytest.mark.parametrize(
    ("own", "quotas", "expected"),
    [
        ("0::/\n", {}, 16),
        ("0::/\n", {"": "max 100000"}, 16),
        ("0::/\n", {"": "200000 100000"}, 2),
        ("0::/\n", {"": "250000 100000"}, 3),
        ("0::/\n", {"": "20000 100000"}, 1),
        ("0::/\n", {"": "6400000 100000"}, 16),
        ("1:cpu:/\n0::/pods/one\n", {"pods": "400000 100000", "pods/one": "max 100000"}, 4),
        ("0::/pods/one\n", {"pods": "800000 100000", "pods/one": "300000 100000"}, 3),
        ("0::/../../pods\n", {"": "500000 100000"}, 5),
        ("1:cpu:/\n", {"": "500000 100000"}, 5),
    ],
)
def test_no_more_threads_than_the_tightest_quota_pays_for(
    tmp_path: Path, own: str, quotas: dict[str, str], expected: int
) -> None:
    (tmp_path / "own").write_text(own)
    for place, quota in quotas.items():
        (tmp_path / "tree" / place).mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / place / "cpu.max").write_text(quota + "\n")
    assert cores(tmp_path / "tree", tmp_path / "own") == expected


def test_without_cgroups_it_is_the_affinity(tmp_path: Path) -> None:
    assert cores(tmp_path, tmp_path / "none") == 16
