"""The device process: takes batches of slots, answers with scores, ends with its parent."""

import ctypes
import os
import select
import signal
import socket
import sys

from streamproc.analyzer import MOST_LABELS, Analyzer, AnalyzerOptions
from streamproc.arena import ArenaMap, StaleLeaseError
from streamproc.emotion.device_loop import Begin, Later, serve
from streamproc.emotion.device_message import Ready, Refused, Start, decode_start, encode_answer
from streamproc.emotion.engines import load_analyzer
from streamproc.emotion.model import EmotionModel
from streamproc.errors import ExitCode, FatalError, NoRestartError, UsageError
from streamproc.records.embedding import MOST_DIM
from streamproc.telemetry.log import get_log
from streamproc.telemetry.voice import Usual, configure_log

log = get_log(__name__)

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main(argument: str) -> ExitCode:
    """Serve until the parent's end of the socket closes, or this process cannot: no item is to blame for that."""
    start = decode_start(argument)
    _bind_to_parent()
    if _left(start.socket):  # before that
        return ExitCode.DONE
    configure_log(Usual())  # by the defaults: it writes to the stderr of its parent, who may have other settings
    with socket.socket(fileno=start.socket) as connection:
        try:
            return _serve(start, connection)
        except ConnectionError:
            return ExitCode.DONE  # the parent left before it took our answer
        except (FatalError, StaleLeaseError) as error:
            log.exception("device process cannot go on", detail=str(error))
            return ExitCode.FATAL


def _serve(start: Start, connection: socket.socket) -> ExitCode:
    try:
        analyzer = _load(start)
    except (NoRestartError, UsageError) as error:
        connection.send(encode_answer(Refused(str(error))))
        return ExitCode.NO_RESTART
    arena = ArenaMap(start.arena, start.slots)
    connection.send(encode_answer(Ready(analyzer.identity, analyzer.profile)))
    serve(connection, arena.read, _begin(analyzer), analyzer.identity.embed_dim)
    return ExitCode.DONE


def _bind_to_parent() -> None:
    """Die when the parent does, even in the middle of a batch; leave all other signals to it."""
    # Ctrl-C and a supervisor's stop reach the whole process group; how to end is the parent's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")


def _left(connection: int) -> bool:
    """Whether the parent's end is closed already."""
    poller = select.poll()
    poller.register(connection, select.POLLHUP)
    return bool(poller.poll(0))


def _load(start: Start) -> Analyzer:
    options = AnalyzerOptions(
        start.model, start.device, start.precision, start.threads, start.max_batch_seconds, start.weights
    )
    analyzer = load_analyzer(start.engine, options)
    if (labels := len(analyzer.identity.labels)) > MOST_LABELS:
        raise UsageError(f"model.engine is {start.engine}, which has {labels} labels; {MOST_LABELS} are the most")
    if not 0 <= (dim := analyzer.identity.embed_dim) <= MOST_DIM:
        message = f"model.engine is {start.engine}, whose embeddings have {dim} numbers; {MOST_DIM} are the most"
        raise UsageError(message)
    return analyzer


def _begin(analyzer: Analyzer) -> Begin:
    """Ours launches a batch while the device has another; the protocol of the analyzers knows no such thing."""
    return analyzer.begin if isinstance(analyzer, EmotionModel) else lambda waves: Later(analyzer.run, waves)


if __name__ == "__main__":
    # Not sys.exit: torch takes seconds to be torn down on busy cores, and the kernel takes everything back anyway.
    os._exit(main(sys.argv[1]))
