"""What a worker says before it works: of its engine, of takeovers, and of topics that are not there."""

import sys

import pytest
from structlog.testing import capture_logs

from streamproc import wiring
from streamproc.errors import UsageError
from streamproc.kafka.admin import ask_session_s
from streamproc.settings import KafkaSettings, ModelSettings, Settings
from tests.unit.kafka.mock_cluster import mock_cluster


def told(settings: Settings) -> dict[str, object]:
    with capture_logs() as lines:
        wiring.tell_takeover(settings)
    return {str(line["event"]): line.get("seconds") for line in lines}


@pytest.mark.parametrize(
    ("broker_s", "lines"),
    [
        (6.0, {"others take over when a worker dies": 45.0}),
        (
            45.0,
            {
                "others take over when a worker dies": 61.25,
                "the broker's session is another than the settings say": 45.0,
            },
        ),
        (None, {}),
    ],
)
def test_a_takeover_is_told_with_the_brokers_session(
    broker_s: float | None, lines: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wiring, "ask_session_s", lambda _settings: broker_s)
    assert told(Settings()) == lines


def test_the_classic_protocol_has_its_session_from_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "ask_session_s", lambda _settings: pytest.fail("nobody has to be asked"))
    classic = Settings(kafka=KafkaSettings(group_protocol="classic", session_timeout_s=10))
    assert told(classic) == {"others take over when a worker dies": 45.0}


def test_a_broker_that_does_not_say_is_a_warning_and_no_error() -> None:
    """The client's own mock of a broker does not know the question."""
    with mock_cluster() as cluster, capture_logs() as lines:
        assert ask_session_s(Settings(kafka=KafkaSettings(bootstrap_servers=cluster.bootstrap_servers))) is None
    (line,) = lines
    assert (line["log_level"], line["event"]) == ("warning", "the broker does not say how long a session lasts")
    assert line["detail"]


def test_no_broker_is_a_warning_too_and_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.kafka.admin._ASK_S", 0.5)
    with capture_logs() as lines:
        assert ask_session_s(Settings(kafka=KafkaSettings(bootstrap_servers="127.0.0.1:1"))) is None
    assert [line["log_level"] for line in lines if line["event"].startswith("the broker does not say")] == ["warning"]


def test_topics_that_are_missing_are_told_with_the_broker() -> None:
    with mock_cluster() as cluster, capture_logs() as lines:
        wiring.tell_missing_topics(Settings(kafka=KafkaSettings(bootstrap_servers=cluster.bootstrap_servers)))
    (line,) = lines
    assert (line["log_level"], line["event"], line["count"]) == ("warning", "topics are missing", 7)
    assert f"{cluster.bootstrap_servers} has no audio.recordings, " in str(line["detail"])


def test_an_engine_that_is_not_installed_is_told_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(model=ModelSettings(engine="funasr"))
    assert wiring.located(settings).engine == "funasr"
    monkeypatch.setitem(sys.modules, "funasr", None)
    with pytest.raises(UsageError, match=r"pip install '\.\[funasr\]'"):
        wiring.located(settings)
