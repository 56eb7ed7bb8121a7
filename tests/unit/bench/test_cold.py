import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from streamproc.bench.cold import (
    BARE,
    FUNASR,
    IMPORT,
    OURS,
    SHARED,
    TORCH,
    ColdReport,
    Crowd,
    NoStartError,
    Start,
    import_once,
    shares_mib,
    start_once,
)
from streamproc.bench.cold_show import cold_json, show_cold
from streamproc.emotion.directory import find_directory
from tests.unit.bench.made import MACHINE

ROLLUP = """55d0c0000000-7ffc00000000 ---p 00000000 00:00 0                          [rollup]
Rss:               10240 kB
Pss:                5120 kB
Pss_Dirty:          1024 kB
Private_Clean:      2048 kB
Private_Dirty:      1024 kB
"""


def starts(*seconds: float) -> Sequence[Start]:
    return [
        Start({"python": 0.25, "imports": s, "load": 0.25}, {"imports": 200, "load": 300, "warm-up": 450})
        for s in seconds
    ]


def report() -> ColdReport:
    return ColdReport(
        machine=MACHINE,
        model="plus_large",
        checkpoint_mib=1855,
        weights_mib=625,
        threads=2,
        starts={TORCH: starts(0.5, 1.5), OURS: starts(1.0, 3.5), SHARED: starts(1.0, 1.5), FUNASR: starts(5.5, 7.5)},
        ready_s=[2.0, 2.5],
        import_s={BARE: [0.02, 0.03], IMPORT: [0.03, 0.05]},
        crowds=[
            Crowd(2, {"Rss": 1000, "Pss": 700, "Private_Clean": 10, "Private_Dirty": 590}),
            Crowd(2, {"Rss": 1000, "Pss": 600, "Private_Clean": 10, "Private_Dirty": 90}, "mapped"),
        ],
    )


def test_starts_are_compared_round_by_round() -> None:
    assert report().totals(OURS) == [1.5, 4.0]
    assert (report().over(TORCH).least, report().over(TORCH).most) == (1.5, 2.0)
    assert (report().ready_over_torch_s.least, report().ready_over_torch_s.most) == (0.5, 1.0)


def test_the_phases_and_the_memory_are_shown_in_80_columns() -> None:
    out = io.StringIO()
    show_cold(report(), Console(file=out, width=80))
    text = " ".join(out.getvalue().split())
    assert "streamproc 0.25 2.25 0.25 2.75 450" in text
    assert "Ours over FunASR: 0.38 (0.25 to 0.50)" in text
    assert (
        "ready after 2.25 s, 0.75 (0.50 to 1.00) s more than torch's import, -0.50 (-1.50 to 0.50) s more than" in text
    )
    assert "Weights and a first result add 250 MiB at most to what the imports took, 0.40 times the 625 MiB" in text
    assert (
        "2 device processes, weights fastest: 1000 MiB resident, 700 MiB with what they share counted once, 600 MiB"
        in text
    )
    assert "import streamproc adds 15 ms (10 to 20) of processor time to the 25 of python -c pass" in text
    assert "…" not in text
    assert json.loads(json.dumps(cold_json(report())))["over"][TORCH]["most"] == 2.0


def test_the_shares_of_memory_are_read_by_name() -> None:
    assert shares_mib(ROLLUP) == {"Rss": 10, "Pss": 5, "Private_Clean": 2, "Private_Dirty": 1}


@pytest.mark.parametrize("kind", [OURS, SHARED])
def test_a_process_starts_and_tells_its_phases(kind: str) -> None:
    found = start_once(kind, find_directory("demo", Path()), 1)
    assert list(found.phases_s) == ["python", "imports", "load", "warm-up", "forward"]
    assert all(seconds > 0 for seconds in found.phases_s.values())
    assert 50 < found.peak_mib["imports"] <= found.peak_mib["forward"]


def test_a_process_that_does_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(NoStartError, match=r"CheckpointError.*configuration\.json"):
        start_once(OURS, tmp_path, 1)


def test_the_package_is_imported_in_a_process_of_its_own_beside_one_that_does_nothing() -> None:
    found = import_once()
    assert found.keys() == {BARE, IMPORT}
    assert min(found.values()) > 0
