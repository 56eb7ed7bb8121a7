import sys

import pytest

from streamproc.operate.doctor import traces
from streamproc.operate.doctor.examine import examine
from streamproc.operate.doctor.finding import Verdict
from streamproc.settings import Settings, TraceSettings

ON = Settings(trace=TraceSettings(endpoint="http://user:secret@127.0.0.1:4318/v1/traces"))


def test_what_is_off_needs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "_LIBRARY", "nothing_of_the_kind")
    (found,) = examine([traces.check(Settings())])
    assert (found.verdict, found.says) == (Verdict.WELL, "off: trace.endpoint is not set")


def test_what_is_on_and_cannot_be_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "streamproc.telemetry.spans", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.context", None)  # as where the extra is not installed
    (found,) = examine([traces.check(ON)])
    assert found.verdict is Verdict.WRONG
    assert "OpenTelemetry is not installed" in found.says
    assert "pip install 'streamproc[otel]'" in found.advice


def test_what_is_on_and_can_be_says_where_it_goes() -> None:
    (found,) = examine([traces.check(ON)])
    assert found.verdict is Verdict.WELL
    assert found.says.endswith("goes to http://127.0.0.1:4318/v1/traces")
