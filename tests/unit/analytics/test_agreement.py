import json
import threading
from collections.abc import Mapping
from itertools import chain, repeat
from typing import Any

import pytest

from streamproc.analytics.agreement import Agreement, agreement, differences, protocol
from streamproc.analytics.desk import Desk
from streamproc.analytics.partial import UnreadablePartialError, decode_agreement, encode_agreement
from streamproc.analytics.refusal import refusal
from streamproc.analytics.rows import RowCodec
from streamproc.errors import DependencyDownError, ExitCode, StreamprocError
from streamproc.kafka.admin import Group
from streamproc.kafka.publisher import Publisher
from streamproc.records.record import Record
from streamproc.settings import AnalyticsSettings, Settings, TopicSettings

HERE = Settings()


def other(**changed: Any) -> Settings:
    return Settings(analytics=AnalyticsSettings(**changed))


@pytest.mark.parametrize(
    "settings",
    [
        other(tumbling_s=7200),
        other(hopping_s=7200),
        other(hop_s=600),
        other(retention_s=3600),
        other(ahead_s=60),
        other(attributes=("agent",)),
        other(most_values=5),
        other(negative_labels=("happy",)),
        other(alert_share=0.6),
        other(alert_support=5),
        other(alert_clear_share=0.3),
        Settings(topics=TopicSettings(results="other")),
        Settings(topics=TopicSettings(segments="other")),
        Settings(topics=TopicSettings(trends="other")),
        Settings(topics=TopicSettings(alerts="other")),
        Settings(topics=TopicSettings(partials="other")),
    ],
)
def test_who_would_write_other_rows_joins_by_another_name(settings: Settings) -> None:
    assert protocol(settings) != protocol(HERE)
    assert len(list(differences(agreement(settings).agreed, agreement(HERE).agreed))) == 1


@pytest.mark.parametrize(
    "settings",
    [
        other(emit_s=9, port=1234, host="0.0.0.0"),  # noqa: S104  # nothing listens
        other(attributes=("queue", "agent", "tenant"), negative_labels=("sad", "fearful", "disgusted", "angry")),
    ],
)
def test_what_is_of_one_process_and_the_order_of_names_do_not_matter(settings: Settings) -> None:
    assert protocol(settings) == protocol(HERE)


def test_what_is_agreed_on_is_the_same_when_it_is_read() -> None:
    told = agreement(other(alert_share=1.0, attributes=()))
    assert decode_agreement(*encode_agreement(told)) == told


def test_values_are_shown_but_not_without_end() -> None:
    (said,) = differences({"n": 1, "labels": ["x" * 1000]}, {"n": 1})
    assert said.startswith('labels is ["xxx')
    assert said.endswith("... there and null here")
    assert len(said) < 300


def desk(*heard: Agreement) -> Desk:
    made = Desk(HERE, Publisher(HERE), RowCodec("t", "a", 1, 2), lambda: None)
    for one in heard:
        made._take(Record(HERE.topics.partials, 0, 0, 0, *encode_agreement(one)))
    return made


def refused(
    monkeypatch: pytest.MonkeyPatch, group: Group, *heard: Agreement, later: Group | None = None
) -> StreamprocError:
    """What is said when the group is so, and another one the next time that it is asked for."""
    monkeypatch.setattr("streamproc.analytics.refusal._HEAR_S", 0.1)
    monkeypatch.setattr("streamproc.analytics.refusal._STAY_S", 0.1)
    monkeypatch.setattr("streamproc.analytics.refusal._AGAIN_S", 0.01)
    monkeypatch.setattr("streamproc.analytics.refusal._LOOK_S", 0.01)
    found = chain([group], repeat(later or group))
    monkeypatch.setattr("streamproc.analytics.refusal.ask_group", lambda *_: next(found))
    return refusal(HERE, desk(*heard), threading.Event())


def test_a_refused_process_says_what_differs_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    there = other(negative_labels=("happy",), alert_support=5)
    error = refused(monkeypatch, Group(2, protocol(there)), agreement(there))
    assert error.exit_code is ExitCode.USAGE
    assert "analytics.alert_support is 5 there and 20 here; analytics.negative_labels is " in str(error)
    assert '["happy"] there and ["angry", "disgusted", "fearful", "sad"] here' in str(error)
    assert "stop all processes of the group" in str(error)
    assert "start them with the new ones" in str(error)


def test_what_was_agreed_on_before_is_not_taken_for_what_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The members have just joined, and did not say yet what they have: on the topic stands what others had."""
    before = agreement(other(tumbling_s=7200))
    error = refused(monkeypatch, Group(1, protocol(other(hop_s=600))), before)
    assert error.exit_code is ExitCode.USAGE
    assert "7200" not in str(error)
    assert "these did not say which" in str(error)


def test_of_another_group_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    there = other(group="another", tumbling_s=7200)
    error = refused(monkeypatch, Group(1, protocol(there)), agreement(there))
    assert "these did not say which" in str(error)


@pytest.mark.parametrize("left", ["", protocol(HERE)])
def test_members_that_have_gone_meanwhile_are_a_reason_to_start_again(
    monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    assert refused(monkeypatch, Group(0, left)).exit_code is ExitCode.FATAL


@pytest.mark.parametrize("heard", [[], [agreement(other(alert_support=5))]])
def test_members_that_died_are_not_taken_for_members_that_have_other_settings(
    monkeypatch: pytest.MonkeyPatch, heard: list[Agreement]
) -> None:
    """A broker that is back has them for a session more: who is not started again would be away for good."""
    dead = Group(1, protocol(other(alert_support=5)))
    assert refused(monkeypatch, dead, *heard, later=Group(0, "")).exit_code is ExitCode.FATAL


def test_a_group_that_is_dealing_its_partitions_out_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it says by no name what its members have."""
    there = other(alert_support=5)
    error = refused(monkeypatch, Group(2, ""), agreement(there), later=Group(2, protocol(there)))
    assert error.exit_code is ExitCode.USAGE


def test_who_is_told_to_stop_waits_for_no_member_to_go(monkeypatch: pytest.MonkeyPatch) -> None:
    stopping = threading.Event()
    stopping.set()
    monkeypatch.setattr("streamproc.analytics.refusal.ask_group", lambda *_: Group(1, "other"))
    assert refusal(HERE, desk(), stopping).exit_code is ExitCode.USAGE


def test_a_broker_that_does_not_answer_is_what_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> Group:
        raise DependencyDownError("kafka", "it is not there")

    monkeypatch.setattr("streamproc.analytics.refusal.ask_group", away)
    assert refusal(HERE, desk(), threading.Event()).exit_code is ExitCode.DEPENDENCY_DOWN


@pytest.mark.parametrize("key", [["agreement", 1], ["agreement", "g", 1]])
def test_what_is_no_agreement_is_told(key: list[object]) -> None:
    agreed: Mapping[str, object] = {}
    with pytest.raises(UnreadablePartialError):
        decode_agreement(json.dumps(key).encode(), json.dumps(agreed).encode())
