"""What the Redis tier makes of a server that refuses, stalls or talks nonsense."""

import contextlib
import socket
import threading
import time
import traceback
from collections.abc import Iterator

import pytest
import structlog
from prometheus_client import generate_latest
from pydantic import SecretStr

from streamproc.dedupe.breaker import BreakerPolicy
from streamproc.dedupe.erase import erase
from streamproc.dedupe.redis import MOST_VALUE_BYTES, RedisTier, redis_key
from streamproc.errors import TierError, UsageError
from streamproc.records.alias import hash_to_bytes
from streamproc.records.analysis import Analysis, AudioInfo, Status
from streamproc.records.finished import FinishedSegment, Stretch
from streamproc.records.finished_codec import finished_to_bytes
from streamproc.records.identity import content_key
from streamproc.settings import RedisSettings
from streamproc.telemetry.metrics import Metrics
from streamproc.testing.clock import ManualClock

SECRET = "sekrit"
ONE = FinishedSegment(Stretch(-1, 0, 14_976), (0.25, 0.75))
PATIENT = BreakerPolicy(failures=1000)
TIMEOUT_S = 0.2
DRIP_S = 0.15
"""Less than the time-out: each byte alone comes in time."""


def analysis(codec: str) -> Analysis:
    return Analysis(Status.NO_SPEECH, (), (), 0, AudioInfo(1000, 16_000, 1, codec), ())


def encode(value: Analysis) -> bytes:
    return value.info.codec.encode()


def decode(value: bytes) -> Analysis:
    if value.startswith(b"?"):
        raise ValueError("does not verify")
    return analysis(value.decode())


class LyingRedis:
    """A TCP server that answers each command with the same bytes; None is silence, b"" hangs up.

    ``drip_s``: how long it takes for each byte that it sends.
    """

    def __init__(self) -> None:
        self.answer: bytes | None = None
        self.drip_s = 0.0
        self.greets = True
        self.received = b""
        self.connections: list[socket.socket] = []
        self._stopped = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> SecretStr:
        return SecretStr(f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0")

    def close(self) -> None:
        self._stopped.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(65_536):
                self.received += data
                if b"SETINFO" in data and self.greets:
                    connection.sendall(b"+OK\r\n" * data.count(b"SETINFO"))
                elif self.answer is None:
                    self._stopped.wait(10)
                elif not self.answer:
                    return
                else:
                    self._say(connection, self.answer)

    def _say(self, connection: socket.socket, answer: bytes) -> None:
        step = 1 if self.drip_s else len(answer)
        for start in range(0, len(answer), step):
            connection.sendall(answer[start : start + step])
            self._stopped.wait(self.drip_s)


class World:
    def __init__(self) -> None:
        self.server = LyingRedis()
        self.clock = ManualClock()
        self.metrics = Metrics()
        self.tiers: list[RedisTier] = []

    def tier(self, url: SecretStr | None = None, policy: BreakerPolicy = PATIENT) -> RedisTier:
        settings = RedisSettings(url=url or self.server.url, timeout_s=TIMEOUT_S)
        self.tiers.append(RedisTier(settings, encode, decode, self.clock, self.metrics, policy))
        return self.tiers[-1]

    def exposes(self, line: str) -> bool:
        return line in generate_latest(self.metrics.registry).decode().splitlines()


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    for tier in world.tiers:
        tier.close()
    world.server.close()


REFUSALS = [
    b"-READONLY You can't write against a read only replica.\r\n",
    b"-MISCONF Errors writing to the AOF file: No space left on device\r\n",
    b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
    b"-LOADING Redis is loading the dataset in memory\r\n",
    b"-NOAUTH Authentication required.\r\n",
    b"-NOPERM User reader has no permissions to run the 'set' command\r\n",
    b"-CLUSTERDOWN The cluster is down\r\n",
    b"-MOVED 1234 127.0.0.1:7000\r\n",
    b"-ERR " + SECRET.encode() + b"\r\n",
    b"-NOSCRIPT No matching script\r\n",
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"\x00\xff\xfe\r\n",
    b"$-7\r\n",
    b":7\r\n",
    b"+OK\r\n",
    b"*1\r\n$1\r\nx\r\n",
    b"",
    None,
]


VALUES = (b":7\r\n", b"+OK\r\n", b"*1\r\n$1\r\nx\r\n")
"""Well-formed answers of the wrong type. That to a write is of no use to anybody, and is not looked at."""


def shown(answer: bytes | None) -> str:
    return repr(answer.split()[0]) if answer else repr(answer)


@pytest.mark.parametrize("answer", REFUSALS, ids=shown)
def test_each_refusal_of_a_read_is_a_tier_error(world: World, answer: bytes | None) -> None:
    world.server.answer = answer
    with pytest.raises(TierError) as caught:
        world.tier().get_many(["a", "b"])
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert world.exposes('streamproc_tier_errors_total{fault="unavailable"} 1.0')


@pytest.mark.parametrize("answer", [a for a in REFUSALS if a != b"*1\r\n$1\r\nx\r\n"], ids=shown)
def test_each_refusal_to_tell_what_is_finished_is_a_tier_error(world: World, answer: bytes | None) -> None:
    world.server.answer = answer
    with pytest.raises(TierError) as caught:
        world.tier().get_finished("a")
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_groups_that_do_not_verify_are_unknown_and_counted(world: World) -> None:
    good = finished_to_bytes([ONE])
    world.server.answer = b"*4\r\n$%d\r\n%s\r\n$1\r\nx\r\n:7\r\n$-1\r\n" % (len(good), good)
    assert world.tier().get_finished("a") == [ONE]
    assert world.exposes('streamproc_tier_errors_total{fault="corrupt"} 3.0')


@pytest.mark.parametrize("answer", [a for a in REFUSALS if a not in VALUES], ids=shown)
def test_each_refusal_of_a_write_is_a_tier_error(world: World, answer: bytes | None) -> None:
    world.server.answer = answer
    with pytest.raises(TierError) as caught:
        world.tier().put_many({"a": analysis("pcm")})
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(TierError) as caught:
        world.tier().keep_finished("a", [ONE])
    assert SECRET not in "".join(traceback.format_exception(caught.value))


WRONG_CLAIMS = [
    b"*2\r\n:1\r\n$1\r\n1\r\n",
    b"*2\r\n:1\r\n*0\r\n",
    b"*2\r\n:1\r\n-ERR x\r\n",
    b"*3\r\n:1\r\n:1\r\n:1\r\n",
]
"""Of two keys, all but one: the second is no yes and no no, or there is a third."""


@pytest.mark.parametrize("answer", [*REFUSALS, *WRONG_CLAIMS], ids=shown)
def test_each_refusal_to_claim_is_a_tier_error(world: World, answer: bytes | None) -> None:
    world.server.answer = answer
    with pytest.raises(TierError) as caught:
        world.tier().claim_many(["a", "b"], "me", 60)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert world.exposes('streamproc_tier_errors_total{fault="unavailable"} 1.0')


@pytest.mark.parametrize("answer", [a for a in REFUSALS if a not in VALUES], ids=shown)
def test_each_refusal_to_release_is_a_tier_error(world: World, answer: bytes | None) -> None:
    world.server.answer = answer
    with pytest.raises(TierError) as caught:
        world.tier().release_many(["a", "b"], "me")
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert world.exposes('streamproc_tier_errors_total{fault="unavailable"} 1.0')


@pytest.mark.parametrize("answer", [a for a in REFUSALS if a not in VALUES], ids=shown)
def test_each_refusal_of_an_alias_is_a_tier_error(world: World, answer: bytes | None) -> None:
    world.server.answer = answer
    with pytest.raises(TierError) as caught:
        world.tier().put_aliases({"a\nv1": "0f" * 32, "b\nv1": "f0" * 32})
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert world.exposes('streamproc_tier_errors_total{fault="unavailable"} 1.0')


@pytest.mark.parametrize("answer", REFUSALS, ids=shown)
def test_each_refusal_to_tell_an_alias_is_a_tier_error(world: World, answer: bytes | None) -> None:
    world.server.answer = answer
    with pytest.raises(TierError) as caught:
        world.tier().get_aliases(["a\nv1", "b\nv1"])
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert world.exposes('streamproc_tier_errors_total{fault="unavailable"} 1.0')


def test_an_alias_that_does_not_verify_is_unknown_and_counted(world: World) -> None:
    good = hash_to_bytes("a\nv1", "0f" * 32)
    spoilt = good[:-1] + bytes([good[-1] ^ 1])
    world.server.answer = b"*3\r\n" + b"".join(b"$%d\r\n%s\r\n" % (len(v), v) for v in (good, spoilt, good[:-1]))
    assert world.tier().get_aliases(["a\nv1", "b\nv1", "c\nv1"]) == {"a\nv1": "0f" * 32}
    assert world.exposes('streamproc_tier_errors_total{fault="corrupt"} 2.0')


def test_a_silent_server_costs_one_time_out(world: World) -> None:
    started = time.monotonic()
    with pytest.raises(TierError, match="TimeoutError"):
        world.tier().get_many(["a"])
    assert time.monotonic() - started < TIMEOUT_S + 1


@contextlib.contextmanager
def in_time() -> Iterator[None]:
    """What a call may take and a second for a busy machine; a server that drips needs more than two."""
    started = time.monotonic()
    with pytest.raises(TierError, match="TimeoutError"):
        yield
    assert time.monotonic() - started < TIMEOUT_S + 1


def test_an_answer_that_comes_byte_by_byte_takes_no_longer_than_one_that_does_not_come(world: World) -> None:
    world.server.answer, world.server.drip_s = b"*1\r\n$3\r\npcm\r\n", DRIP_S
    tier = world.tier()
    with in_time():
        tier.get_many(["a"])
    with in_time():
        tier.put_many({"a": analysis("pcm")})
    with in_time():
        tier.claim_many(["a"], "me", 60)
    world.server.drip_s = 0.0
    assert tier.get_many(["a"]) == {"a": analysis("pcm")}  # and what was late is nobody's answer


def test_nor_does_a_greeting_that_comes_byte_by_byte(world: World) -> None:
    world.server.greets, world.server.answer, world.server.drip_s = False, b"+OK\r\n" * 20, DRIP_S
    tier = world.tier(SecretStr(world.server.url.get_secret_value().replace("//", f"//user:{SECRET}@")))
    with in_time():
        tier.get_many(["a"])


def test_nor_does_a_look_at_whether_it_is_back(world: World) -> None:
    tier = world.tier(policy=BreakerPolicy(failures=1, rest_s=5))
    world.server.answer, world.server.drip_s = b"+" + b"x" * 100, DRIP_S
    with in_time():
        tier.get_many(["a"])
    world.clock.advance(6)
    started = time.monotonic()
    tier.look_again()
    assert time.monotonic() - started < TIMEOUT_S + 1


def test_a_search_of_many_steps_may_take_longer_than_each_of_them(world: World) -> None:
    world.server.answer, world.server.drip_s = b"*2\r\n$1\r\n0\r\n*0\r\n", TIMEOUT_S / 40  # half of it each
    started = time.monotonic()
    assert erase(RedisSettings(url=world.server.url, timeout_s=TIMEOUT_S), ["00" * 32], None) == 0
    assert time.monotonic() - started > TIMEOUT_S


@pytest.mark.parametrize("names", ["a", "ab"])
def test_nonsense_on_erasing_is_a_tier_error_and_no_number(world: World, names: str) -> None:
    """Each question is answered with names: two values for the one, and what is no number for what is erased."""
    world.server.answer = b"*2\r\n$1\r\n0\r\n*%d\r\n" % len(names)
    world.server.answer += b"".join(b"$6\r\nsp:a:%c\r\n" % ord(name) for name in names)
    with pytest.raises(TierError, match="InvalidResponse"):
        erase(RedisSettings(url=world.server.url, timeout_s=60), [], "everybody")


def test_nobody_there_is_a_tier_error(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TierError, match="ConnectionError"):
        world.tier(SecretStr(f"redis://user:{SECRET}@127.0.0.1:{port}/0")).get_many(["a"])


def test_many_keys_are_one_command(world: World) -> None:
    keys = [f"key-{number}" for number in range(50)]
    world.server.answer = b"*50\r\n$3\r\npcm\r\n" + b"$-1\r\n" * 48 + b"$4\r\nflac\r\n"
    found = world.tier().get_many(keys)
    assert found == {"key-0": analysis("pcm"), "key-49": analysis("flac")}
    assert world.server.received.count(b"MGET") == 1
    assert world.server.received.count(b"sp:a:") == 50


def test_a_value_that_does_not_verify_is_unknown_counted_and_logged(world: World) -> None:
    world.server.answer = b"*3\r\n$3\r\npcm\r\n$2\r\n?!\r\n$1\r\n?\r\n"
    with structlog.testing.capture_logs() as said:
        found = world.tier().get_many(["a", "b", "c"])
    assert found == {"a": analysis("pcm")}
    assert world.exposes('streamproc_tier_errors_total{fault="corrupt"} 2.0')
    assert said == [{"event": "values in redis do not verify", "count": 2, "log_level": "warning"}]


def test_a_write_expires(world: World) -> None:
    world.server.answer = b"+OK\r\n"
    world.tier().put_many({"a": analysis("pcm")})
    assert b"\r\nSET\r\n" in world.server.received
    assert b"\r\nEX\r\n$5\r\n86400\r\n" in world.server.received


def test_a_value_that_is_too_large_to_share_is_not_sent(world: World) -> None:
    world.tier().put_many({"a": analysis("x" * (MOST_VALUE_BYTES + 1))})
    assert world.server.connections == []
    assert world.exposes('streamproc_tier_errors_total{fault="too_large"} 1.0')


def test_nothing_to_ask_is_not_asked(world: World) -> None:
    assert world.tier().get_many([]) == {}
    world.tier().put_many({})
    assert world.server.connections == []


def test_a_server_that_fails_in_a_row_is_left_alone_and_then_tried_again(world: World) -> None:
    world.server.answer = b"-READONLY x\r\n"
    tier = world.tier(policy=BreakerPolicy(failures=2, rest_s=5))
    with structlog.testing.capture_logs() as said:
        for _ in range(5):
            with pytest.raises(TierError):
                tier.get_many(["a"])
        asked = world.server.received.count(b"MGET")
        assert world.exposes('streamproc_dependency_down{dependency="redis"} 1.0')
        world.clock.advance(5)
        world.server.answer = b"*1\r\n$3\r\npcm\r\n"
        assert tier.get_many(["a"]) == {"a": analysis("pcm")}
    assert asked == 2
    assert world.exposes('streamproc_dependency_down{dependency="redis"} 0.0')
    assert world.exposes('streamproc_tier_errors_total{fault="unavailable"} 5.0')
    assert [line["log_level"] for line in said] == ["warning", "info"]


@pytest.mark.parametrize("url", ["", f"redis://user:{SECRET}@host/0?db=first"])
def test_a_url_that_redis_cannot_have_is_refused_without_repeating_it(world: World, url: str) -> None:
    settings = RedisSettings(url=SecretStr(url))
    with pytest.raises(UsageError, match=r"redis\.url") as caught:
        RedisTier(settings, encode, decode, world.clock, world.metrics)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_no_url_is_refused_too(world: World) -> None:
    with pytest.raises(UsageError, match=r"redis\.url"):
        RedisTier(RedisSettings(url=None), encode, decode, world.clock, world.metrics)


def test_a_key_is_short_printable_and_its_own() -> None:
    keys = {redis_key(content_key("global", f"{i:064x}", "f" * 32)) for i in range(100)}
    assert len(keys) == 100
    assert all(key.startswith("sp:a:") and len(key) == 55 and key.isascii() for key in keys)


@pytest.mark.parametrize("refusal", REFUSALS[:3], ids=lambda a: a.split()[0].decode())
def test_who_calls_it_for_nothing_else_finds_out_that_it_is_back(world: World, refusal: bytes) -> None:
    world.server.answer = refusal
    tier = world.tier(policy=BreakerPolicy(failures=1, rest_s=5))
    tier.look_again()
    assert world.server.received == b""  # it is not away as far as anybody knows
    with pytest.raises(TierError):
        tier.get_many(["a"])
    down = 'streamproc_dependency_down{dependency="redis"} '
    world.clock.advance(6)
    tier.look_again()
    assert world.exposes(f"{down}1.0")
    world.server.answer = b"+OK\r\n"
    tier.look_again()
    assert world.exposes(f"{down}1.0")  # too soon
    world.clock.advance(6)
    tier.look_again()
    assert world.exposes(f"{down}0.0")
    assert world.exposes(
        'streamproc_tier_errors_total{fault="unavailable"} 1.0'
    )  # a look saves no work, so it costs none
