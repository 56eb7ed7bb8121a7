"""One frozen tree of settings, from ``STREAMPROC_<SECTION>__<NAME>`` variables, ``.streamproc/local.env`` or TOML.

Precedence, highest first: arguments, environment, ``local.env`` of ``local.state_dir`` (written by ``streamproc up``),
the TOML file named by ``STREAMPROC_CONFIG``, defaults. Impossible combinations are refused here, once, with the reason.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from streamproc.chain import broken_links
from streamproc.errors import UsageError
from streamproc.refusal import Listed, check_sections, toml_source, unreadable

LOCAL_ENV = "local.env"
"""The file in ``local.state_dir`` that leads to the servers of ``streamproc up``."""


def _number(value: object) -> object:
    """Refuse what pydantic would take for 1 or 0."""
    if isinstance(value, bool):
        raise ValueError("this is a number, not true or false")  # noqa: TRY004  # pydantic's way
    return value


Name = Annotated[str, Field(min_length=1)]
Topic = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,230}$")]
"""As Kafka takes them, with room for the ends of the lanes' names."""
Positive = Annotated[float, BeforeValidator(_number), Field(gt=0)]
Count = Annotated[int, BeforeValidator(_number), Field(ge=1)]
Port = Annotated[int, BeforeValidator(_number), Field(ge=0, le=65535)]
Delay = Annotated[float, BeforeValidator(_number), Field(gt=0, le=86_400)]
"""A lane keeps its records for days, not for ever: one that is due after them would be lost (G1)."""
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
    group: Name = "streamproc-emotion"
    group_protocol: Literal["consumer", "classic"] = "consumer"
    delivery: Literal["exactly_once", "at_least_once"] = "exactly_once"
    transactional_prefix: Name = "streamproc"
    slot: int | None = None
    """Worker slot; None takes the StatefulSet ordinal from the host name, else the lowest free file lock."""
    security_protocol: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = "plaintext"
    sasl_mechanism: str | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_ca_location: Path | None = None
    transaction_timeout_s: Positive = 30
    """The longest time for one commit. With ``at_least_once``, which has no transactions, for writing its rows."""
    max_poll_interval_s: Positive = 300
    session_timeout_s: Positive = 6
    """Used by the classic protocol; with ``consumer`` it is the broker's setting and this is what we expect of it."""


class RegistrySettings(Section):
    """The schema registry (Confluent API)."""

    url: str = "http://127.0.0.1:8081"
    username: str | None = None
    password: SecretStr | None = None
    timeout_s: Positive = 5


class RedisSettings(Section):
    """The shared tier. An empty url runs without it."""

    url: SecretStr | None = SecretStr("redis://127.0.0.1:6379/0")
    timeout_s: Positive = 0.5
    ttl_s: Count = 86_400


class StorageSettings(Section):
    """The object store (S3 API)."""

    endpoint: str = "http://127.0.0.1:9000"
    access_key: SecretStr = SecretStr("")
    secret_key: SecretStr = SecretStr("")
    region: str = "us-east-1"
    bucket: str = "recordings"
    allowed_buckets: Annotated[tuple[str, ...], Listed] = ()
    """Buckets an event may name; empty means just ``bucket``."""
    connect_timeout_s: Positive = 3
    read_timeout_s: Positive = 15
    """The longest silence of the store."""
    object_timeout_s: Positive = 120
    """The longest time for one whole object, however steadily its bytes drip."""
    young_s: Positive = 60
    """A missing object of an event younger than this is not there yet; of an older one it is missing."""

    @property
    def buckets(self) -> frozenset[str]:
        """Every bucket that an event may name."""
        return frozenset(self.allowed_buckets or (self.bucket,))


class TopicSettings(Section):
    """Names and partition counts of the topics."""

    recordings: Topic = "audio.recordings"
    results: Topic = "emotion.results"
    segments: Topic = "emotion.segments"
    ledger: Topic = "streamproc.ledger"
    partitions: Count = 12
    lane_partitions: Count = 3
    replication_factor: Count = 1

    @property
    def lanes(self) -> tuple[str, str]:
        """The retry topics, shortest delay first."""
        return f"{self.recordings}.retry.10s", f"{self.recordings}.retry.5m"

    @property
    def dead_letters(self) -> str:
        """The dead-letter topic."""
        return f"{self.recordings}.dlq"


class AudioSettings(Section):
    """What is accepted as a recording, and the sandbox that decodes it."""

    max_object_bytes: Count = 256 * 1024**2
    max_seconds: Positive = 4 * 3600
    min_sample_rate: Count = 4_000
    max_sample_rate: Count = 192_000
    max_channels: Count = 8
    decoders: Count = 2
    decoder_memory_bytes: Count = 1536 * 1024**2
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
    threads: Annotated[int, Field(ge=0)] = 0
    """CPU threads of the device process; 0 means all cores."""
    max_batch_seconds: Positive = 60
    """Padded audio-seconds of one compute batch on an accelerator; on CPU clips run alone, which is faster there."""
    stuck_s: Positive = 120
    """A device process that has work and says nothing for so long is killed and replaced: some drivers hang."""
    deaths_allowed: Count = 3
    deaths_window_s: Positive = 600


class DedupeSettings(Section):
    """How far a known analysis is shared."""

    scope: Literal["global", "tenant"] = "global"
    memory_bytes: Count = 64 * 1024**2


class FlowSettings(Section):
    """Ceilings of what is in flight."""

    micro_batch_records: Count = 512
    linger_s: Positive = 0.05
    micro_batches: Count = 4
    in_flight_bytes: Count = 512 * 1024**2
    in_flight_audio_s: Positive = 3_600
    drain_s: Positive = 60
    io_threads: Count = 16
    pause_after_s: Positive = 5
    """A pause throws the prefetch away, so short back-pressure is waited out."""
    produce_again: Count = 10
    """How often the outcomes of an aborted transaction are produced again before the process gives up."""
    max_header_count: Count = 64
    max_header_bytes: Count = 64 * 1024


class RetrySettings(Section):
    """The lanes."""

    delays_s: Annotated[tuple[Delay, Delay], Listed] = (10, 300)
    attempts_per_lane: Count = 3


class HttpSettings(Section):
    """The worker's own endpoints: /metrics /healthz /readyz /status."""

    host: str = "127.0.0.1"
    port: Port = 9464


class LogSettings(Section):
    """How the process speaks."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"


class LocalSettings(Section):
    """The servers that ``streamproc up`` starts on this computer."""

    prefer_path: bool = True
    """Use java, mvn, go, redis-server and minio from PATH where they are; False takes the Python packages."""
    state_dir: Path = Path(".streamproc")
    cache_dir: Path | None = None
    """Downloads, models and built servers; None means STREAMPROC_CACHE, else ~/.cache/streamproc."""
    kafka_heap_mb: Count = 512


class Settings(BaseSettings):
    """Everything that can be set. Made by itself it holds what the user set; ``load_settings`` adds ``local.env``."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_prefix="STREAMPROC_",
        env_nested_delimiter="__",
        enable_decoding=False,  # a list is read by ``Listed``, everything else is plain text
    )

    kafka: KafkaSettings = KafkaSettings()
    registry: RegistrySettings = RegistrySettings()
    redis: RedisSettings = RedisSettings()
    storage: StorageSettings = StorageSettings()
    topics: TopicSettings = TopicSettings()
    audio: AudioSettings = AudioSettings()
    model: ModelSettings = ModelSettings()
    dedupe: DedupeSettings = DedupeSettings()
    flow: FlowSettings = FlowSettings()
    retry: RetrySettings = RetrySettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()
    local: LocalSettings = LocalSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the TOML file last, below what a deployment sets by environment."""
        file = _toml_file()
        toml = (toml_source(settings_cls, file),) if file else ()
        return init_settings, env_settings, dotenv_settings, file_secret_settings, *toml

    @model_validator(mode="after")
    def _possible(self) -> Self:
        """Refuse combinations that cannot keep the guarantees, all of them at once."""
        problems = broken_links(self)
        topics, kafka = self.topics, self.kafka
        names = [*topics.lanes, topics.dead_letters, topics.recordings, topics.results, topics.segments, topics.ledger]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            problems.append(f"topics: {', '.join(twice)} is used for two things; give each its own name")
        if (kafka.sasl_username is None) != (kafka.sasl_password is None):
            problems.append("kafka.sasl_username and kafka.sasl_password go together: set both, or none")
        if problems:
            raise ValueError("\n".join(problems))
        return self


def load_settings(**overrides: object) -> Settings:
    """Read the settings once. Raises UsageError naming each setting that is wrong, and why."""
    check_sections(os.environ, Settings)
    try:
        users = Settings(**overrides)  # type: ignore[arg-type]  # the sections validate themselves
    except ValidationError as error:
        raise unreadable(error.errors(), Settings, _toml_file()) from None
    try:
        return Settings(_env_file=users.local.state_dir / LOCAL_ENV, **overrides)  # type: ignore[arg-type,call-arg]  # pydantic-settings' own argument
    except ValidationError as error:  # the TOML file was right by itself: this comes from the other file
        raise unreadable(error.errors(), Settings, None) from None
    except OSError as error:  # the TOML file has its own errors: this is the other file
        raise UsageError(
            f"{LOCAL_ENV} of local.state_dir cannot be looked at: {error.strerror}. "
            "Set STREAMPROC_LOCAL__STATE_DIR to a folder of yours"
        ) from None


def _toml_file() -> Path | None:
    """The file that the user named."""
    file = os.environ.get("STREAMPROC_CONFIG")
    return Path(file) if file else None


def cache_root(configured: Path | None, environment: Mapping[str, str]) -> Path:
    """The cache folder: the setting ``local.cache_dir``, else STREAMPROC_CACHE, else ~/.cache/streamproc."""
    if configured is not None:
        return configured.absolute()
    named = environment.get("STREAMPROC_CACHE")
    return Path(named).absolute() if named else Path.home() / ".cache" / "streamproc"


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
