"""The tree of all sections, and what does not go together in it."""

from collections.abc import Callable, Collection, Iterator
from types import SimpleNamespace
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

from streamproc.chain import NAMES, broken_links, mend, plain, values_of
from streamproc.settings.analytics import AnalyticsSettings
from streamproc.settings.audio import AudioSettings
from streamproc.settings.brake import BrakeSettings
from streamproc.settings.connect import ConnectSettings
from streamproc.settings.dedupe import DedupeSettings
from streamproc.settings.flow import FlowSettings
from streamproc.settings.http import HttpSettings
from streamproc.settings.kafka import KafkaSettings
from streamproc.settings.local import LocalSettings
from streamproc.settings.log import LogSettings
from streamproc.settings.model import ModelSettings
from streamproc.settings.prometheus import PrometheusSettings
from streamproc.settings.redis import RedisSettings
from streamproc.settings.registry import RegistrySettings
from streamproc.settings.retry import RetrySettings
from streamproc.settings.storage import StorageSettings
from streamproc.settings.topics import TopicSettings
from streamproc.settings.trace import TraceSettings
from streamproc.settings.warehouse import WarehouseSettings
from streamproc.settings.worker import WorkerSettings


class Settings(BaseModel):
    """Everything that can be set. Made by itself it reads nothing; ``load_settings`` reads what is written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kafka: KafkaSettings = KafkaSettings()
    registry: RegistrySettings = RegistrySettings()
    redis: RedisSettings = RedisSettings()
    storage: StorageSettings = StorageSettings()
    topics: TopicSettings = TopicSettings()
    connect: ConnectSettings = ConnectSettings()
    warehouse: WarehouseSettings = WarehouseSettings()
    audio: AudioSettings = AudioSettings()
    model: ModelSettings = ModelSettings()
    dedupe: DedupeSettings = DedupeSettings()
    flow: FlowSettings = FlowSettings()
    worker: WorkerSettings = WorkerSettings()
    retry: RetrySettings = RetrySettings()
    brake: BrakeSettings = BrakeSettings()
    http: HttpSettings = HttpSettings()
    prometheus: PrometheusSettings = PrometheusSettings()
    trace: TraceSettings = TraceSettings()
    analytics: AnalyticsSettings = AnalyticsSettings()
    log: LogSettings = LogSettings()
    local: LocalSettings = LocalSettings()

    @model_validator(mode="after")
    def _possible(self) -> Self:
        """Refuse combinations that cannot keep the guarantees, all of them at once."""
        if problems := list(clashes(self, lambda _: "", frozenset())):
            raise ValueError("\n".join(problems))
        return self


def clashes(tree: Settings | SimpleNamespace, origin: Callable[[str], str], wrong: Collection[str]) -> Iterator[str]:
    """What does not go together, of what could be read.

    ``origin`` gives what is said behind a value: where it comes from. ``wrong`` could not be read.
    """
    values = values_of(tree)
    broken = [link for link in broken_links(values) if not set(link.names) & set(wrong)]
    yield from (link.said(values, origin) for link in broken)
    if broken and not NAMES & set(wrong):
        given = (
            f"{section}.{name}" for section in Settings.model_fields for name in getattr(tree, section).model_fields_set
        )
        changes = mend(values, frozenset(given))
        said = (f"{name}={plain(value)} instead of {plain(values[name])}" for name, value in changes.items())
        yield f"all of it holds together with {' and '.join(said)}"
    yield from _clashing_topics(tree.topics, origin)
    if tree.analytics.hopping_s % tree.analytics.hop_s:
        at = origin("analytics.hopping_s")
        yield f"analytics.hopping_s={tree.analytics.hopping_s}{at} is no multiple of hop_s={tree.analytics.hop_s}"
    if tree.analytics.alert_clear_share > tree.analytics.alert_share:
        at = origin("analytics.alert_clear_share")
        share = f"alert_share={tree.analytics.alert_share}"
        yield f"analytics.alert_clear_share={tree.analytics.alert_clear_share}{at} is above {share}"
    if tree.analytics.group == tree.kafka.group:
        at = origin("analytics.group")
        yield f"analytics.group={tree.analytics.group}{at} is the workers' kafka.group: give each its own"
    if (tree.kafka.sasl_username is None) != (tree.kafka.sasl_password is None):
        yield "kafka.sasl_username and kafka.sasl_password go together: set both, or none"


def _clashing_topics(topics: TopicSettings, origin: Callable[[str], str]) -> Iterator[str]:
    """Topics that are used for two things."""
    recordings = f"topics.recordings{origin('topics.recordings')}"
    used: dict[str, list[str]] = {}
    for name in ("recordings", "results", "segments", "ledger", "trends", "alerts", "partials", "connect_dead_letters"):
        used.setdefault(getattr(topics, name), []).append(f"topics.{name}{origin(f'topics.{name}')}")
    for name in (*topics.lanes, topics.dead_letters):
        used.setdefault(name, []).append(f"what belongs to {recordings}")
    for name, things in used.items():
        if len(things) > 1:
            yield f"{name!r} is used for {' and '.join(things)}; give each its own name"
