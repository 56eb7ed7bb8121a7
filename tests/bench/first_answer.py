"""How soon a worker answers: ``python -m tests.bench.first_answer``.

From the exec of ``python -m streamproc worker`` to the first answered GET /status, beside what the interpreter alone
takes, and beside what the same start took without a doorstep, in turns of one run.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

import psutil

ROUNDS = 10
WORKER = ("-m", "streamproc", "worker")
LATER = ("-c", "import sys; sys.argv = ['streamproc', 'worker']; from streamproc.cli.app import app; app()")
"""The same without a doorstep: who answers first is the entrance."""
REQUEST = b"GET /status HTTP/1.0\r\n\r\n"


def began(words: Sequence[str], folder: str, port: int) -> subprocess.Popen[bytes]:
    """A process of the interpreter."""
    path = os.pathsep.join(filter(None, (os.getcwd(), os.environ.get("PYTHONPATH"))))  # noqa: PTH109  # as text
    ours = {
        "PYTHONPATH": path,
        "STREAMPROC_HTTP__PORT": str(port),
        "STREAMPROC_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1",
    }
    return subprocess.Popen([sys.executable, *words], cwd=folder, env=os.environ | ours, stderr=subprocess.DEVNULL)


def ended_ms(words: Sequence[str], folder: str) -> tuple[float, float]:
    """How long it takes to its end, and how much processor time."""
    since, before = time.perf_counter(), os.times()
    began(words, folder, 0).wait()
    after = os.times()
    used_s = after.children_user + after.children_system - before.children_user - before.children_system
    return 1e3 * (time.perf_counter() - since), 1e3 * used_s


def answered_ms(words: Sequence[str], folder: str) -> tuple[float, float]:
    """How long it takes to its first answer, and how much processor time of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    since = time.perf_counter()
    process = began(words, folder, port)
    try:
        while (said := asked(port)) is None:
            time.sleep(0.001)
        took_ms = 1e3 * (time.perf_counter() - since)
        used = psutil.Process(process.pid).cpu_times()
        if said["waits_for"] is None or said["percent"] == 100:
            raise RuntimeError(f"it does not start: {said}")
        return took_ms, 1e3 * (used.user + used.system)
    finally:
        process.kill()
        process.wait()


def asked(port: int) -> dict[str, object] | None:
    """What is answered; None where nobody listens."""
    try:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(REQUEST)
            said = b"".join(iter(lambda: connection.recv(4096), b""))
    except OSError:
        return None
    found: dict[str, object] = json.loads(said.partition(b"\r\n\r\n")[2])
    return found


def main() -> None:
    """Measure and print."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    took: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(ROUNDS):
            for name, measure, words in (
                ("python -S -c pass, to its end", ended_ms, ("-S", "-c", "pass")),
                ("python -c pass, to its end", ended_ms, ("-c", "pass")),
                ("worker, to its first answer", answered_ms, WORKER),
                ("the same without a doorstep", answered_ms, LATER),
            ):
                took.setdefault(name, []).append(measure(words, folder))
    for name, pairs in took.items():
        elapsed, used = ([pair[one] for pair in pairs] for one in (0, 1))
        spread = f"{min(elapsed):.0f} to {max(elapsed):.0f}"
        times = f"{statistics.median(elapsed):5.0f} ms ({spread}), {statistics.median(used):.0f} ms of processor time"
        print(f"{name:31}{times}")  # noqa: T201  # it talks to whoever runs it
    print(f"load of the machine: {os.getloadavg()[0]:.1f}, cores: {os.cpu_count()}")  # noqa: T201  # same


if __name__ == "__main__":
    main()
