"""Where partitions end, asked beside the group."""

from collections.abc import Collection, Mapping

import confluent_kafka
from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it re-exports these without saying so to mypy
    AdminClient,
    OffsetSpec,
)

from streamproc.kafka.config import build, client_config
from streamproc.kafka.errors import DOWN, TIMED_OUT, away, describe
from streamproc.records.record import TopicPartition
from streamproc.settings import Settings

_ASK_S = 5.0
_UNANSWERED = DOWN | {TIMED_OUT}


class PartitionEnds:
    """Has a client of its own from the first question on, for one thread: the consumer knows only what it fetched."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin: AdminClient | None = None

    def read(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """One past the last offset of each that readers of committed records may see, of those whose leader answers.

        Raises DependencyDownError when none does.

        A client that a broker answers with an error is given up, and a new one asks: after a broker's restart the old
        one can believe for ever in a leader's epoch that is over (FENCED_LEADER_EPOCH).
        """
        found, refused, detail = self._ask(partitions)
        if refused:
            self._admin = None
        if refused and not found:
            found, refused, detail = self._ask(partitions)
        if partitions and not found:
            raise away(self._settings.kafka.bootstrap_servers, detail)
        return found

    def _ask(self, partitions: Collection[TopicPartition]) -> tuple[Mapping[TopicPartition, int], bool, str]:
        """What was found, whether a broker answered with an error, and what the last one was."""
        if self._admin is None:
            self._admin = build(AdminClient, client_config(self._settings))
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the client ships no types for it
        asked = {confluent_kafka.TopicPartition(one.topic, one.partition): latest for one in partitions}
        committed = confluent_kafka.IsolationLevel.READ_COMMITTED
        futures = self._admin.list_offsets(asked, isolation_level=committed, request_timeout=_ASK_S)
        found: dict[TopicPartition, int] = {}
        refused, detail = False, f"no answer in {_ASK_S:g} s"
        for place, future in futures.items():
            try:
                found[TopicPartition(place.topic, place.partition)] = future.result(_ASK_S).offset
            except KafkaException as raised:
                detail = describe(raised.args[0])
                refused = refused or raised.args[0].code() not in _UNANSWERED
            except TimeoutError:
                break  # the others were asked at the same time
        return found, refused, detail
