"""Where partitions end, asked beside the group."""

from collections.abc import Collection, Mapping

import confluent_kafka
from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it re-exports these without saying so to mypy
    AdminClient,
    OffsetSpec,
)

from streamproc.kafka.config import build, client_config
from streamproc.kafka.errors import away, describe
from streamproc.records.record import TopicPartition
from streamproc.settings import Settings

_ASK_S = 5.0


class PartitionEnds:
    """Has a client of its own from the first question on, for one thread: the consumer knows only what it fetched."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin: AdminClient | None = None

    def read(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """One past the last offset of each that readers of committed records may see, of those whose leader answers.

        Raises DependencyDownError when none does.
        """
        if self._admin is None:
            self._admin = build(AdminClient, client_config(self._settings))
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the client ships no types for it
        asked = {confluent_kafka.TopicPartition(one.topic, one.partition): latest for one in partitions}
        committed = confluent_kafka.IsolationLevel.READ_COMMITTED
        futures = self._admin.list_offsets(asked, isolation_level=committed, request_timeout=_ASK_S)
        found: dict[TopicPartition, int] = {}
        detail = f"no answer in {_ASK_S:g} s"
        for place, future in futures.items():
            try:
                found[TopicPartition(place.topic, place.partition)] = future.result(_ASK_S).offset
            except KafkaException as raised:
                detail = describe(raised.args[0])
            except TimeoutError:
                break  # the others were asked at the same time
        if partitions and not found:
            raise away(self._settings.kafka.bootstrap_servers, detail)
        return found
