"""Each link of the chain, broken alone."""

import re
from collections.abc import Mapping
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.chain import (
    CHAIN,
    LEAST_MICRO_BATCH_S,
    NAMES,
    Link,
    broken_links,
    mend,
    number,
    plain,
    values_of,
)
from streamproc.errors import UsageError
from streamproc.kafka.config import consumer_config
from streamproc.local.kafka import BROKER
from streamproc.records.topics import topic_specs
from streamproc.settings import (
    HEARTBEATS,
    FlowSettings,
    KafkaSettings,
    Settings,
    TopicSettings,
    handover_s,
    heartbeat_s,
    load_settings,
    takeover_s,
)
from streamproc.worker.stages.weigh import share

Tree = Mapping[str, Mapping[str, object]]

BROKEN: list[tuple[str, Tree, str, str, Tree, Tree]] = [
    (
        "kafka.transaction_timeout_s < flow.drain_s",
        {"flow": {"drain_s": 30.001}},
        (
            "kafka.transaction_timeout_s=30 (by default) + 0.25 s for each of flow.micro_batches=4 (by default) "
            "make 31, over flow.drain_s=30.001 (an argument)"
        ),
        "kafka.transaction_timeout_s=29.001 instead of 30",
        {"flow": {"drain_s": 30.001}, "kafka": {"transaction_timeout_s": 29.001}},
        {"flow": {"drain_s": 31}},
    ),
    (
        "kafka.transaction_timeout_s + flow.drain_s < kafka.max_poll_interval_s",
        {"kafka": {"max_poll_interval_s": 20, "transaction_timeout_s": 2}, "flow": {"drain_s": 4}},
        (
            "kafka.transaction_timeout_s=2 (an argument) + flow.drain_s=4 (an argument) + 15 s make 21, over "
            "kafka.max_poll_interval_s=20 (an argument)"
        ),
        "kafka.max_poll_interval_s=21 instead of 20",
        {"kafka": {"max_poll_interval_s": 20, "transaction_timeout_s": 1.5}, "flow": {"drain_s": 3.5}},
        {"kafka": {"max_poll_interval_s": 21, "transaction_timeout_s": 2}, "flow": {"drain_s": 4}},
    ),
    (
        "flow.drain_s < kafka.max_poll_interval_s",
        {"flow": {"drain_s": 90}},
        "flow.drain_s=90 (an argument) is over 20 % of kafka.max_poll_interval_s=300 (by default)",
        "kafka.max_poll_interval_s=450 instead of 300",
        {"flow": {"drain_s": 60}},
        {"flow": {"drain_s": 90}, "kafka": {"max_poll_interval_s": 450}},
    ),
    (
        "flow.pause_after_s + flow.linger_s < kafka.max_poll_interval_s",
        {"flow": {"pause_after_s": 239.99, "linger_s": 0.05}},
        (
            "flow.pause_after_s=239.99 (an argument) + flow.linger_s=0.05 (an argument) make 240.04, over "
            "80 % of kafka.max_poll_interval_s=300 (by default)"
        ),
        "kafka.max_poll_interval_s=300.05 instead of 300",
        {"flow": {"pause_after_s": 239.95}},
        {"flow": {"pause_after_s": 239.99}, "kafka": {"max_poll_interval_s": 300.05}},
    ),
    (
        "kafka.session_timeout_s < kafka.max_poll_interval_s",
        {"kafka": {"session_timeout_s": 301, "group_protocol": "classic"}},
        "kafka.session_timeout_s=301 (an argument) is over kafka.max_poll_interval_s=300 (by default)",
        "kafka.max_poll_interval_s=301 instead of 300",
        {"kafka": {"session_timeout_s": 300, "group_protocol": "classic"}},
        {"kafka": {"session_timeout_s": 301, "group_protocol": "consumer"}},
    ),
    (
        "audio.max_object_bytes < flow.in_flight_bytes",
        {"flow": {"in_flight_bytes": 268435455}},
        "audio.max_object_bytes=268435456 (by default) is over flow.in_flight_bytes=268435455 (an argument)",
        "audio.max_object_bytes=268435455 instead of 268435456",
        {"flow": {"in_flight_bytes": 268435455}, "audio": {"max_object_bytes": 268435455}},
        {"flow": {"in_flight_bytes": 268435456}},
    ),
    (
        "audio.min_sample_rate < audio.max_sample_rate",
        {"audio": {"max_sample_rate": 3999}},
        "audio.min_sample_rate=4000 (by default) is over audio.max_sample_rate=3999 (an argument)",
        "audio.min_sample_rate=3999 instead of 4000",
        {"audio": {"max_sample_rate": 4000}},
        {"audio": {"max_sample_rate": 3999, "min_sample_rate": 3999}},
    ),
]


def ends(link: Link) -> str:
    return f"{' + '.join(link.low)} < {link.high}"


def test_the_defaults_hold() -> None:
    assert broken_links(values_of(Settings())) == []


def test_each_link_is_broken_below() -> None:
    assert [ends(link) for link in CHAIN] == [row[0] for row in BROKEN]


@pytest.mark.parametrize(("which", "broken", "said", "cure"), [row[:4] for row in BROKEN])
def test_one_broken_link_is_named_with_what_to_change(which: str, broken: Tree, said: str, cure: str) -> None:
    (link,) = (link for link in CHAIN if ends(link) == which)
    with pytest.raises(UsageError) as caught:
        load_settings(**broken)
    assert str(caught.value).splitlines() == [
        "the settings are impossible:",
        f"  {said}: {link.otherwise}",
        f"  all of it holds together with {cure}",
    ]


@pytest.mark.parametrize("mended", [mended for row in BROKEN for mended in row[4:]])
def test_either_change_mends_it(mended: Tree) -> None:
    settings = load_settings(**mended)
    given = {(section, name): value for section, of_it in mended.items() for name, value in of_it.items()}
    assert {place: getattr(getattr(settings, place[0]), place[1]) for place in given} == given


def test_all_that_is_broken_is_said_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        load_settings(
            flow={"drain_s": 90, "pause_after_s": 500},
            topics={"results": "one", "segments": "one"},
            kafka={"sasl_username": "me"},
        )
    assert [re.split("=| is|:", line)[0] for line in str(caught.value).splitlines()[1:]] == [
        "  flow.drain_s",
        "  flow.pause_after_s",
        "  all of it holds together with kafka.max_poll_interval_s",
        "  'one'",
        "  kafka.sasl_username and kafka.sasl_password go together",
    ]
    assert "kafka.max_poll_interval_s=625.0625 instead of 300" in str(caught.value)
    assert "topics.results (an argument) and topics.segments (an argument)" in str(caught.value)


def test_a_fifth_of_what_no_float_holds_is_a_fifth() -> None:
    settings = load_settings(kafka={"max_poll_interval_s": 35.3, "transaction_timeout_s": 1}, flow={"drain_s": 7.06})
    assert (settings.kafka.max_poll_interval_s, settings.flow.drain_s) == (35.3, 7.06)


def test_a_delay_is_over_before_its_lane_forgets() -> None:
    topics = TopicSettings()
    kept = [spec.retention for spec in topic_specs(topics) if spec.name in topics.lanes]
    with pytest.raises(UsageError, match=r"retry\.delays_s"):
        load_settings(retry={"delays_s": (10, 86_401)})
    longest_s = load_settings(retry={"delays_s": (10, 86_400)}).retry.delays_s[1]
    assert timedelta(seconds=longest_s) < min(kept)


def test_what_the_user_set_is_kept_where_the_rest_can_fit() -> None:
    with pytest.raises(UsageError) as caught:
        load_settings(kafka={"max_poll_interval_s": 60})
    cure = "flow.drain_s=12 instead of 60 and kafka.transaction_timeout_s=11 instead of 30"
    assert str(caught.value).splitlines()[-1] == f"  all of it holds together with {cure}"
    load_settings(kafka={"max_poll_interval_s": 60, "transaction_timeout_s": 11}, flow={"drain_s": 12})


def test_what_the_user_set_is_raised_where_nothing_else_helps() -> None:
    with pytest.raises(UsageError) as caught:
        load_settings(kafka={"max_poll_interval_s": 14, "transaction_timeout_s": 1}, flow={"drain_s": 2.8})
    cure = "kafka.max_poll_interval_s=18.8 instead of 14"
    assert str(caught.value).splitlines()[-1] == f"  all of it holds together with {cure}"


SECONDS = st.floats(1e-6, 1e6)
COUNTS = st.integers(1, 10_000)
SIZES = st.integers(1, 10**13)
KINDS = {"_s": SECONDS, "es": COUNTS, "_rate": SIZES, "_bytes": SIZES}
NUMBERS = {
    name: next(kind for end, kind in reversed(KINDS.items()) if name.endswith(end))
    for name in NAMES - {"kafka.delivery", "kafka.group_protocol"}
}


@given(values=st.fixed_dictionaries(NUMBERS), user=st.frozensets(st.sampled_from(sorted(NUMBERS))))
def test_whatever_is_set_the_cure_mends_all_of_it(values: dict[str, object], user: frozenset[str]) -> None:
    values |= {"kafka.delivery": "exactly_once", "kafka.group_protocol": "classic"}
    changed = mend(values, user)
    assert broken_links({**values, **changed}) == []
    assert bool(changed) == bool(broken_links(values))
    assert all(number(value) > 0 for value in changed.values())
    said = {name: float(plain(value)) for name, value in changed.items()}
    assert broken_links({**values, **said}) == []  # what is told is enough, too


@pytest.mark.parametrize(("delivery", "named"), [("at_least_once", True), ("exactly_once", False)])
def test_settings_without_transactions_are_refused_in_other_words(delivery: str, *, named: bool) -> None:
    with pytest.raises(UsageError) as caught:
        load_settings(kafka={"delivery": delivery}, flow={"drain_s": 30})
    said = str(caught.value)
    meant = "(with at_least_once kafka.transaction_timeout_s is the longest time that writing the rows of a commit"
    assert (meant in said) == named
    assert "transaction" not in said.replace("kafka.transaction_timeout_s", "")


@pytest.mark.parametrize("records", [{}, {"micro_batches": 16}])
def test_what_a_micro_batch_may_take_at_least_is_what_it_gets(records: dict[str, int]) -> None:
    flow = FlowSettings(drain_s=30 + LEAST_MICRO_BATCH_S * FlowSettings(**records).micro_batches, **records)
    assert share(load_settings(flow=flow)).seconds == pytest.approx(LEAST_MICRO_BATCH_S)


@pytest.mark.parametrize(
    ("session_s", "transaction_s", "exactly_once_s", "at_least_once_s"),
    [(6, 30, 45, 12.5), (40, 30, 55, 55), (1, 1.5, 16.5, 6.25)],
)
def test_a_takeover_waits_for_the_session_or_for_the_transaction_whichever_is_longer(
    session_s: float, transaction_s: float, exactly_once_s: float, at_least_once_s: float
) -> None:
    kafka = KafkaSettings(session_timeout_s=session_s, transaction_timeout_s=transaction_s)
    settings = Settings(kafka=kafka)
    assert takeover_s(settings) == exactly_once_s
    plain = kafka.model_copy(update={"delivery": "at_least_once"})
    assert takeover_s(settings.model_copy(update={"kafka": plain})) == at_least_once_s


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_a_handover_lasts_as_long_as_the_drain_and_two_members_who_do_not_hear_of_it_yet(protocol: str) -> None:
    settings = load_settings(
        kafka={"session_timeout_s": 8, "group_protocol": protocol}, flow={"drain_s": 40, "pause_after_s": 3}
    )
    assert handover_s(settings) == pytest.approx(40 + 2 * (2 + 3 + 0.05) + 5)


def test_the_classic_client_sends_as_many_heartbeats_as_a_handover_counts_on() -> None:
    settings = load_settings(kafka={"group_protocol": "classic"})
    assert consumer_config(settings)["heartbeat.interval.ms"] == 1000 * heartbeat_s(settings)


def test_the_local_broker_asks_for_as_many_heartbeats_as_a_handover_counts_on() -> None:
    heartbeat, session = (
        int(BROKER[f"group.consumer.{name}.ms"]) for name in ("heartbeat.interval", "session.timeout")
    )
    assert HEARTBEATS * heartbeat <= session
