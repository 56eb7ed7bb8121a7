"""One frozen tree of settings, from ``STREAMPROC_<SECTION>__<NAME>`` variables, ``.streamproc/local.env`` or TOML.

Precedence, highest first: arguments, environment, ``local.env`` of ``local.state_dir`` (written by ``streamproc up``),
the TOML file named by ``STREAMPROC_CONFIG``, defaults. Impossible combinations are refused here, once, with the reason.
"""

import json
import os
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from streamproc.errors import UsageError

LOCAL_ENV = "local.env"
"""The file in ``local.state_dir`` that leads to the servers of ``streamproc up``."""

BEGIN_S = 5.0
"""What a new owner of a partition may take from being told to its first commit."""

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Port = Annotated[int, Field(ge=0, le=65535)]


def _listed(value: object) -> object:
    """The list that a variable holds as JSON. Here and not in pydantic-settings, whose error would not name it."""
    if not isinstance(value, str):
        return value
    try:
        found = json.loads(value)
    except ValueError:
        found = None
    if not isinstance(found, list):
        raise ValueError('as a variable this is a JSON list, as in [10, 300] or ["a", "b"]')  # noqa: TRY004  # pydantic's way
    return found


Listed = BeforeValidator(_listed)


class Section(BaseModel):
    """A frozen group of settings; an unknown name is an error, not a silent default."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class KafkaSettings(Section):
    """The broker, the group and the way results are delivered."""

    bootstrap_servers: str = "127.0.0.1:9092"
    group: str = "streamproc-emotion"
    group_protocol: Literal["consumer", "classic"] = "consumer"
    delivery: Literal["exactly_once", "at_least_once"] = "exactly_once"
    transactional_prefix: str = "streamproc"
    slot: int | None = None
    """Worker slot; None takes the StatefulSet ordinal from the host name, else the lowest free file lock."""
    security_protocol: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = "plaintext"
    sasl_mechanism: str | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_ca_location: Path | None = None
    transaction_timeout_s: Positive = 30
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

    recordings: str = "audio.recordings"
    results: str = "emotion.results"
    segments: str = "emotion.segments"
    ledger: str = "streamproc.ledger"
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

    name_or_dir: str = "demo"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """``auto`` is the CPU until the numbers of CUDA are measured against it; ``cuda`` is experimental."""
    precision: Literal["fp32"] = "fp32"
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

    delays_s: Annotated[tuple[Positive, Positive], Listed] = (10, 300)
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
    """Downloads and built servers; None means STREAMPROC_CACHE, else ~/.cache/streamproc."""
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
        file = os.environ.get("STREAMPROC_CONFIG")
        toml = (_toml(settings_cls, Path(file)),) if file else ()
        return init_settings, env_settings, dotenv_settings, file_secret_settings, *toml

    @model_validator(mode="after")
    def _possible(self) -> Self:
        """Refuse combinations that cannot keep the guarantees."""
        kafka, flow, audio = self.kafka, self.flow, self.audio
        if flow.drain_s > 0.2 * kafka.max_poll_interval_s:
            msg = (
                f"flow.drain_s={flow.drain_s:g} is over 20 % of kafka.max_poll_interval_s="
                f"{kafka.max_poll_interval_s:g}: a revoke could outlast the poll interval and lose its partitions"
            )
            raise ValueError(msg)
        if kafka.transaction_timeout_s >= kafka.max_poll_interval_s:
            msg = (
                f"kafka.transaction_timeout_s={kafka.transaction_timeout_s:g} must be below "
                f"kafka.max_poll_interval_s={kafka.max_poll_interval_s:g}: an open transaction would block readers "
                "for longer than the group waits for its owner"
            )
            raise ValueError(msg)
        quiet_s = flow.pause_after_s + flow.linger_s
        if quiet_s > 0.8 * kafka.max_poll_interval_s:
            msg = (
                f"flow.pause_after_s + flow.linger_s = {quiet_s:g} is over 80 % of kafka.max_poll_interval_s="
                f"{kafka.max_poll_interval_s:g}: the poll thread could be silent until its partitions are taken away"
            )
            raise ValueError(msg)
        names = [*self.topics.lanes, self.topics.dead_letters]
        names += [self.topics.recordings, self.topics.results, self.topics.segments, self.topics.ledger]
        if len(set(names)) < len(names):
            msg = f"topics: {sorted(n for n in set(names) if names.count(n) > 1)} is used for two things"
            raise ValueError(msg)
        if flow.in_flight_bytes < audio.max_object_bytes:
            msg = (
                f"flow.in_flight_bytes={flow.in_flight_bytes} is below audio.max_object_bytes="
                f"{audio.max_object_bytes}: the largest accepted recording could never be fetched"
            )
            raise ValueError(msg)
        if audio.min_sample_rate > audio.max_sample_rate:
            msg = "audio.min_sample_rate is above audio.max_sample_rate: nothing would be accepted"
            raise ValueError(msg)
        if (kafka.sasl_username is None) != (kafka.sasl_password is None):
            msg = "kafka.sasl_username and kafka.sasl_password go together"
            raise ValueError(msg)
        return self


def takeover_s(settings: Settings) -> float:
    """Seconds after which the partitions of a worker that was killed go on elsewhere, at the latest.

    The group gives it up after its session, the broker ends the transaction that it left open, and the new owner
    begins. Both clocks run from the kill on, so that the sum is generous.
    """
    return settings.kafka.session_timeout_s + settings.kafka.transaction_timeout_s + BEGIN_S


def _toml(settings_cls: type[BaseSettings], file: Path) -> TomlConfigSettingsSource:
    """Read the file that the user named: what is not understood there was meant for something. Raises UsageError."""
    if not file.is_file():
        raise UsageError(f"STREAMPROC_CONFIG names {file}, which is no file")
    try:
        source = TomlConfigSettingsSource(settings_cls, file)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not TOML: it is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file} is not TOML: {error}") from None
    sections = settings_cls.model_fields.keys()
    if unknown := sorted(source.toml_data.keys() - sections):
        raise UsageError(f"{file} has {', '.join(unknown)}; the sections are {', '.join(sections)}")
    return source


def load_settings(**overrides: object) -> Settings:
    """Read the settings once. Raises UsageError naming each setting that is wrong, and why."""
    _check_sections(os.environ)
    try:
        users = Settings(**overrides)  # type: ignore[arg-type]  # the sections validate themselves
        return Settings(_env_file=users.local.state_dir / LOCAL_ENV, **overrides)  # type: ignore[arg-type,call-arg]  # pydantic-settings' own argument
    except ValidationError as error:
        raise UsageError("the settings are impossible:\n" + "\n".join(map(_line, error.errors()))) from None
    except OSError as error:  # the TOML file has its own errors: this is the other file
        raise UsageError(
            f"{LOCAL_ENV} of local.state_dir cannot be looked at: {error.strerror}. "
            "Set STREAMPROC_LOCAL__STATE_DIR to a folder of yours"
        ) from None


def _line(error: ErrorDetails) -> str:
    """What is wrong with one setting, never its value: that may be a secret."""
    name = ".".join(map(str, error["loc"])) or "settings"
    variable = "__".join(map(str, error["loc"][:2])).upper()
    said = _unknown(error["loc"]) if error["type"] == "extra_forbidden" else error["msg"]
    return f"  {name}{f' (STREAMPROC_{variable})' if variable else ''}: {said}"


def _unknown(place: tuple[int | str, ...]) -> str:
    """What is said of a name that its section does not have, with the one that was meant perhaps."""
    section, name = map(str, place[:2])
    kind = Settings.model_fields[section].annotation
    known = kind.model_fields if isinstance(kind, type) and issubclass(kind, Section) else ()
    return "unknown setting" + _meant(name, {one: f"{section}.{one}" for one in known})


def _check_sections(variables: Iterable[str]) -> None:
    """Refuse variables of sections that do not exist: pydantic-settings would pass them over in silence.

    Only ``STREAMPROC_<X>__<Y>`` is ours: Kubernetes sets STREAMPROC_PORT and the like for a service of that name.
    """
    known = {section.upper(): section for section in Settings.model_fields}
    choice = f"; the sections are {', '.join(known.values())}"
    lines = []
    for variable in sorted(variables):
        prefix, found, _ = variable.upper().removeprefix("STREAMPROC_").partition("__")
        if variable.upper().startswith("STREAMPROC_") and found and prefix not in known:
            meant = _meant(prefix, {name: f"STREAMPROC_{name}__" for name in known})
            lines.append(f"  {variable}: unknown section{meant or choice}")
    if lines:
        raise UsageError("the settings are impossible:\n" + "\n".join(lines))


def _meant(name: str, known: Mapping[str, str]) -> str:
    """``; did you mean ...?`` of the closest known name, as it is to be written; empty when none is close."""
    close = get_close_matches(name, known, n=1)
    return f"; did you mean {known[close[0]]}?" if close else ""
