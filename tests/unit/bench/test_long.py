import io
import json
from itertools import pairwise

import numpy as np
import pytest
from rich.console import Console

from streamproc.audio.prepare import prepare
from streamproc.audio.voice import load_session
from streamproc.bench.long import Length, LongReport, LongRun, NoRunError, run_long
from streamproc.bench.long_show import long_json, show_long
from streamproc.bench.speech import call, talk
from tests.unit.bench.made import MACHINE


def report() -> LongReport:
    short = Length(10, [LongRun(0.1, 1, 10, 390, 400), LongRun(0.3, 1, 10, 390, 402)])
    longer = Length(3600, [LongRun(36, 360, 3240, 390, 401), LongRun(54, 360, 3240, 390, 405)])
    longest = Length(14_400, [LongRun(144, 1440, 12_960, 390, 406), LongRun(288, 1440, 12_960, 390, 404)])
    return LongReport(MACHINE, "demo", 2, [short, longer, longest])


def test_each_length_is_shown_with_its_time_for_a_second_and_its_memory() -> None:
    out = io.StringIO()
    show_long(report(), Console(file=out, width=80))
    text = " ".join(out.getvalue().split())
    assert "3600 s 360 90% 10.00 12.50 15.00 405" in text
    assert "takes 1.20 times what one of the next shorter one takes" in text
    assert "the longest had +4 MiB more at most than the shortest, of 390 with" in text
    assert "Some CPU, 2 cores, load 0.50 before" in text
    assert "…" not in text
    assert max(map(len, out.getvalue().splitlines())) <= 80


def test_json_holds_the_figures_and_what_follows_from_them() -> None:
    found = json.loads(json.dumps(long_json(report())))
    assert (found["bench"], found["slope"], found["growth_mib"]) == ("long", pytest.approx(1.2), 4)
    assert found["lengths"][0]["ms_per_audio_s"]["least"] == pytest.approx(10)


def test_the_sound_is_speech_of_its_length_that_is_cut_by_pauses_and_at_the_limit() -> None:
    assert sum(map(len, call(130.5).blocks)) == 130.5 * 16_000
    segments = list(prepare(call(70), "mix", load_session()))
    assert sum(segment.speech for segment in segments) > 0.8 * 70 * 16_000
    assert max(segment.end - segment.start for segment in segments) == 468 * 512
    gaps = [later.start - earlier.end for earlier, later in pairwise(segments)]
    assert min(gaps) == 0 < max(gaps)


def test_it_is_the_same_in_memory() -> None:
    assert np.array_equal(np.concatenate(list(call(70.3).blocks))[:, 0], talk(round(70.3 * 16_000)))


def test_recordings_run_in_processes_of_their_own() -> None:
    told: list[tuple[str, int, int]] = []
    found = run_long("demo", 1, 60, 1, lambda name, _text, done, total: told.append((name, done, total)))
    assert [length.seconds for length in found.lengths] == [10, 60]
    assert [length.runs[0].segments for length in found.lengths] == [1, pytest.approx(6, abs=2)]
    assert all(
        run.taken_s > 0 and 50 < run.before_mib <= run.peak_mib for length in found.lengths for run in length.runs
    )
    assert told[-1] == ("recordings", 2, 2)


def test_a_process_that_comes_to_no_end_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.bench.long.MODULE", "streamproc.bench.no_such_module")
    with pytest.raises(NoRunError, match=r"recording of 10 s came to no end.*no_such_module"):
        run_long("demo", 1, 60, 1, lambda *_: None)
