import pytest

from streamproc.errors import UsageError
from streamproc.operate.since import parse_since

NOW = 1_700_000_000_000


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("15m", NOW - 900_000),
        ("2h", NOW - 7_200_000),
        ("7d", NOW - 7 * 86_400_000),
        ("0s", NOW),
        ("2023-11-14T22:13:20", NOW),
        ("2023-11-14T23:13:20+01:00", NOW),
        ("999999d", 0),  # what is longer ago than Kafka's times begin is all there is
        ("1969-12-31", 0),
        ("2023-11-14", NOW - (22 * 3600 + 13 * 60 + 20) * 1000),
    ],
)
def test_spans_and_dates(text: str, ms: int) -> None:
    assert parse_since(text, NOW) == ms


@pytest.mark.parametrize("text", ["", "yesterday", "5", "-5m", "1w", "9999999d", "2023-13-01", "5m "])
def test_anything_else_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(UsageError, match="15m, 2h or 7d"):
        parse_since(text, NOW)


@pytest.mark.parametrize("text", ["2023-11-14T22:13:21", "2030-01-01"])
def test_of_what_is_still_to_come_nothing_can_be_said(text: str) -> None:
    with pytest.raises(UsageError, match="still to come"):
        parse_since(text, NOW)
