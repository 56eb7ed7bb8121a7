from dataclasses import replace

import pytest

from streamproc.demo.plan import Announcement
from streamproc.demo.tally import Sent, Tally
from streamproc.errors import Reason
from tests.unit.demo.made import TOPIC, dead_letter, ledger, result, sent

ONE = Announcement("one", "k1", "result", "ok", "e1", "demo/one.wav", "one.wav", "sha1", "angry")
AGAIN = replace(ONE, title="one again", event_id="e1b")
TWICE = replace(ONE, title="one twice")
TORN = Announcement("torn", "k2", "dead_letter", Reason.DECODE_FAILED, "e2", "demo/torn.flac", "torn.flac", "sha2")


def ended(*plan: Announcement) -> tuple[Tally, list[Sent]]:
    """A tally in which every announcement has the end that it should."""
    places = sent(list(plan))
    tally = Tally(TOPIC, places)
    known: set[str | None] = set()
    for place in places:
        one = place.announcement
        if one.ends == "result":
            tally.add(result(place, tier="memory" if one.sha256 in known else "computed"))
            known.add(one.sha256)
        else:
            tally.add(dead_letter(place))
    return tally, places


def test_everything_as_expected_is_no_problem() -> None:
    tally, _ = ended(ONE, AGAIN, TWICE, TORN)
    assert tally.problems() == []
    totals = tally.totals()
    assert (totals.offsets_in, totals.results, totals.dead_letters) == (4, 3, 1)
    assert (totals.computed, totals.served, totals.repeats, totals.result_ids) == (1, 2, 2, 2)
    assert (totals.labelled, totals.right) == (3, 3)
    assert totals.audio_seconds == 4.5


def test_an_offset_without_an_outcome_is_named() -> None:
    tally = Tally(TOPIC, sent([ONE, TORN]))
    tally.add(dead_letter(sent([ONE, TORN])[1]))
    assert tally.done == 1
    assert [one.announcement.title for one in tally.open()] == ["one"]
    assert any("one (input offset 0/0) has no outcome" in text for text in tally.problems())


def test_a_second_outcome_for_an_offset_is_found() -> None:
    tally, places = ended(ONE, TORN)
    tally.add(dead_letter(places[1]))
    assert tally.problems() == ["torn (input offset 0/1) has 2 outcomes"]
    assert tally.totals().dead_letters == 1  # offsets are counted, not rows


def test_a_result_and_a_dead_letter_for_one_offset_are_found() -> None:
    tally, places = ended(ONE)
    tally.add(dead_letter(places[0], "decode_failed"))
    assert any("has 2 outcomes" in text for text in tally.problems())


@pytest.mark.parametrize("reason", ["format_unsupported", "audio_limits"])
def test_the_wrong_reason_is_a_problem_that_says_both(reason: str) -> None:
    places = sent([TORN])
    tally = Tally(TOPIC, places)
    tally.add(dead_letter(places[0], reason))
    (problem,) = tally.problems()
    assert reason in problem
    assert "decode_failed" in problem
    assert "because" in problem


def test_a_wrong_label_is_no_problem_but_counts() -> None:
    places = sent([ONE])
    tally = Tally(TOPIC, places)
    tally.add(result(places[0], label="sad"))
    assert tally.problems() == []
    assert (tally.totals().labelled, tally.totals().right) == (1, 0)


def test_a_repeat_that_was_computed_again_is_a_problem() -> None:
    places = sent([ONE, AGAIN])
    tally = Tally(TOPIC, places)
    for place in places:
        tally.add(result(place, tier="computed"))
    assert tally.problems() == ["the content of one was computed 2 times"]


def test_content_that_nobody_computed_is_a_problem() -> None:
    places = sent([ONE])
    tally = Tally(TOPIC, places)
    tally.add(result(places[0], tier="redis"))
    assert tally.problems() == ["the content of one was computed 0 times"]


def test_an_event_sent_twice_must_keep_its_result_id() -> None:
    places = sent([ONE, TWICE])
    tally = Tally(TOPIC, places)
    tally.add(result(places[0]))
    tally.add(result(places[1], tier="memory", result_id="another"))
    assert tally.problems() == ["event e1 has 2 result_ids"]


def test_two_events_must_not_share_a_result_id() -> None:
    places = sent([ONE, AGAIN])
    tally = Tally(TOPIC, places)
    tally.add(result(places[0], result_id="r"))
    tally.add(result(places[1], tier="memory", result_id="r"))
    assert tally.problems() == ["result_id r belongs to 2 events"]


def test_what_other_runs_and_topics_wrote_is_left_out() -> None:
    places = sent([ONE])
    tally = Tally(TOPIC, places)
    assert tally.add(result(Sent(ONE, 0, 77))) is None
    assert tally.add(result(places[0], input_topic="audio.recordings")) is None
    assert tally.done == 0
    assert tally.add(result(places[0])) == places[0]


def test_records_that_came_by_a_lane_are_followed_to_their_origin() -> None:
    places = sent([TORN])
    tally = Tally(TOPIC, places)
    tally.add(dead_letter(places[0], attempts=7))
    assert tally.totals().retried == 1
    assert not tally.open()


@pytest.mark.parametrize(
    ("entries", "together"),
    [
        ([ledger(0, 1)], 1),
        ([ledger(0, 0), ledger(1, 1)], 0),
        ([ledger(0, 1, partition=1)], 0),
        ([ledger(0, 1, topic="other")], 0),
        ([], 0),
    ],
)
def test_the_ledger_tells_whether_a_repeat_shared_a_micro_batch(entries: list, together: int) -> None:  # type: ignore[type-arg]
    tally, _ = ended(ONE, AGAIN)
    for entry in entries:
        assert tally.add(entry) is None
    assert tally.totals().repeats_in_micro_batch == together
