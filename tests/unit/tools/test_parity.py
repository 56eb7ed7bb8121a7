"""The comparison itself: what it must not take for equal, and the company that clips are run in."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from streamproc.arena import SAMPLE_RATE
from streamproc.bench.machine import Machine
from streamproc.emotion.network import field, frames
from tools.parity import __main__ as tool
from tools.parity.bounds import BOUNDS, Against, Output
from tools.parity.clips import KINDS, LONG_S, SHORTEST, Clip, choose
from tools.parity.ours import Value
from tools.parity.plan import MOST_CLIPS, MOST_SECONDS, ROUND, cut, plan
from tools.parity.report import Run, write_report
from tools.parity.subjects import SUBJECTS
from tools.parity.tally import Tally

CLIP = Clip(0, "voice", 400)


def value(frame: float = 0.0, embedding: float = 0.0, score: float = 0.5, *, frames: int = 1) -> Value:
    return Value(
        np.full((frames, 2), frame, np.float32),
        np.full(2, embedding, np.float32),
        np.array([score, 1 - score], np.float32),
    )


def tally_of(found: Value, expected: Value = value()) -> Tally:  # noqa: B008  # immutable by agreement
    tally = Tally("m", 7, 7, ["attention: some way, of others"], control=dict.fromkeys(Output, 1.0))
    for one in (expected, value(score=0.4)):
        tally.judged(CLIP, one)
    for against in Against:
        tally.compare(against, CLIP, "alone", found, expected)
    return tally


def faults(tally: Tally) -> list[str]:
    return list(tally.faults(7, random_weights=True))


def test_equal_numbers_are_no_fault() -> None:
    assert faults(tally_of(value())) == []


@pytest.mark.parametrize(
    ("found", "broken"),
    [
        (value(frame=9e-6), set()),
        (value(frame=2e-5), {"frames against the engine"}),
        (value(frame=2e-4), {"frames against FunASR", "frames against the engine"}),
        (value(embedding=2e-4), {"embedding against FunASR", "embedding against the engine"}),
        (value(score=0.5 + 7e-6), {"scores against the engine"}),
        (value(score=float("nan")), {"scores against FunASR", "scores against the engine"}),
        (value(frame=float("nan")), {"frames against FunASR", "frames against the engine"}),
        (value(frames=2), {"frames against FunASR", "frames against the engine"}),
    ],
)
def test_a_difference_over_a_bound_is_a_fault_that_says_where(found: Value, broken: set[str]) -> None:
    said = faults(tally_of(found))
    assert len(said) == len(broken)
    assert all(any(text in fault for fault in said) for text in broken)
    assert all("voice, 400 samples (alone)" in fault for fault in said)


def test_a_difference_that_is_no_number_is_not_lost_among_others() -> None:
    tally = tally_of(value())
    tally.compare(Against.FUNASR, CLIP, "twins", value(frame=float("nan")), value())
    tally.compare(Against.FUNASR, CLIP, "alone", value(), value())
    assert len(faults(tally)) == 1


def test_a_control_that_keeps_its_bound_is_a_fault() -> None:
    tally = tally_of(value())
    tally.control[Output.SCORES] = BOUNDS[Against.FUNASR].scores
    assert "shows nothing" in faults(tally)[0]


def test_scores_that_cannot_show_an_error_are_a_fault() -> None:
    tally = tally_of(value())
    tally.highest = [0.95] * 10
    assert len(faults(tally)) == 1
    assert list(tally.faults(7, random_weights=False)) == []
    tally = tally_of(value())
    tally.labels = {3}
    assert len(faults(tally)) == 1


def test_another_number_of_parameters_is_a_fault() -> None:
    tally = tally_of(value())
    tally.reference_parameters = 8
    assert "FunASR's 8, not 7 parameters" in faults(tally)[0]


def test_clips_are_the_edges_and_then_voices_of_all_lengths() -> None:
    clips = choose(320, 5)
    assert len(clips) == 320
    assert clips == choose(320, 5)
    assert {clip.kind for clip in clips} == set(KINDS)
    lengths = {clip.samples for clip in clips}
    assert {400, 401, 719, 720, field(50) - 1, field(50) + 1} <= lengths
    assert {int(seconds * SAMPLE_RATE) for seconds in LONG_S} <= lengths
    assert min(lengths) == SHORTEST
    assert frames(max(lengths)) == 2999
    for clip in (clip for clip in clips if clip.samples <= SAMPLE_RATE):
        wave = clip.wave(5)
        assert len(wave) == clip.samples
        assert wave.dtype == np.float32
        assert np.isfinite(wave).all()
        assert np.array_equal(wave, clip.wave(5))


@given(st.lists(st.integers(400, 1_000_000), min_size=2, max_size=100), st.integers(0, 100))
def test_every_clip_is_in_every_order_and_batches_are_bounded(lengths: list[int], seed: int) -> None:
    clips = [Clip(number, "voice", samples) for number, samples in enumerate(lengths)]
    rounds = plan(clips, seed)
    assert Counter(clip for one in rounds for clip in one.clips) == Counter(clips)
    for one in rounds:
        assert len(one.clips) <= ROUND
        for name in ("ascending", "descending", "shuffled", "shuffled anew"):
            places = [place for batch in one.batches if batch.composition == name for place in batch.places]
            assert sorted(places) == list(range(len(one.clips)))
        assert any(len(set(batch.places)) < len(batch.places) for batch in one.batches)


@given(st.lists(st.integers(400, 4_000_000), min_size=1, max_size=60), st.integers(0, 100))
def test_a_batch_pads_to_no_more_than_its_cap(lengths: list[int], seed: int) -> None:
    order = list(range(len(lengths)))
    batches = list(cut(order, lengths, np.random.default_rng(seed)))
    assert [place for places in batches for place in places] == order
    for places in batches:
        assert 1 <= len(places) <= MOST_CLIPS
        padded = len(places) * max(lengths[i] for i in places)
        assert len(places) == 1 or padded <= MOST_SECONDS * SAMPLE_RATE


def test_plus_large_and_plus_base_are_of_the_published_size() -> None:
    published = {subject.name: subject for subject in SUBJECTS if subject.config is not None}
    assert {name: subject.parameters for name, subject in published.items()} == {
        "plus_large": 162_140_185,
        "plus_base": 93_178_133,
    }


def run_of(tally: Tally) -> Run:
    machine = Machine("a CPU", 2, 0.0, "3.11.7", {"torch": "2"}, "abc")
    return Run(machine, 5, 2, 10.0, 2**30, [tally], faults(tally))


def test_the_report_says_the_largest_difference_and_of_which_clip(tmp_path: Path) -> None:
    page = tmp_path / "docs" / "parity.md"
    write_report(page, run_of(tally_of(value(frame=5e-5))))
    text = page.read_text()
    assert "Commit abc, seed 5, a CPU, 2 threads" in text
    assert "| FunASR, that file alone | frames | 1 | 5.0e-05 | 5.0e-05 | 50.0% | alone | voice, 400 samples |" in text
    assert "Computed by what was fastest at its start:\n\n- attention: some way, of others\n" in text
    assert "**1 faults.**" in text
    write_report(page, run_of(tally_of(value())))
    assert "**Every bound held.**" in page.read_text()


@pytest.mark.parametrize(("found", "code"), [(value(), 0), (value(frame=1.0), 1)])
def test_the_command_exits_with_whether_every_bound_held(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, found: Value, code: int
) -> None:
    demo = SUBJECTS[-1]
    tally = replace(tally_of(found), parameters=demo.parameters, reference_parameters=demo.parameters)
    monkeypatch.setattr(tool, "compare", lambda *_: tally)
    page = tmp_path / "parity.md"
    done = CliRunner().invoke(tool.app, ["--model", "demo", "--clips", "2", "--report", str(page)])
    assert done.exit_code == code
    assert page.exists()


def test_a_model_that_is_not_there_is_told() -> None:
    assert CliRunner().invoke(tool.app, ["--model", "plus_huge"]).exit_code == 2
