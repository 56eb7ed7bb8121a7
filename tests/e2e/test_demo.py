"""``streamproc demo`` as a user runs it: as a process, in an empty folder."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from streamproc.local.stack import Stack, status
from streamproc.local.variables import environment
from streamproc.settings import Settings

ROOT = Path(__file__).parents[2]
PATIENCE_S = 600
"""Of the whole command on a busy machine of two cores; it takes under a minute on an idle one."""


def streamproc(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if "STREAMPROC_CONFIG" not in name}
    return subprocess.run(
        [sys.executable, "-m", "streamproc", *words],
        cwd=folder,
        env={**clean, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def outcome(done: subprocess.CompletedProcess[str]) -> Mapping[str, Any]:
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    told: Mapping[str, Any] = json.loads(done.stdout)
    assert told["ok"] is True
    assert told["problems"] == []
    return told


def check_totals(told: Mapping[str, Any]) -> None:
    totals = told["totals"]
    assert totals["offsets_in"] == totals["results"] + totals["dead_letters"]
    assert len({(row["partition"], row["offset"]) for row in told["results"]}) == totals["results"]
    assert totals["computed"] >= 24
    assert totals["served"] == totals["repeats"] >= 4
    assert totals["result_ids"] == totals["results"] - 1
    assert totals["right"] >= 0.7 * totals["labelled"]
    statuses = [row["status"] for row in told["results"]]
    assert (statuses.count("no_speech"), statuses.count("too_short")) == (1, 1)
    assert sorted(row["reason"] for row in told["dead_letters"]) == [
        "avro_invalid",
        "decode_failed",
        "format_unsupported",
        "object_missing",
    ]
    assert {"admit", "fetch", "lookup", "prepare", "infer", "assemble"} <= told["stages"].keys()
    assert "demo" in told["checkpoint"]


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE_S + 60)
def test_a_demo_in_an_empty_folder_brings_its_servers_and_takes_them_away(stack: Stack, tmp_path: Path) -> None:
    assert stack.servers  # the programs are here; a test that lacks them says so by this fixture
    check_totals(outcome(streamproc(tmp_path, "demo", "--json")))
    rows = json.loads(streamproc(tmp_path, "status", "--json").stdout)
    assert [row["state"] for row in rows] == ["stopped"] * 4
    assert not (tmp_path / ".streamproc" / "local.env").exists()


@pytest.mark.slow
@pytest.mark.timeout(2 * PATIENCE_S + 60)
def test_demos_on_servers_of_yours_leave_them_running_and_compute_anew(
    stack: Stack, servers: Settings, tmp_path: Path
) -> None:
    addresses = {
        name: value
        for name, value in environment(servers).items()
        if name.startswith(
            ("STREAMPROC_KAFKA__", "STREAMPROC_REGISTRY__", "STREAMPROC_REDIS__", "STREAMPROC_STORAGE__")
        )
    }
    for _ in range(2):
        check_totals(outcome(streamproc(tmp_path, "demo", "--json", **addresses)))
    assert [server.state for server in status(stack.settings)] == ["running"] * 4
