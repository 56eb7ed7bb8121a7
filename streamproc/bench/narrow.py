"""What each engine offers below fp32 on this CPU: ours, ONNX Runtime's 8 bits, OpenVINO's halves and 8 bits."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from streamproc.bench.runtimes import Logits, onnx_runtime, openvino, openvino_offers
from streamproc.emotion.precision import OFFERED, Precision

OURS = [precision for precision in OFFERED["cpu"] if precision is not Precision.FP32]
HALVES: Mapping[str, tuple[Precision, str]] = {"BF16": (Precision.BF16, "bf16"), "FP16": (Precision.FP16, "f16")}
"""By OpenVINO's name of what a CPU is good at: our name of it, and its name of the setting."""


def narrow_onnx_runtime(graph: Path, threads: int) -> Iterator[tuple[Precision, Logits]]:
    """8 bits alone: its products of half numbers are for other CPUs, or for none."""
    yield Precision.INT8, onnx_runtime(eight_bits(graph), threads)


def narrow_openvino(graph: Path, threads: int) -> Iterator[tuple[Precision, Logits]]:
    """The halves that it says this CPU is good at, and 8 bits, where what is left is in the precision that it likes."""
    offers = openvino_offers()
    for offer, (precision, hint) in HALVES.items():
        if offer in offers:
            yield precision, openvino(graph, threads, hint)
    yield Precision.INT8, openvino(eight_bits(graph), threads, "")


def eight_bits(graph: Path) -> Path:
    """The graph in 8 bits by ONNX Runtime's own tool, beside it; made once.

    Weights have a scale for each output, activations one for each call. The head stays as it is, as ours does.
    """
    path = graph.with_name("int8.onnx")
    if path.exists():
        return path
    import onnx  # noqa: PLC0415  # dependencies of development

    with _quiet():
        from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415  # same

        model = onnx.load(graph)
        # The shapes that the exporter noted; the tool turns Gemm around, and then they contradict what it infers.
        del model.graph.value_info[:]
        quantize_dynamic(
            model,
            path,
            op_types_to_quantize=["MatMul"],
            nodes_to_exclude=[f"{node.name}_MatMul" for node in model.graph.node if node.op_type == "Gemm"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            use_external_data_format=True,
        )
    return path


@contextmanager
def _quiet() -> Iterator[None]:
    """The tool warns on the root logger, which gives that a handler."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
