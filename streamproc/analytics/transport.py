"""Faust's transport, reading what is committed and no more.

Faust reads uncommitted rows unless it runs its own transactions: rows of a transaction that a worker aborted would
count. There is no setting for it (``faust/transport/drivers/aiokafka.py``, ``_create_worker_consumer``).
"""

import aiokafka
from faust.transport.drivers import aiokafka as driver


class CommittedThread(driver.AIOKafkaConsumerThread):
    """Makes consumers that skip aborted rows."""

    logger = driver.logger

    def _create_worker_consumer(self, transport: driver.Transport) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"  # noqa: SLF001  # read when it starts; Faust passes a constant
        return consumer


class CommittedConsumer(driver.Consumer):
    """Runs such a consumer."""

    logger = driver.logger

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return CommittedThread(self, loop=self.loop, beacon=self.beacon)


class CommittedTransport(driver.Transport):
    """Hands it out."""

    Consumer = CommittedConsumer
