"""The way of a full-size model, measured: ``PYTHONPATH=. python -m tools.model_path FOLDER`` (6 GB of disk there).

A checkpoint of plus_large's shape with random weights and the optimizer's state, 1.9 GB, in the published layout, is
served by a hub on this machine in the layouts of both, pulled from each, and loaded by processes of their own: first as
nobody knows it yet, then as it was checked before, then with one byte flipped. Times are pairs: on the clock, and of
the processor. What it makes in FOLDER it removes. Exits with 1 where a load did not end as it has to.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from streamproc.emotion import checkpoint
from streamproc.emotion.layout import WEIGHTS
from streamproc.emotion.manifest import sha256
from streamproc.emotion.network import Network, NetworkConfig
from streamproc.emotion.pins import NEEDED, PUBLISHED, Hub
from streamproc.emotion.pull import Order, Pulled, pull
from tools.hub import Address, LocalHub, serving

LARGE = NetworkConfig(1024, 16, 4, 8, 9)
PARAMETERS = 162_140_185
NAME = "emotion2vec_plus_seed"  # the one published model that takes pins from its user alone
TOKENS = (
    *("生气/angry", "厌恶/disgusted", "恐惧/fearful", "开心/happy", "中立/neutral"),
    *("其他/other", "难过/sad", "吃惊/surprised", "<unk>"),
)
LOAD = """
import json, sys, time

def memory():
    lines = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return {name: int(lines[name].split()[0]) // 1024 for name in ("VmHWM", "RssAnon", "RssFile")}

begun = time.perf_counter(), time.process_time()
import torch
from pathlib import Path
from streamproc.emotion import checkpoint
from streamproc.emotion.errors import CheckpointError
torch.set_num_threads(1)
start, before = (time.perf_counter(), time.process_time()), memory()
try:
    network = checkpoint.load(Path(sys.argv[1])).network
    refused = ""
except CheckpointError as error:
    refused = error.problem
loaded, after = (time.perf_counter(), time.process_time()), memory()
imports, load = ([round(b - a, 3) for a, b in zip(*pair)] for pair in ((begun, start), (start, loaded)))
total = 0.0 if refused else sum(float(p.double().sum()) for p in network.parameters())
print(json.dumps({"imports_s": imports, "load_s": load, "refused": refused, "mib_before": before, "mib_loaded": after,
                  "mib_used": memory(), "sum": total}))
"""


def make(folder: Path) -> None:
    """Write the checkpoint, training state and all."""
    network = Network(LARGE).eval().requires_grad_(requires_grad=False)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    if parameters != PARAMETERS:
        raise SystemExit(f"{parameters} parameters, not {PARAMETERS}")
    generator = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0, 0.05, generator)
    checkpoint.save(folder, network, TOKENS)
    body: dict[str, Any] = torch.load(folder / WEIGHTS, weights_only=True)
    tensors: list[Tensor] = list(body["model"].values())
    moments = {i: {"exp_avg": t * 0.1, "exp_avg_sq": t * t} for i, t in enumerate(tensors)}
    torch.save(body | {"last_optimizer_state": {"state": moments}}, folder / WEIGHTS)


def load(directory: Path) -> dict[str, Any]:
    """One load in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(directory)], capture_output=True, text=True, check=True, env=os.environ
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def flip(path: Path, place: int) -> None:
    """Change one byte and set the times back, as far as that goes."""
    kept = path.stat()
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))


def fetch(published: Path, kind: Hub, cache: Path) -> tuple[Pulled, float]:
    """Pull it from one hub; what came, and the seconds."""
    repo = PUBLISHED[NAME].releases[kind].repo
    files = {Address(repo, "made", name): published / name for name in NEEDED}
    pins = {name: sha256(published / name) for name in NEEDED}
    with serving(LocalHub(files, frozenset({WEIGHTS}))) as hub:
        order = Order(NAME, kind, hub.url, "made", pins)
        begun = time.perf_counter()
        pulled = pull(order, cache, lambda *_: None)
        return pulled, time.perf_counter() - begun


def measure(folder: Path) -> dict[str, Any]:
    """All of it, in order."""
    published = folder / "published"
    make(published)
    found = {}
    for kind in Hub:
        pulled, seconds = fetch(published, kind, folder / kind.value)
        found[kind.value] = {"pull_s": seconds} | loads(pulled.directory / WEIGHTS)
        shutil.rmtree(folder / kind.value)
    return found


def loads(weights: Path) -> dict[str, Any]:
    """What processes of their own make of it."""
    clock, processor = time.perf_counter(), time.process_time()
    sha256(weights)
    hash_s = time.perf_counter() - clock, time.process_time() - processor
    time.sleep(3)  # past the time in which a file's clock cannot be trusted
    directory, size = weights.parent, weights.stat().st_size
    found = {"first": load(directory)}
    found |= {f"again {turn}": load(directory) for turn in range(5)}
    flip(weights, size // 2)
    found["flipped"] = load(directory)
    return {"bytes": size, "hash_s": hash_s, "loads": found}


def faults(found: dict[str, Any]) -> list[str]:
    """Loads that did not end as they have to: alike, but for the one of the flipped byte, which is refused."""
    said = []
    for hub, of in found.items():
        *whole, flipped = of["loads"].values()
        if any(one["refused"] for one in whole) or len({one["sum"] for one in whole}) != 1:
            said.append(f"{hub}: what was pulled does not load, or not always the same")
        if not flipped["refused"]:
            said.append(f"{hub}: a flipped byte was loaded")
    return said


def main() -> None:
    """Measure in a folder of its own and say what was found."""
    folder = Path(sys.argv[1]) / f"model-path-{os.getpid()}"
    try:
        found = measure(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(found, indent=2))
    for fault in (said := faults(found)):
        print(fault, file=sys.stderr)
    raise SystemExit(bool(said))


if __name__ == "__main__":
    main()
