"""An audit of a planted world."""

from streamproc.operate.audit.finding import AuditReport, Fault
from streamproc.operate.audit.read import audit
from streamproc.operate.audit.window import Selection
from streamproc.records.record import TopicPartition
from tests.integration.planted import World


def unheard(_name: str, _text: str, _done: int, _total: int) -> None:
    """Progress that nobody watches."""


def prove(world: World, selection: Selection | None = None) -> AuditReport:
    return audit(world.settings, selection or Selection(), unheard)


def faults(report: AuditReport) -> list[tuple[Fault, int, int]]:
    assert not report.proved
    return [(finding.fault, finding.first, finding.last) for finding in report.findings]


def results(world: World, offsets: list[int]) -> None:
    source = TopicPartition(world.input, 0)
    world.commit(source, [(offset, world.result(0, offset)) for offset in offsets])
