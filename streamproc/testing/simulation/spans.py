"""The settings of a run."""

from functools import lru_cache

from streamproc.settings import (
    AudioSettings,
    BrakeSettings,
    DedupeSettings,
    FlowSettings,
    KafkaSettings,
    RetrySettings,
    Settings,
    StorageSettings,
    TopicSettings,
)

SESSION_S = 1.0
STRAGGLER_S = 1.0
"""Within what a slow fetch takes."""


@lru_cache
def settings_for(  # noqa: PLR0913  # what a plan says of them
    protocol: str,
    delivery: str,
    records: int,
    partitions: int,
    *,
    tight: bool,
    trust: str = "content",
    archive: bool = False,
    burst: bool = False,
    strict: bool = False,
) -> Settings:
    """Settings whose spans are short: virtual time is free, but what happens in it is not.

    Where no burst of bad records is planned the brake has its defaults, which no run reaches.
    """
    return Settings(
        kafka=KafkaSettings(
            group_protocol=protocol,  # type: ignore[arg-type]  # pydantic checks it
            delivery=delivery,  # type: ignore[arg-type]  # same
            transaction_timeout_s=1.5,
            max_poll_interval_s=20,
            session_timeout_s=SESSION_S,
        ),
        topics=TopicSettings(partitions=partitions, lane_partitions=1),
        storage=StorageSettings(young_s=5, straggler_s=STRAGGLER_S),
        audio=AudioSettings(max_object_bytes=80),
        dedupe=DedupeSettings(
            trust=trust,  # type: ignore[arg-type]  # same
            claim_wait_s=0.5,
            archive=archive,
            memory_bytes=4_000 if tight else 1_000_000,
            alias_bytes=2_000 if tight else 100_000,
        ),
        flow=FlowSettings(
            micro_batch_records=records,
            linger_s=0.1,
            micro_batches=2,
            in_flight_bytes=120 if tight else 5_000_000,
            in_flight_audio_s=0.2 if tight else 100,
            drain_s=2,
            io_threads=2 if tight else 4,
            pause_after_s=0.5,
        ),
        retry=RetrySettings(order="strict" if strict else "lanes", delays_s=(0.4, 1.0)),
        brake=BrakeSettings(window=10, in_a_row=4) if burst else BrakeSettings(),
    )
