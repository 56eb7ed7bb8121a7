"""librdkafka's own mock cluster, driven through ctypes on the wheel's library: a broker that answers as it is told."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import confluent_kafka

PRODUCE = 0
LIST_OFFSETS = 2
OFFSET_COMMIT = 8
OFFSET_FETCH = 9
HEARTBEAT = 12
INIT_PRODUCER_ID = 22
ADD_PARTITIONS = 24
END_TXN = 26
TXN_OFFSET_COMMIT = 28
GROUP_HEARTBEAT = 68
"""API keys of the Kafka protocol."""
HEARTBEAT_MS = 50
"""Of the consumer protocol's groups, which are told it by the broker."""


_NEVER_MS = 3_600_000


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

    def answer_late(self, api: int, code: int, seconds: float) -> None:
        """Let the next request of one kind have its answer, an error or 0, this much later."""
        self._library.rd_kafka_mock_broker_push_request_error_rtts(
            self._handle, ctypes.c_int32(1), ctypes.c_int16(api), ctypes.c_size_t(1), ctypes.c_int(code),
            ctypes.c_int(round(1000 * seconds)),
        )  # fmt: skip

    def hush(self) -> None:
        """Take requests and answer none any more, as a broker whose process is stopped."""
        self._library.rd_kafka_mock_broker_set_rtt(self._handle, ctypes.c_int32(1), ctypes.c_int(_NEVER_MS))

    def create_topic(self, name: str) -> None:
        """Make a topic of one partition."""
        self._library.rd_kafka_mock_topic_create(self._handle, name.encode(), 1, 1)

    def count(self, api: int) -> int:
        """How many requests of one kind came so far."""
        size = ctypes.c_size_t()
        requests = self._library.rd_kafka_mock_get_requests(self._handle, ctypes.byref(size))
        kinds = [
            self._library.rd_kafka_mock_request_api_key(ctypes.c_void_p(request))
            for request in ctypes.cast(requests, ctypes.POINTER(ctypes.c_void_p))[: size.value]
        ]
        self._library.rd_kafka_mock_request_destroy_array(ctypes.c_void_p(requests), size)
        return kinds.count(api)

    def set_down(self) -> None:
        """Let the broker go away."""
        self._library.rd_kafka_mock_broker_set_down(self._handle, ctypes.c_int32(1))

    def set_up(self) -> None:
        """Let it come back."""
        self._library.rd_kafka_mock_broker_set_up(self._handle, ctypes.c_int32(1))


@contextmanager
def mock_cluster() -> Iterator[MockCluster]:
    """A cluster of one broker for as long as the block lasts."""
    library = _library()
    client = _client(library, {})
    handle = ctypes.c_void_p(library.rd_kafka_mock_cluster_new(client, 1))
    library.rd_kafka_mock_start_request_tracking(handle)
    library.rd_kafka_mock_group_initial_rebalance_delay_ms(handle, ctypes.c_int32(HEARTBEAT_MS))
    library.rd_kafka_mock_set_group_consumer_heartbeat_interval_ms(handle, ctypes.c_int(HEARTBEAT_MS))
    try:
        yield MockCluster(library, handle)
    finally:
        library.rd_kafka_mock_cluster_destroy(handle)
        library.rd_kafka_destroy(client)


def produce_with_headers(bootstrap_servers: str, topic: str, value: bytes, names: list[bytes]) -> None:
    """Produce a record whose headers have these names, UTF-8 or not: other languages' clients can, Python's cannot."""
    library = _library()
    client = _client(library, {b"bootstrap.servers": bootstrap_servers.encode()})
    headers = ctypes.c_void_p(library.rd_kafka_headers_new(ctypes.c_size_t(len(names))))
    for name in names:
        library.rd_kafka_header_add(headers, name, ctypes.c_ssize_t(len(name)), b"v", ctypes.c_ssize_t(1))
    held = ctypes.create_string_buffer(value, len(value))
    parts = (_Part * 3)()
    parts[0].kind, parts[0].content.text = 1, topic.encode()
    parts[1].kind = 4
    parts[1].content.memory[0], parts[1].content.memory[1] = ctypes.addressof(held), len(value)
    parts[2].kind, parts[2].content.pointer = 10, headers.value
    if library.rd_kafka_produceva(client, parts, ctypes.c_size_t(3)) is not None:
        raise AssertionError("librdkafka did not take the record")
    if library.rd_kafka_flush(client, 10_000) != 0:
        raise AssertionError("the record was not delivered")
    library.rd_kafka_destroy(client)


class _Content(ctypes.Union):
    _fields_ = (
        ("text", ctypes.c_char_p),
        ("pointer", ctypes.c_void_p),
        ("memory", ctypes.c_void_p * 2),
        ("padding", ctypes.c_char * 64),
    )


class _Part(ctypes.Structure):
    """``rd_kafka_vu_t``: one argument of ``rd_kafka_produceva``."""

    _fields_ = (("kind", ctypes.c_int), ("content", _Content))


def _library() -> ctypes.CDLL:
    folder = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
    library = ctypes.CDLL(str(next(folder.glob("librdkafka*.so*"))))
    for name in ("conf_new", "new", "mock_cluster_new", "mock_get_requests", "headers_new", "produceva"):
        getattr(library, f"rd_kafka_{name}").restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    return library


def _client(library: ctypes.CDLL, options: dict[bytes, bytes]) -> ctypes.c_void_p:
    reason = ctypes.create_string_buffer(512)
    config = ctypes.c_void_p(library.rd_kafka_conf_new())
    for name, value in options.items():
        library.rd_kafka_conf_set(config, name, value, reason, ctypes.c_size_t(512))
    return ctypes.c_void_p(library.rd_kafka_new(0, config, reason, ctypes.c_size_t(512)))
