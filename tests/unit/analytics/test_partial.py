from collections.abc import Mapping
from typing import Any

import pytest

from streamproc.analytics.partial import Progress, UnreadablePartialError, decode, encode_progress, terms
from streamproc.settings import AnalyticsSettings, Settings


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, None),
        (b"", b""),
        (b"\xff", None),
        (b'["t", 1]', None),
        (b'["t", "1"]', b"{}"),
        (b'["t", 1]', b'{"watermark": 1, "left_out": {}, "live_from": {}, "read": 3}'),
        (b'["t", 0, "agent", "a", 0]', b"[1]"),
        (b'["t", 0, "agent", "a", 0]', b'[1, {}, 0, 0, 0, "x"]'),
        (b'["t", 0, 5, "a", 0]', None),
    ],
)
def test_a_record_that_no_member_wrote_is_told(key: bytes | None, value: bytes | None) -> None:
    with pytest.raises(UnreadablePartialError, match="another program"):
        decode(key, value)


def test_how_far_a_release_before_had_read_is_at_least_what_it_needed() -> None:
    value = b'{"watermark": 1, "left_out": {}, "live_from": {"results": 7}}'
    assert decode(b'["t", 0]', value) == Progress("t", 0, 1, {}, {"results": 7}, {"results": 7})
    now = Progress("t", 0, 1, {}, {"results": 7}, {"results": 9})
    assert decode(*encode_progress(now)) == now


def on(**changed: Any) -> str:
    return terms(Settings(analytics=AnalyticsSettings(**changed)))


@pytest.mark.parametrize(
    "other",
    [
        {"tumbling_s": 7200},
        {"hopping_s": 7200},
        {"hop_s": 600},
        {"retention_s": 3600},
        {"ahead_s": 60},
        {"attributes": ("agent",)},
        {"most_values": 5},
        {"negative_labels": ("sad",)},
    ],
)
def test_members_that_would_count_otherwise_are_on_other_terms(other: Mapping[str, Any]) -> None:
    assert on(**other) != on()


def test_what_is_told_to_readers_only_is_no_term() -> None:
    assert on(alert_share=0.9, emit_s=1, attributes=("queue", "agent", "tenant")) == on()
