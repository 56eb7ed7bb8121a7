"""librdkafka's own mock cluster, driven through ctypes on the wheel's library: a broker that answers as it is told."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import confluent_kafka

PRODUCE, OFFSET_FETCH, INIT_PRODUCER_ID, END_TXN, TXN_OFFSET_COMMIT = 0, 9, 22, 26, 28
"""API keys of the Kafka protocol."""


class MockCluster:
    """One broker in this process."""

    def __init__(self, library: ctypes.CDLL, handle: ctypes.c_void_p) -> None:
        self._library = library
        self._handle = handle
        self.bootstrap_servers: str = library.rd_kafka_mock_cluster_bootstraps(handle).decode()

    def answer(self, api: int, *codes: int) -> None:
        """Let the next requests of one kind fail, each with one code."""
        errors = (ctypes.c_int * len(codes))(*codes)
        self._library.rd_kafka_mock_push_request_errors_array(
            self._handle, ctypes.c_int16(api), ctypes.c_size_t(len(codes)), errors
        )

    def create_topic(self, name: str) -> None:
        """Make a topic of one partition."""
        self._library.rd_kafka_mock_topic_create(self._handle, name.encode(), 1, 1)

    def set_down(self) -> None:
        """Let the broker go away."""
        self._library.rd_kafka_mock_broker_set_down(self._handle, ctypes.c_int32(1))

    def set_up(self) -> None:
        """Let it come back."""
        self._library.rd_kafka_mock_broker_set_up(self._handle, ctypes.c_int32(1))


@contextmanager
def mock_cluster() -> Iterator[MockCluster]:
    """A cluster of one broker for as long as the block lasts."""
    folder = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
    library = ctypes.CDLL(str(next(folder.glob("librdkafka*.so*"))))
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
        getattr(library, name).restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    reason = ctypes.create_string_buffer(512)
    client = ctypes.c_void_p(
        library.rd_kafka_new(0, ctypes.c_void_p(library.rd_kafka_conf_new()), reason, ctypes.c_size_t(512))
    )
    handle = ctypes.c_void_p(library.rd_kafka_mock_cluster_new(client, 1))
    try:
        yield MockCluster(library, handle)
    finally:
        library.rd_kafka_mock_cluster_destroy(handle)
        library.rd_kafka_destroy(client)
