"""What a worker has in memory, beside what its settings allow."""

import io
import json
import subprocess
import sys
import time
from itertools import pairwise

import psutil
import pytest
from rich.console import Console

from streamproc.bench.bounded import BoundedReport, Held, allowed_bytes, mixed
from streamproc.bench.bounded_show import bounded_json, show_bounded
from streamproc.bench.events import Stored
from streamproc.bench.machine import look
from streamproc.bench.resident import Resident, Watch, resident, shares
from streamproc.settings import DedupeSettings, FlowSettings, Settings

MIB = 2**20
ROLLUP = """55d0-7fff ---p 00000000 00:00 0    [rollup]
Rss:                9999 kB
Pss_Anon:             30 kB
Pss_File:            500 kB
Pss_Shmem:            12 kB
"""


def clip(key: str) -> Stored:
    return Stored(key, "0" * 64, 1_000, 5_000)


def test_pages_of_files_are_nobodys() -> None:
    assert shares(ROLLUP) == (30 * 1024, 12 * 1024)


TAKES = """
import mmap, os
print(flush=True), input()
own = bytearray(b"x") * (24 << 20)
shared = mmap.mmap(-1, 16 << 20, mmap.MAP_SHARED)
shared.write(memoryview(own)[: 16 << 20])
recording = os.memfd_create("streamproc-recording")
os.write(recording, memoryview(own)[: 8 << 20])
again = os.dup(recording)
print(flush=True), input()
"""


def test_what_a_process_takes_is_seen_and_shared_pages_are_told_apart() -> None:
    with subprocess.Popen([sys.executable, "-c", TAKES], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        before = resident(child.pid)
        child.stdin.write(b"\n")
        child.stdin.flush()
        child.stdout.readline()
        after = resident(child.pid)
        child.stdin.write(b"\n")
        child.stdin.flush()
    assert 24 * MIB <= after.main - before.main < 25 * MIB
    assert after.shared - before.shared == (16 + 8) * MIB


def test_the_most_is_one_moment_and_not_the_most_of_each_part() -> None:
    last = Resident(3, 0, 0)
    with Watch(iter([Resident(1, 0, 0), Resident(0, 5, 2), *[last] * 10_000]).__next__, period_s=0.001) as watch:
        time.sleep(0.1)
    assert watch.most == Resident(0, 5, 2)


def test_a_process_that_is_gone_is_told_and_not_taken_for_small() -> None:
    def gone() -> Resident:
        raise psutil.NoSuchProcess(1)

    with Watch(gone, period_s=0.001) as watch:
        time.sleep(0.05)
    with pytest.raises(psutil.NoSuchProcess):
        _ = watch.most


def test_nobody_looked_is_no_figure() -> None:
    with Watch(lambda: Resident(1, 1, 1), period_s=60) as watch:
        pass
    with pytest.raises(RuntimeError, match="nobody looked"):
        _ = watch.most


def test_what_is_allowed_follows_the_settings() -> None:
    settings = Settings(
        flow=FlowSettings(in_flight_bytes=300 * MIB, in_flight_audio_s=2),
        dedupe=DedupeSettings(memory_bytes=30, alias_bytes=7),
    )
    assert allowed_bytes(settings) == 300 * MIB + 2 * 64_000 + 37
    archiving = settings.dedupe.model_copy(update={"archive": True, "archive_waiting_bytes": 5})
    assert allowed_bytes(settings.model_copy(update={"dedupe": archiving})) == 300 * MIB + 2 * 64_000 + 42


def test_long_ones_are_spread_and_none_is_lost() -> None:
    short, longer = [clip(f"s{n}") for n in range(20)], [clip(f"l{n}") for n in range(3)]
    found = mixed(short, longer)
    assert sorted(one.key for one in found) == sorted(one.key for one in (*short, *longer))
    places = [place for place, one in enumerate(found) if one.key.startswith("l")]
    assert all(after - before == 6 for before, after in pairwise(places))


def test_a_report_says_how_much_of_the_ceiling_it_was() -> None:
    idle, peak = Resident(100 * MIB, 50 * MIB, 0), Resident(300 * MIB, 100 * MIB, 200 * MIB)
    free, slow = Held(idle, peak, 350 * MIB, 0.01), Held(idle, idle, 350 * MIB, 0.98)
    report = BoundedReport(look(("numpy",)), 1_000, 2, 3_600, 115_200_044, free, slow, 200)
    told = json.loads(json.dumps(bounded_json(report)))
    assert (told["free"]["of_ceiling"], told["slow"]["of_ceiling"]) == (600 / 500, 150 / 500)
    out = io.StringIO()
    show_bounded(report, Console(file=out, width=80))
    text = out.getvalue()
    assert "peak over ceiling" in text
    assert "1.20" in text
    assert "200 audio-s/s: idle" in text
    assert "98%" in text
    assert max(map(len, text.splitlines())) <= 80
