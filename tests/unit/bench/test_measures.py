import io
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streamproc.bench.engine import OURS, Entry, OtherNumbersError, compare
from streamproc.bench.floor import Cost, summed, with_own
from streamproc.bench.machine import commit, cpu_name, look
from streamproc.bench.spread import Spread, ratios, spread
from streamproc.bench.stretch import Moment, UntrueRunError, check_tier, figures
from streamproc.bench.turns import Run, Scores, Turns, largest_difference, take_turns
from streamproc.bench.waves import Wave, make_waves, seconds_of, to_wav
from streamproc.emotion.precision import Precision
from streamproc.records.analysis import Tier


def test_a_spread_is_the_ends_and_the_median() -> None:
    assert spread([3, 1, 10]) == Spread(1, 3, 10)
    assert spread([1, 2]) == Spread(1, 1.5, 2)
    with pytest.raises(ValueError, match="empty"):
        spread([])


def test_ratios_are_taken_turn_by_turn() -> None:
    # Both slowed down by half in the second turn: the ratio of the medians would see it, this does not.
    assert ratios([2, 4, 2], [1, 2, 1]) == Spread(2, 2, 2)
    with pytest.raises(ValueError, match="shorter"):
        ratios([1, 2], [1])


def test_the_largest_difference_is_of_any_score_of_any_clip() -> None:
    assert largest_difference([(0.5, 0.5), (1.0, 0.0)], [(0.5, 0.5), (0.75, 0.25)]) == 0.25
    with pytest.raises(ValueError, match="shorter"):
        largest_difference([(0.5, 0.5)], [(1.0,)])


def test_who_begins_changes_and_the_first_round_does_not_count() -> None:
    ran: list[str] = []

    def engine(name: str) -> Run:
        def run(_wave: Wave) -> Scores:
            ran.append(name)
            return (0.5,)

        return run

    engines = {name: engine(name) for name in "abc"}
    turns = take_turns(engines, lambda: 7.0, make_waves(2, 1, 0.1, 0.2), 2, lambda *_: None)
    assert "".join(ran) == "aabbcc" + "abc" + "bca" + "bca" + "cab"
    assert turns.scores == {name: [(0.5,), (0.5,)] for name in "abc"}
    assert turns.gflops == [[7.0, 7.0], [7.0, 7.0]]
    assert all(len(seconds) == 2 and min(seconds) > 0 for seconds in turns.seconds.values())


def entry(name: str, precision: Precision) -> Entry:
    return Entry(name, precision, lambda _: ())


def test_an_engine_of_other_numbers_is_no_peer() -> None:
    def turns(score: float) -> Turns:
        return Turns({OURS: [2.0], "a": [4.0]}, {OURS: [(0.5,)], "a": [(score,)]}, [[1.0]])

    found = compare(entry("a", Precision.FP32), turns(0.50009), 8)
    assert (found.audio_seconds_per_s, found.ratio, found.alike) == (Spread(2, 2, 2), Spread(2, 2, 2), None)
    with pytest.raises(OtherNumbersError, match=r"a is 1\.1e-04 from ours"):
        compare(entry("a", Precision.FP32), turns(0.50011), 8)
    with pytest.raises(OtherNumbersError, match="a is inf from ours"):
        compare(entry("a", Precision.FP32), turns(float("nan")), 8)


def test_a_narrower_engine_is_told_beside_ours_in_fp32_and_in_its_own_precision() -> None:
    seconds = {OURS: [2.0], f"{OURS}, int8": [8.0], "a, int8": [4.0], "a, fp16": [4.0]}
    turns = Turns(seconds, {name: [(0.5 if name == OURS else 0.25,)] for name in seconds}, [[1.0]])
    found = compare(entry("a", Precision.INT8), turns, 8)
    assert (found.name, found.precision, found.largest_difference) == ("a, int8", "int8", 0.25)
    assert (found.ratio, found.alike) == (Spread(2, 2, 2), Spread(0.5, 0.5, 0.5))
    assert compare(entry("a", Precision.FP16), turns, 8).alike is None
    assert compare(entry(OURS, Precision.INT8), turns, 8).alike is None


def moment(batches: int, records: float, cpu_s: float) -> Moment:
    return Moment((records, batches), (0.05 * batches, batches), cpu_s, batches)


def line(second: int, records: int) -> dict[str, object]:
    return {"at": f"2030-01-31T12:00:{second:02}.500000Z", "records": records}


def test_figures_are_differences_and_leave_the_first_micro_batch_out_of_the_rate() -> None:
    lines = [line(0, 400), line(1, 500), line(2, 500)]
    found = figures(1400, moment(2, 1000, 3.0), moment(5, 2400, 4.4), lines)
    assert (found.seconds, found.events_per_s) == (2.0, 500.0)
    assert found.cpu_ms_per_event == pytest.approx(1.0)
    assert found.transactions == 3
    assert found.mean_micro_batch == pytest.approx(1400 / 3)
    assert found.mean_transaction_ms == pytest.approx(50)


def test_analyses_from_another_tier_are_another_run() -> None:
    before, after = moment(0, 0, 0), moment(1, 400, 1)
    after = replace(after, analyses={Tier.MEMORY: 100.0, Tier.REDIS: 300.0})
    check_tier(before, after, Tier.REDIS, 300)
    with pytest.raises(UntrueRunError, match="300 of 400 analyses came from redis"):
        check_tier(before, after, Tier.REDIS, 400)


def test_the_parts_of_a_floor_are_summed_up_and_our_own_codecs_stand_in_for_the_libraries() -> None:
    parts = [Cost("produce", 1, 1), Cost("commit", 2, 1), Cost("produce", 3, 2)]
    assert summed(parts) == [Cost("produce", 4, 3), Cost("commit", 2, 1)]
    assert with_own(summed(parts), [Cost("commit", 1, 0)]) == [Cost("produce", 4, 3), Cost("commit", 1, 0)]


@pytest.mark.parametrize("lines", [[], [line(0, 400)]])
def test_one_micro_batch_makes_no_rate(lines: list[dict[str, object]]) -> None:
    with pytest.raises(UntrueRunError, match="more events"):
        figures(400, moment(0, 0, 0), moment(1, 400, 1), lines)


def test_waves_are_the_same_each_time_and_of_mixed_lengths() -> None:
    waves = make_waves(12, 7, 0.5, 14)
    assert all(np.array_equal(a, b) for a, b in zip(waves, make_waves(12, 7, 0.5, 14), strict=True))
    assert not np.array_equal(waves[0][:4000], make_waves(12, 8, 0.5, 14)[0][:4000])
    lengths = [len(samples) / 16_000 for samples in waves]
    assert 0.5 <= min(lengths) < 2
    assert 6 < max(lengths) <= 14
    assert seconds_of(waves) == pytest.approx(sum(lengths))
    assert all(0.05 < np.abs(samples).max() <= 1 for samples in waves)


def test_a_wav_file_holds_the_same_sound() -> None:
    (samples,) = make_waves(1, 3, 1, 2)
    with wave.open(io.BytesIO(to_wav(samples))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (16_000, 1, len(samples))
        read = np.frombuffer(file.readframes(len(samples)), "<i2") / 32_767
    assert np.abs(read - samples).max() < 1e-4


def test_the_name_of_the_cpu_is_read_where_there_is_one() -> None:
    assert cpu_name("processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\n\nmodel name\t: Other\n") == "Some CPU @ 3 GHz"
    assert cpu_name("processor\t: 0\nCPU implementer\t: 0x41\n") == ""


def test_a_folder_outside_git_has_no_commit(tmp_path: Path) -> None:
    assert commit(tmp_path) is None


def test_this_machine_is_described_without_what_is_not_installed() -> None:
    machine = look(["numpy", "no-such-package"])
    assert machine.cpu
    assert machine.cores >= 1
    assert machine.packages["numpy"] == np.__version__
    assert "no-such-package" not in machine.packages
