"""What several suites need of the real registry."""

import uuid
from collections.abc import Iterator

import pytest

from streamproc.kafka.registry import Registry, connect
from streamproc.settings import RegistrySettings, Settings, TopicSettings

NOWHERE = RegistrySettings(url="http://127.0.0.1:1", timeout_s=0.5)


@pytest.fixture
def topics() -> TopicSettings:
    """Names that no other test uses, and so subjects of its own."""
    name = f"t-{uuid.uuid4().hex[:12]}"
    own = {kind: f"{name}.{kind}" for kind in ("results", "segments", "ledger", "trends", "alerts", "partials")}
    return TopicSettings.model_validate({"recordings": name, **own})


@pytest.fixture
def client(patient: Settings) -> Iterator[Registry]:
    with connect(patient.registry) as client:
        yield client


@pytest.fixture
def nowhere() -> Iterator[Registry]:
    """Leads to a port where nobody listens."""
    with connect(NOWHERE) as client:
        yield client
