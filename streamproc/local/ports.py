"""Free ports that stay the same between runs."""

import random
import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from streamproc.local.failure import LocalError

HOST = "127.0.0.1"
LOWEST = 20_000
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
TRIES = 200


def free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: a closed connection is no owner
        try:
            probe.bind((HOST, port))
            probe.listen()
        except OSError:
            return False
    return True


def candidates(ephemeral: str, source: random.Random) -> Iterable[int]:
    """Ports to try, below the range the kernel gives to outgoing connections.

    A client that keeps connecting to a stopped server inside that range is sooner or later given the server's port
    for its own end, and then the server cannot come back.
    """
    first = int(ephemeral.split(maxsplit=1)[0])
    below = range(LOWEST, first) if first > LOWEST + TRIES else range(LOWEST, 2**16)
    return (source.choice(below) for _ in range(TRIES))


def choose(
    wanted: Iterable[str],
    remembered: Mapping[str, int],
    tries: Iterable[int],
    is_free: Callable[[int], bool] = free,
) -> dict[str, int]:
    """A free port for each name: the remembered one where it still is. Raises LocalError when none is left."""
    chosen: dict[str, int] = {}
    tries = iter(tries)
    for name in wanted:
        port = remembered.get(name)
        while port is None or port in chosen.values() or not is_free(port):
            port = next(tries, None)
            if port is None:
                raise LocalError("no free port was found", f"Free some of the ports from {LOWEST} up.")
        chosen[name] = port
    return chosen


def fresh_candidates() -> Iterable[int]:
    """Candidates on this machine, in an order that two users of it do not share."""
    return candidates(EPHEMERAL.read_text(), random.SystemRandom())
