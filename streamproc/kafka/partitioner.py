"""Which partition our producers put a key into: librdkafka's ``murmur2_random``, which is Kafka's own for a key."""

_SEED = 0x9747B28C
_M = 0x5BD1E995
_32 = 0xFFFFFFFF
_POSITIVE = 0x7FFFFFFF


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key that is not null."""
    return (murmur2(key) & _POSITIVE) % partitions


def murmur2(data: bytes) -> int:
    """32-bit MurmurHash2 by Austin Appleby, as in ``org.apache.kafka.common.utils.Utils``; unsigned."""
    hashed = _SEED ^ len(data)
    whole = len(data) & ~3
    for place in range(0, whole, 4):
        word = int.from_bytes(data[place : place + 4], "little") * _M & _32
        word = (word ^ word >> 24) * _M & _32
        hashed = hashed * _M & _32 ^ word
    if rest := data[whole:]:
        hashed = (hashed ^ int.from_bytes(rest, "little")) * _M & _32
    hashed = (hashed ^ hashed >> 13) * _M & _32
    return hashed ^ hashed >> 15
