"""Reports with round numbers."""

from streamproc.bench.cost import CostReport, Row
from streamproc.bench.delivery import DeliveryReport, Side, SizeFigures
from streamproc.bench.engine import EngineReport, PeerFigures
from streamproc.bench.floor import Cost, Floor, with_own
from streamproc.bench.gpu import GpuPeer, GpuReport
from streamproc.bench.groups import Churn, GroupsReport
from streamproc.bench.machine import Machine
from streamproc.bench.pipeline import PipelineReport, Run
from streamproc.bench.spread import Spread
from streamproc.bench.stretch import Figures
from streamproc.bench.workers import WorkersFigures
from streamproc.records.profile import Profile

MACHINE = Machine("Some CPU", 2, 0.5, "3.11.9", {"streamproc": "0.1.0"}, "abc1234-dirty")
PEER = PeerFigures("FunASR, clip by clip", "fp32", Spread(80, 100, 120), Spread(1.5, 2.0, 2.5), None, 3e-7)
NARROW = PeerFigures(
    "ONNX Runtime, int8", "int8", Spread(80, 100, 120), Spread(1.5, 2.0, 2.5), Spread(0.8, 0.9, 1.5), 3e-2
)


def engine_report(*peers: PeerFigures) -> EngineReport:
    missing = {} if peers else {"OpenVINO": ("openvino", "onnx")}
    return EngineReport(
        machine=MACHINE,
        model="demo",
        threads=2,
        clips=12,
        clip_seconds=52.5,
        repeats=3,
        audio_seconds_per_s=Spread(150, 200, 250),
        gflop_per_audio_second=0.5,
        gemm_gflops=Spread(100, 150, 400),
        of_gemm=Spread(0.6, 0.75, 0.8),
        peers=peers,
        missing=missing,
    )


def cost_report() -> CostReport:
    rows = [Row(0.5, 1, 0.011, 0.010), Row(6.0, 1, 0.045, 0.050), Row(60.0, 1, 0.9, 0.6)]
    return CostReport(MACHINE, "demo", "cpu", 2, Profile(0, 0.01, 1e-6, 1e-12), 0.25, 3, rows)


def pipeline_report() -> PipelineReport:
    costs = [Cost("consume", 0.1, 0.05), Cost("decode", 0.2, 0.2), Cost("encode", 0.3, 0.3), Cost("produce", 0.4, 0.2)]
    floor = Floor(costs, with_own(costs, [Cost("decode", 0.1, 0.1), Cost("encode", 0.1, 0.05)]))
    memory, redis = (Figures(5000, 5.0, 1000.0, cpu_ms, 10, 500.0, 40.0) for cpu_ms in (0.6, 0.9))
    return PipelineReport(MACHINE, "declared", Run(memory, floor), Run(redis, floor))


def delivery_report() -> DeliveryReport:
    exactly_once, at_least_once = (
        Side(Spread(9_000, 10_000, 12_000), 5.0, 9.0, 4.0),
        Side(Spread(16_000, 20_000, 24_000), 2.5, 7.5, 2.0),
    )
    sizes = [
        SizeFigures(size, exactly_once, at_least_once, Spread(0.4, 0.5, 0.75), Spread(1.1, 1.2, 1.3))
        for size in (64, 512)
    ]
    rounds = [(1000.0, 1000.0), (900.0, 1200.0)]
    once, least = (
        [Figures(5000, 5.0, rate, 0.6, 10, 500.0, 40.0) for rate in side] for side in zip(*rounds, strict=True)
    )
    return DeliveryReport(MACHINE, "consumer", 12, 4, 300, sizes, WorkersFigures(5000, once, least))


def groups_report() -> GroupsReport:
    runs = [Churn("consumer", 8, 10_800, 540, 0, 0, 0, 1.5), Churn("classic", 8, 10_700, 530, 12, 3, 2, 4.0)]
    return GroupsReport(MACHINE, runs)


def gpu_report(peer: GpuPeer | None) -> GpuReport:
    return GpuReport(
        machine=MACHINE,
        device="Some GPU",
        memory_gib=140,
        model="emotion2vec_plus_large",
        precision="bf16",
        clips=128,
        audio_seconds_per_s=Spread(11_000, 12_000, 13_000),
        busy=0.95,
        kernels={"products": 0.7, "elementwise": 0.3},
        twenty_ms=Spread(14, 15, 30),
        alone_ms=Spread(6.5, 7, 8),
        product_tflops=720,
        gflop_per_audio_second=24,
        floor_audio_seconds_per_s=30_000,
        peak_memory_gib=12,
        peer=peer,
    )
