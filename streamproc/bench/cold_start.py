"""One cold start, in this process: ``python -m streamproc.bench.cold_start KIND DIRECTORY BEGUN_NS THREADS``.

Prints one JSON object: nanoseconds of the system's monotonic clock at the end of each phase, and KiB of memory. What a
phase imports is imported in it, so this module's own imports are the standard library's.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

Mark = Callable[[str], None]
CLIP_S = 2


def bare_torch(mark: Mark, _directory: Path, _threads: int) -> None:
    """What nobody who uses torch can be faster than."""
    import torch  # noqa: F401, PLC0415  # its import is what is measured

    mark("imports")


def streamproc(mark: Mark, directory: Path, threads: int, *, share: bool = False) -> None:
    """What ``load_model`` does, and the first clip."""
    import torch  # noqa: PLC0415  # measured

    from streamproc.bench.waves import make_waves  # noqa: PLC0415  # same
    from streamproc.emotion import checkpoint, runner  # noqa: PLC0415  # same
    from streamproc.emotion.model import EmotionModel  # noqa: PLC0415  # same
    from streamproc.records.identity import ModelIdentity  # noqa: PLC0415  # same

    torch.set_num_threads(threads)
    mark("imports")
    loaded = checkpoint.load(directory)
    mark("load")
    identity = ModelIdentity(loaded.name, loaded.weights_sha256, "fp32", loaded.labels)
    model = EmotionModel(identity, loaded.live, runner.Runner(loaded.network, share=share))
    mark("warm-up")
    model.run(make_waves(1, CLIP_S, CLIP_S, CLIP_S))
    mark("forward")


def mapped(mark: Mark, directory: Path, threads: int) -> None:
    """The same with weights that stay in their file."""
    streamproc(mark, directory, threads, share=True)


def funasr(mark: Mark, directory: Path, threads: int) -> None:
    """FunASR's own loader and loop; it has no warm-up of its own."""
    import funasr as _  # noqa: F401, PLC0415  # measured

    from streamproc.bench.peer import open_peer  # noqa: PLC0415  # same
    from streamproc.bench.waves import make_waves  # noqa: PLC0415  # same

    mark("imports")
    with open_peer(directory, threads) as peer:
        mark("load")
        peer.scores(make_waves(1, CLIP_S, CLIP_S, CLIP_S)[0])
        mark("forward")


KINDS: Mapping[str, Callable[[Mark, Path, int], None]] = {
    "torch": bare_torch,
    "streamproc": streamproc,
    "mapped": mapped,
    "funasr": funasr,
}


def memory_kib() -> dict[str, int]:
    """What it took at most so far, and what of it is its own and what is pages of files now."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    # Not getrusage: a process inherits the peak of the one that started it.
    return {name: int(lines[name].split()[0]) for name in ("VmHWM", "RssAnon", "RssFile")}


def main(kind: str, directory: str, begun_ns: str, threads: str) -> None:
    """Start, and say how it went."""
    phases = {"python": time.monotonic_ns() - int(begun_ns)}
    memory: dict[str, dict[str, int]] = {}

    def mark(phase: str) -> None:
        phases[phase] = time.monotonic_ns() - int(begun_ns)
        memory[phase] = memory_kib()

    KINDS[kind](mark, Path(directory), int(threads))
    print(json.dumps({"ends_ns": phases, "memory_kib": memory}))  # noqa: T201  # this is its answer


if __name__ == "__main__":
    main(*sys.argv[1:])
