"""Settings for work of our own beside somebody's: other topics, another group, another producer."""

from streamproc.settings import Settings, TopicSettings


def apart(settings: Settings, prefix: str, partitions: int) -> Settings:
    """The settings with names that begin with ``prefix``, for a worker that is read by the process that starts it."""
    topics = settings.topics.model_dump() | {
        name: f"{prefix}.{name}" for name in ("recordings", "results", "segments", "ledger")
    }
    return settings.model_copy(
        update={
            "topics": TopicSettings(**topics | {"partitions": partitions, "lane_partitions": 1}),
            "kafka": settings.kafka.model_copy(
                update={"group": f"streamproc-{prefix}", "transactional_prefix": f"streamproc-{prefix}"}
            ),
            "http": settings.http.model_copy(update={"host": "127.0.0.1", "port": 0}),
            "log": settings.log.model_copy(update={"level": "info", "format": "json"}),
        }
    )
