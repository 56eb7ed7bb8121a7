"""The group: whether its workers compute what this one would, model and precision among it."""

from collections.abc import Sequence
from concurrent.futures import Future

from streamproc.errors import DependencyRefusesError, PoisonError, StreamprocError
from streamproc.kafka.columns import Columns
from streamproc.kafka.newest import NewestRecords
from streamproc.kafka.registry import connect
from streamproc.operate.doctor.check import WITHIN_S, Check
from streamproc.operate.doctor.finding import Finding, unknown, well, wrong
from streamproc.records.identity import ModelIdentity, fingerprint
from streamproc.records.record import Record
from streamproc.records.recording import CHANNELS
from streamproc.records.result import EmotionResult
from streamproc.settings import Settings
from streamproc.telemetry.clock import Clock

RECENT_S = 600.0
"""Results older than this may be of before a change of the whole group."""
_COLUMNS = ("fingerprint", "model", "produced_at")


def check(settings: Settings, clock: Clock, identity: "Future[ModelIdentity]") -> Check:
    """Waits for what the network here says of itself."""
    return Check(
        "group",
        "Do the group's newest results have the fingerprint that this computer's model and precision give?",
        lambda: _look(settings, clock, identity),
        "See what is said of the brokers and the registry.",
        settings.model.load_s + WITHIN_S,
    )


def _look(settings: Settings, clock: Clock, identity: "Future[ModelIdentity]") -> Finding:
    topic = settings.topics.results
    try:
        records = NewestRecords(settings).read(topic, ())
    except DependencyRefusesError:  # which is no fault: a worker writes them only
        return unknown(
            f"this user may not read {topic}", f"Grant READ on {topic} to who runs doctor; workers need none."
        )
    newest, foreign = _recent(settings, records, clock.wall_ms() - round(1000 * RECENT_S))
    beside = f"; {foreign} partitions end with a record of another program" if foreign else ""
    if not newest:
        return well(f"it has written no results in the last {RECENT_S / 60:g} minutes{beside}")
    try:
        ours = identity.result()
    except StreamprocError:
        return unknown("the network does not get warm here, as said of the device")
    known = {fingerprint(ours, channels) for channels in CHANNELS}
    others = [one for one in newest if one[1] not in known]
    if others:
        return wrong(
            f"{len(others)} of {len(newest)} partitions have a newest result of another model, precision or version",
            "Give all workers of a group the same model.name_or_dir, model.precision and version of this program.",
            f"here: {ours.name}, {ours.precision}: {' or '.join(sorted(known))}",
            *(f"{place}: {model}: {found}" for place, found, model in others),
        )
    return well(f"the newest results of {len(newest)} partitions are as this computer would compute them{beside}")


def _recent(settings: Settings, records: Sequence[Record], since_ms: int) -> tuple[Sequence[tuple[str, str, str]], int]:
    """Place, fingerprint and model of those of these results that are recent; how many are no results."""
    rows, foreign = [], 0
    with connect(settings.registry) as registry:
        columns = Columns(registry, EmotionResult, _COLUMNS)
        for record in records:
            try:
                rows.append((f"{record.source}/{record.offset}", columns.read(record.value)))
            except PoisonError:  # another program's: it says nothing of this group
                foreign += 1
    newest = [(place, row["fingerprint"], row["model"]) for place, row in rows if row["produced_at"] >= since_ms]
    return newest, foreign
