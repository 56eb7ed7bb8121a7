"""One frozen tree of settings, from ``STREAMPROC_<SECTION>__<NAME>`` variables, ``.streamproc/local.env`` or TOML.

Precedence, highest first: arguments, environment, ``local.env`` of ``local.state_dir`` (written by ``streamproc up``),
the TOML file named by ``STREAMPROC_CONFIG``, defaults. Impossible combinations are refused here, once, with the reason.
"""

import logging
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from streamproc.chain import NAMES, broken_links, mend, plain, values_of
from streamproc.kinds import (
    Attributes,
    Count,
    Delays,
    Name,
    Names,
    NotNegative,
    Number,
    Port,
    Positive,
    Share,
    Topic,
)
from streamproc.refusal import impossible, read_sections, strays
from streamproc.written import CONFIG, Written, from_arguments, from_local_env, from_toml, from_variables

_log = logging.getLogger(__name__)

LOCAL_ENV = "local.env"
"""The file in ``local.state_dir`` that leads to the servers of ``streamproc up``."""


ASSIGNMENT_S = 5.0
"""For the assignment itself."""
OVERDUE_S = 10.0
"""How often a broker looks for overdue transactions, unless it is told otherwise
(``transaction.abort.timed.out.transaction.cleanup.interval.ms``)."""
HEARTBEATS = 4
"""In a session at least: the classic client is told so, a broker is expected to ask for no fewer."""


class Section(BaseModel):
    """A frozen group of settings; an unknown name is an error, not a silent default."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class KafkaSettings(Section):
    """The broker, the group and the way results are delivered."""

    bootstrap_servers: Name = "127.0.0.1:9092"
    """Brokers to begin with, as in kafka-1:9092,kafka-2:9092."""
    group: Name = "streamproc-emotion"
    """The consumer group: workers with the same name share the recordings."""
    group_protocol: Literal["consumer", "classic"] = "consumer"
    """``consumer`` is KIP-848's, ``classic`` the one before."""
    delivery: Literal["exactly_once", "at_least_once"] = "exactly_once"
    """With ``at_least_once`` a crash can write rows twice."""
    transactional_prefix: Name = "streamproc"
    """Begins each worker's transactional id; the cluster's other groups need other ones."""
    slot: Annotated[Number | None, Field(description="a whole number, at least 0")] = None
    """Worker slot; None takes the StatefulSet ordinal from the host name, else the lowest free file lock."""
    security_protocol: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = "plaintext"
    sasl_mechanism: str | None = None
    """As in PLAIN, SCRAM-SHA-256, SCRAM-SHA-512."""
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_ca_location: Path | None = None
    """Certificates of the authorities that are trusted, in PEM; often found without."""
    transaction_timeout_s: Positive = 30
    """The longest time for one commit. With ``at_least_once``, which has no transactions, for writing its rows."""
    max_poll_interval_s: Positive = 300
    """The longest silence of the polling thread before the group takes its partitions away."""
    session_timeout_s: Positive = 6
    """Used by the classic protocol; with ``consumer`` it is the broker's setting and this is what we expect of it."""


class RegistrySettings(Section):
    """The schema registry (Confluent API)."""

    url: str = "http://127.0.0.1:8081"
    """Where it listens, as in http://registry:8081."""
    username: str | None = None
    password: SecretStr | None = None
    timeout_s: Positive = 5
    """For one request; it is made twice."""


class RedisSettings(Section):
    """The shared tier. An empty url runs without it."""

    url: SecretStr | None = SecretStr("redis://127.0.0.1:6379/0")
    """As in redis://host:6379/0, rediss:// for TLS; empty runs without it."""
    timeout_s: Positive = 0.5
    """For one request. Work goes on without the tier when it is slower."""
    ttl_s: Count = 86_400
    """How long an analysis is remembered."""


class StorageSettings(Section):
    """The object store (S3 API)."""

    endpoint: str = "http://127.0.0.1:9000"
    """http(s)://host[:port], and nothing more."""
    access_key: SecretStr = SecretStr("")
    """With ``secret_key``; without both, requests are not signed."""
    secret_key: SecretStr = SecretStr("")
    region: str = "us-east-1"
    bucket: str = "recordings"
    """Where ``publish`` stores recordings; an event may name others that are allowed."""
    allowed_buckets: Names = ()
    """Buckets an event may name; empty means just ``bucket``."""
    connect_timeout_s: Positive = 3
    read_timeout_s: Positive = 15
    """The longest silence of the store."""
    object_timeout_s: Positive = 120
    """The longest time for one whole object, however steadily its bytes drip."""
    straggler_s: Positive = 10
    """An object that takes longer, and longer than its declared size takes at ``slowest_bytes_per_s``, goes to a lane
    and holds its neighbours up no more. One whose event declares no size has ``object_timeout_s``."""
    slowest_bytes_per_s: Count = 2 * 1024**2
    """The slowest that a large object may come."""
    young_s: Positive = 60
    """A missing object of an event younger than this is not there yet; of an older one it is missing."""

    @property
    def buckets(self) -> frozenset[str]:
        """Every bucket that an event may name."""
        return frozenset(self.allowed_buckets or (self.bucket,))


class TopicSettings(Section):
    """Names and partition counts of the topics."""

    recordings: Topic = "audio.recordings"
    """The input; the lanes, the dead letters and what tells of replays are named after it."""
    results: Topic = "emotion.results"
    segments: Topic = "emotion.segments"
    ledger: Topic = "streamproc.ledger"
    trends: Topic = "emotion.trends"
    alerts: Topic = "emotion.alerts"
    partials: Topic = "streamproc.partials"
    """What the members of the analytics app tell each other; nobody else's business."""
    connect_dead_letters: Topic = "streamproc.connect.dead"
    """Where connectors of the warehouse put records that they cannot read."""
    partitions: Count = 12
    """Of input, results, segments and ledger, where ``up`` makes them."""
    lane_partitions: Count = 3
    """Of each lane and of the dead letters."""
    replication_factor: Count = 1
    """Of the topics that ``up`` makes; 3 on a cluster."""

    @property
    def lanes(self) -> tuple[str, str]:
        """The retry topics, shortest delay first."""
        return f"{self.recordings}.retry.10s", f"{self.recordings}.retry.5m"

    @property
    def dead_letters(self) -> str:
        """The dead-letter topic."""
        return f"{self.recordings}.dlq"

    @property
    def of_records(self) -> tuple[str, ...]:
        """Where a place belongs to one record's life."""
        return self.recordings, *self.lanes, self.dead_letters, self.results

    @property
    def replays(self) -> str:
        """What tells which dead letters were put back."""
        return f"{self.recordings}.replays"


class ConnectSettings(Section):
    """Kafka Connect, which brings results to the warehouse."""

    url: str = "http://127.0.0.1:8083"
    """Where its REST API listens, as in http://connect:8083."""
    timeout_s: Positive = 30
    """For one request, and for a connector to begin."""
    registry_url: str | None = None
    """Where its converters ask Apicurio's own API, as in http://registry:8080/apis/registry/v2; without, it is made of
    ``registry.url``."""
    tasks: Count = 1
    """Of each connector. They share out the topic's partitions; each holds up to two connections to the warehouse."""


class WarehouseSettings(Section):
    """The database that results are brought to (PostgreSQL)."""

    address: Name = "127.0.0.1:5432"
    """host:port, for Kafka Connect too."""
    database: Name = "streamproc"
    namespace: Annotated[
        str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$", description="up to 63 of a-z, 0-9 and _, no digit first")
    ] = "public"
    """The schema of PostgreSQL that the tables are in; it has to be there."""
    user: Name = "streamproc"
    password: SecretStr = SecretStr("")
    """It stands in no connector: workers of Kafka Connect read it from a variable of theirs, of the same name."""
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = "prefer"
    """As PostgreSQL's own clients take it. Certificates are found where these look: ``~/.postgresql/root.crt``."""


class AudioSettings(Section):
    """What is accepted as a recording, and the sandbox that decodes it."""

    max_object_bytes: Count = 256 * 1024**2
    """A larger recording is a dead letter, ``object_too_large``."""
    max_seconds: Positive = 4 * 3600
    """A longer recording is a dead letter, ``audio_too_long``."""
    min_sample_rate: Count = 4_000
    max_sample_rate: Count = 192_000
    max_channels: Count = 8
    decoders: Count = 2
    """Processes that decode, one recording each at a time."""
    decoder_memory_bytes: Count = 1536 * 1024**2
    """Address space of one of them."""
    decode_timeout_s: Positive = 30
    """Wall time for one file; two seconds more are granted for each minute of audio in it."""


class ModelSettings(Section):
    """The network and where it runs."""

    engine: Annotated[str, Field(pattern=r"^(streamproc|funasr|[A-Za-z_][\w.]*:[A-Za-z_]\w*)$")] = "streamproc"
    """What computes: `streamproc`; `funasr`, that program itself, clip by clip (an extra); or an analyzer of your own
    as `package.module:factory`, which is imported and run (docs/analyzers.md)."""
    name_or_dir: str = "demo"
    """A model of `streamproc model pull` by name, or a directory in FunASR's layout by path."""
    hub: Literal["huggingface", "modelscope"] = "huggingface"
    """Where `model pull` takes models from."""
    hub_url: SecretStr | None = None
    """A mirror of that hub, as in https://mirror.example.com."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """``auto`` is the CPU until the numbers of CUDA are measured against it; ``cuda`` is experimental."""
    precision: Literal["fp32", "bf16", "fp16", "int8"] = "fp32"
    """The same for the whole group: it is part of the fingerprint. `fp16` needs CUDA, `int8` the CPU;
    `model info --measure` tells what each gains and costs."""
    threads: Number = 0
    """CPU threads of the device process; 0 means all cores of its affinity that its cgroup's CPU quota pays for."""
    max_batch_seconds: Positive = 60
    """Padded audio-seconds of one compute batch on an accelerator; on CPU clips run alone, which is faster there."""
    load_s: Positive = 240
    """A device process that is not warm after so long is killed and replaced. A disk may be cold and cores busy; but
    ``deaths_allowed`` of them have to fall into ``deaths_window_s``, or one that always hangs is never told."""
    stuck_s: Positive = 120
    """A warm one that has work and says nothing for so long is, too: some drivers hang."""
    deaths_allowed: Count = 3
    """So many deaths of the device process within ``deaths_window_s`` end the worker. One that had a single segment on
    it counts against that segment; so many segments (at least 2) in a row end the worker as well."""
    deaths_window_s: Positive = 600


class DedupeSettings(Section):
    """How far a known analysis is shared."""

    scope: Literal["global", "tenant"] = "global"
    """Whom equal bytes are computed once for: everybody, or each tenant by itself."""
    trust: Literal["content", "etag", "declared"] = "content"
    """What spares a fetch: nothing, so that all bytes are hashed; the version or ETag of an object that was fetched
    before; or the sha256 that the event declares, from producers you trust."""
    claim_wait_s: NotNegative = 2
    """How long a worker waits for an analysis that another one is computing, before it computes it too; 0: not at all.
    It holds up its micro-batch by as much."""
    archive: bool = False
    """Keep analyses in ``storage.bucket`` too, under ``analyses/``, for as long as you keep them there. What is new
    costs a GET and a PUT more."""
    memory_bytes: Count = 64 * 1024**2
    """What a worker remembers by itself."""
    alias_bytes: Count = 16 * 1024**2
    """What a worker remembers of objects' versions and ETags, with ``trust`` on ``etag``."""


class FlowSettings(Section):
    """Ceilings of what is in flight."""

    micro_batch_records: Count = 512
    """The most records of one commit."""
    linger_s: Positive = 0.05
    """How long a poll gathers records."""
    micro_batches: Count = 4
    """How many may be in flight at a time."""
    in_flight_bytes: Count = 512 * 1024**2
    """The most bytes of recordings in flight."""
    in_flight_audio_s: Positive = 3_600
    """The most audio in flight, in seconds; waveforms take 64 KB a second."""
    drain_s: Positive = 60
    """How long a stop, or partitions that are given back, may wait for what is in flight."""
    io_threads: Count = 16
    """Threads that fetch from the store."""
    pause_after_s: Positive = 5
    """A pause throws the prefetch away, so short back-pressure is waited out."""
    produce_again: Count = 10
    """How often the outcomes of an aborted transaction are produced again before the process gives up."""
    max_header_count: Count = 64
    """A record with more headers, or more bytes of them, is a dead letter."""
    max_header_bytes: Count = 64 * 1024


class WorkerSettings(Section):
    """A worker as a process."""

    start_wait_s: Positive = 60
    """How long a starting worker waits for brokers and registry. Once it works it waits for what goes away."""
    stuck_s: Positive = 60
    """A thread that is at one thing for so long, past all its time-outs, is stuck: the process ends (exit code 4)."""


class RetrySettings(Section):
    """What becomes of a record that fails for now."""

    order: Literal["lanes", "strict"] = "lanes"
    """With ``strict`` it is tried again in place, so that outputs of one key keep the input's order without exception;
    what shares its micro-batch, and what comes behind, waits for it."""
    delays_s: Delays = (10, 300)
    """How long a record waits on the first lane, and on the second: two delays, ascending, a day at most. With
    ``strict`` waits double from the first to the second."""
    attempts_per_lane: Count = 3
    """How often a record tries each lane before it moves on; with ``strict`` it is tried as often in all."""


class BrakeSettings(Section):
    """When a worker takes no more records because too many end as dead letters."""

    window: Count = 100
    """The last so many records are looked at."""
    ratio: Share = 0.5
    """More dead letters among them than this share turn it on; 1 turns this rule off."""
    in_a_row: Count = 50
    """So many dead letters one after the other turn it on, too."""


class HttpSettings(Section):
    """The worker's own endpoints: /metrics /healthz /readyz /startupz /status, and POST /brake/release."""

    host: str = "127.0.0.1"
    """Where it listens; 0.0.0.0 for every interface."""
    port: Port = 9464
    """0 takes a free one, which the log names."""


class PrometheusSettings(Section):
    """The Prometheus that scrapes the workers, for ``streamproc report``."""

    url: str | None = None
    """Where it listens, as in `http://prometheus:9090`. Without it, reports are read from the topics."""
    username: str | None = None
    password: SecretStr | None = None
    timeout_s: Positive = 60
    """For one question; a report asks 13."""


class TraceSettings(Section):
    """Traces by OpenTelemetry."""

    endpoint: str | None = None
    """Where traces go, by OTLP over HTTP, as in `http://127.0.0.1:4318/v1/traces`. Without it there are none."""
    share: Share = 0.1
    """Of records that no caller traces, and of micro-batches. A caller's own decision is followed."""


class AnalyticsSettings(Section):
    """Trends and alerts over the results (docs/analytics.md)."""

    group: Name = "streamproc-analytics"
    """The group of the app's processes; another name begins anew, beside the old one."""
    attributes: Attributes = ("tenant", "agent", "queue")
    """What windows are kept for, beside all results together."""
    most_values: Count = 10_000
    """So many different values of an attribute are kept apart, in each stretch of time of a partition; what comes
    beyond them counts as ``(other)``."""
    tumbling_s: Count = 3_600
    """Length of the windows that follow each other."""
    hopping_s: Count = 3_600
    """Length of the windows that overlap; a multiple of ``hop_s``."""
    hop_s: Count = 900
    """From the begin of one such window to the next."""
    retention_s: Count = 86_400
    """How long a window is kept, and corrected by late results, once time has passed its end."""
    ahead_s: Count = 300
    """A recording begun more than this after its result, or either after its Kafka record, is left out and counted."""
    negative_labels: Names = ("angry", "disgusted", "fearful", "sad")
    """Labels that count as negative."""
    alert_share: Share = 0.5
    """A negative share from which a window of a key raises an alert."""
    alert_support: Count = 20
    """With fewer labelled results a window raises none."""
    alert_clear_share: Share = 0.4
    """An alert is cleared when the share of its window falls below this; at most ``alert_share``."""
    emit_s: Positive = 2
    """From a result to its trends at most, about; also how often a process tells the others what it has."""
    host: str = "127.0.0.1"
    """Where the query API and its page listen; 0.0.0.0 for every interface."""
    port: Port = 9474
    """0 takes a free one, which the log names."""


class LogSettings(Section):
    """How the process speaks."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is said."""
    format: Literal["auto", "json", "console"] = "auto"
    """``auto`` is lines for people on a terminal, JSON lines elsewhere."""


class LocalSettings(Section):
    """The servers that ``streamproc up`` starts on this computer."""

    prefer_path: bool = True
    """Use java, mvn, go, redis-server and minio from PATH where they are; False takes the Python packages."""
    state_dir: Path = Path(".streamproc")
    cache_dir: Path | None = None
    """Downloads, models and built servers; None means STREAMPROC_CACHE, else ~/.cache/streamproc."""
    kafka_heap_mb: Count = 512
    """Memory of the local Kafka."""


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
        if problems := list(_clashes(self, lambda _: "", frozenset())):
            raise ValueError("\n".join(problems))
        return self


def load_settings(**overrides: object) -> Settings:
    """Read the settings once. Raises UsageError naming each setting that is wrong, where it stands, and why.

    A variable that looks like ours and is none is told as a warning.
    """
    if others := strays(os.environ, Settings).others:
        _log.warning("ignored: %s. Settings are STREAMPROC_<SECTION>__<NAME>", ", ".join(others))
    return _load(overrides, with_local_env=True)


def users_settings() -> Settings:
    """The settings without ``local.env``, so that what is set is set by the user. Raises UsageError."""
    return _load({}, with_local_env=False)


def _load(arguments: Mapping[str, object], *, with_local_env: bool) -> Settings:
    written = _read(arguments, with_local_env=with_local_env)
    read = read_sections(written, Settings)

    def origin(name: str) -> str:
        entry = written.get(tuple(name.split(".")))
        return f" ({entry.place()})" if entry else " (by default)"

    together = _clashes(SimpleNamespace(**read.sections), origin, read.wrong)
    if problems := [*strays(os.environ, Settings).slips, *read.problems, *together]:
        raise impossible(problems)
    return Settings.model_validate(read.sections)


def _read(arguments: Mapping[str, object], *, with_local_env: bool) -> Written:
    """What is written anywhere; the later outranks the earlier."""
    file = os.environ.get(CONFIG)
    toml = from_toml(Path(file)) if file else {}
    above = {**from_variables(os.environ, Settings.model_fields), **from_arguments(arguments)}
    entry = {**toml, **above}.get(("local", "state_dir"))
    folder = Path(str(entry.value)) if entry else LocalSettings().state_dir
    local = from_local_env(folder / LOCAL_ENV, Settings.model_fields) if with_local_env else {}
    return {**toml, **local, **above}


def _clashes(tree: Settings | SimpleNamespace, origin: Callable[[str], str], wrong: Collection[str]) -> Iterator[str]:
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


def cache_root(configured: Path | None, environment: Mapping[str, str]) -> Path:
    """The cache folder: the setting ``local.cache_dir``, else STREAMPROC_CACHE, else ~/.cache/streamproc."""
    if configured is not None:
        return configured.absolute()
    named = environment.get("STREAMPROC_CACHE")
    return Path(named).absolute() if named else Path.home() / ".cache" / "streamproc"


def without_credentials(url: str) -> str:
    """An address that may be shown: a name and a password are left out, before an ``@`` or behind a ``?``."""
    scheme, mark, rest = url.partition("?")[0].rpartition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"


def takeover_s(settings: Settings) -> float:
    """Seconds after which another worker has gone on with what one had that died: G7's bound.

    Two waits, side by side. The group misses the dead one when its session is over, and tells the others by a
    heartbeat. What it had in a transaction is decided when the broker finds that it is overdue, or at once when a
    worker comes back under its slot. With the ``consumer`` protocol the session is the broker's: this holds when
    ``kafka.session_timeout_s`` says what the broker has.
    """
    kafka = settings.kafka
    missed_s = kafka.session_timeout_s + heartbeat_s(settings)
    undecided_s = kafka.transaction_timeout_s + OVERDUE_S if kafka.delivery == "exactly_once" else 0.0
    return max(missed_s, undecided_s) + ASSIGNMENT_S


def handover_s(settings: Settings) -> float:
    """Seconds after which another worker has gone on with a partition that its owner lets go of.

    Both hear of it by a heartbeat, and each may have no room just then, so that it does not poll; the old one drains.
    """
    flow = settings.flow
    unheard_s = heartbeat_s(settings) + flow.pause_after_s + flow.linger_s
    return flow.drain_s + 2 * unheard_s + ASSIGNMENT_S


def heartbeat_s(settings: Settings) -> float:
    """The longest time between two heartbeats of a member (s)."""
    return settings.kafka.session_timeout_s / HEARTBEATS
