"""Other runtimes on the same network's graph, as peers in speed: ONNX Runtime and OpenVINO, on the CPU."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from streamproc.bench.waves import Wave
from streamproc.emotion.model import softmax
from streamproc.emotion.network import Convolution, collate

Logits = Callable[[Wave], Wave]
"""A normalised waveform [1, samples] -> [1, classes]."""


class GraphPeer:
    """A runtime that has loaded the graph; what is before and after the network is our own."""

    def __init__(self, logits: Logits, stem: Sequence[Convolution], live: Sequence[int]) -> None:
        self._logits = logits
        self._stem = stem
        self._live = list(live)

    def scores(self, wave: Wave) -> tuple[float, ...]:
        """Scores of one clip, in the model's order of labels."""
        batch, _ = collate([torch.from_numpy(wave)], self._stem)
        (scores,) = softmax(self._logits(batch.numpy())[:, self._live])
        return tuple(scores.tolist())


def onnx_runtime(graph: Path, threads: int) -> Logits:
    """The graph in ONNX Runtime."""
    import onnxruntime  # noqa: PLC0415  # only a benchmark needs it in this process

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Its threads would wait for more work at full speed, on the cores of whoever comes next.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def logits(wave: Wave) -> Wave:
        (found,) = session.run(None, {"wave": wave})
        return found  # type: ignore[no-any-return]  # it ships no types

    return logits


def openvino(graph: Path, threads: int, precision: str = "f32") -> Logits:
    """The graph in OpenVINO, for one request at a time; ``precision`` is its own name, empty for what it likes."""
    import openvino  # noqa: PLC0415  # a dependency of development

    hint = {"INFERENCE_PRECISION_HINT": precision} if precision else {}
    options = hint | {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,  # pinned threads fight with whoever else is on these cores
    }
    request = openvino.Core().compile_model(graph, "CPU", options).create_infer_request()

    def logits(wave: Wave) -> Wave:
        found: Wave = request.infer({"wave": wave})[0].copy()
        return found

    return logits


def openvino_offers() -> Sequence[str]:
    """What OpenVINO says that this CPU is good at, as BF16."""
    import openvino  # noqa: PLC0415  # a dependency of development

    offers: Sequence[str] = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return offers
