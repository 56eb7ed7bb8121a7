"""Faust's transport, reading what is committed and no more, and hearing what the group says.

Faust reads uncommitted rows unless it runs its own transactions: rows of a transaction that a worker aborted would
count. There is no setting for it (``faust/transport/drivers/aiokafka.py``, ``_create_worker_consumer``). Nor does it
ask its client for what went wrong in the group: a process that is refused there would wait for ever.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import aiokafka
import faust
from aiokafka.errors import KafkaError
from faust.assignor.partition_assignor import PartitionAssignor
from faust.transport.drivers import aiokafka as driver
from mode import Service

from streamproc.telemetry.log import get_log

_log = get_log(__name__)
_LOOK_S = 0.2
"""How soon a refusal is noticed."""
_COMMIT_S = 0.5
_LEAVE_S = 2.0
"""For a broker to hear that this process leaves; Faust itself would wait a minute, as it would for a last commit."""


class CommittedThread(driver.AIOKafkaConsumerThread):
    """Makes consumers that skip aborted rows, and tells what the group refuses."""

    logger = driver.logger
    mundane_level = "debug"

    def _create_worker_consumer(self, transport: driver.Transport) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"  # noqa: SLF001  # read when it starts; Faust passes a constant
        return consumer

    @Service.task
    async def _hear_the_group(self) -> None:
        while not self.should_stop:
            try:
                self._ensure_consumer()._coordinator.check_errors()  # noqa: SLF001  # who calls it is not called by Faust
            except KafkaError as error:
                cast("CommittedTransport", self.transport).refused(error)
                return
            await self.sleep(_LOOK_S)

    async def on_thread_stop(self) -> None:
        """Leave the group, or not: a client that lost its broker may wait for it, or end as if it was cancelled."""
        leaving = asyncio.ensure_future(super().on_thread_stop())
        await asyncio.wait([leaving], timeout=_LEAVE_S)
        leaving.cancel()
        (failure,) = await asyncio.gather(leaving, return_exceptions=True)
        if failure is not None:
            _log.warning("ended without leaving the group", error=type(failure).__name__, detail=str(failure))


class CommittedConsumer(driver.Consumer):
    """Runs such a consumer."""

    logger = driver.logger
    mundane_level = "debug"

    async def on_stop(self) -> None:
        """Commit, or not: nothing depends on it."""
        with suppress(TimeoutError):
            await asyncio.wait_for(super().on_stop(), _COMMIT_S)

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return CommittedThread(self, loop=self.loop, beacon=self.beacon)


class CommittedTransport(driver.Transport):
    """Hands it out. ``refused`` is called, on another thread, when the group does not take this process."""

    Consumer = CommittedConsumer

    def __init__(self, app: faust.App, refused: Callable[[KafkaError], None]) -> None:
        conf: Any = app.conf
        super().__init__(conf.broker_consumer, app)
        self.refused = refused


def assignor(protocol: str) -> type[PartitionAssignor]:
    """Faust's, which deals both topics out alike, under a name of its own: a group has one for all its members."""

    class Assignor(PartitionAssignor):
        @property
        def name(self) -> str:
            return protocol

    return Assignor
