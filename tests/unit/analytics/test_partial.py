import pytest

from streamproc.analytics.partial import UnreadablePartialError, decode, terms
from streamproc.settings import AnalyticsSettings, Settings


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, None),
        (b"", b""),
        (b"\xff", None),
        (b'["t", 1]', None),
        (b'["t", "1"]', b"{}"),
        (b'["t", 0, "agent", "a", 0]', b"[1]"),
        (b'["t", 0, "agent", "a", 0]', b'[1, {}, 0, 0, 0, "x"]'),
        (b'["t", 0, 5, "a", 0]', None),
    ],
)
def test_a_record_that_no_member_wrote_is_told(key: bytes | None, value: bytes | None) -> None:
    with pytest.raises(UnreadablePartialError, match="another program"):
        decode(key, value)


def test_members_with_other_windows_are_on_other_terms() -> None:
    assert terms(Settings()) == terms(Settings(analytics=AnalyticsSettings(alert_share=0.9)))
    for other in (AnalyticsSettings(hop_s=600), AnalyticsSettings(negative_labels=("sad",))):
        assert terms(Settings(analytics=other)) != terms(Settings())
