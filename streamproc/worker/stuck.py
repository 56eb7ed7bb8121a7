"""Stuck: which thread has been at one thing for longer than that can honestly take."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from streamproc.chain import START_EXTRA_S
from streamproc.settings import Settings
from streamproc.telemetry.timesheet import Activity, Hand, Moment
from streamproc.worker.stages.commit import longest_commit_s

Limits = Callable[[Moment], float]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who is stuck, at what, and for how long (s)."""

    name: str
    activity: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.name} has been at {self.activity} for {self.seconds:.0f} s"


def limits(settings: Settings) -> Limits:
    """How long (s) each may be at one thing: its own time-outs, and ``worker.stuck_s`` on top. Waiting has no limit.

    The device process has limits of its own, which its owner in the loop keeps.
    """
    kafka, storage, margin_s = settings.kafka, settings.storage, settings.worker.stuck_s
    client_s = kafka.transaction_timeout_s + START_EXTRA_S + margin_s
    call_s = 2 * storage.object_timeout_s + margin_s
    hands: Mapping[Hand, float] = MappingProxyType(
        {
            Hand.LOOP: margin_s,
            Hand.POLL: client_s,
            Hand.COMMIT: longest_commit_s(kafka) + margin_s,
            Hand.IO: call_s,
            Hand.TIER: call_s,
            Hand.CANARY: call_s,
            Hand.DEVICE: math.inf,
        }
    )

    def limit(moment: Moment) -> float:
        if moment.activity is Activity.IDLE and moment.hand is not Hand.LOOP:
            return math.inf
        if moment.activity is Activity.REVOKE:
            return settings.flow.drain_s + margin_s
        return hands[moment.hand]

    return limit


def longest_silence_s(settings: Settings) -> float:
    """How long nothing at all may move, at a start or with records in flight: the slowest step, and a margin (s)."""
    return settings.worker.stuck_s + max(
        settings.worker.start_wait_s,
        longest_commit_s(settings.kafka),
        2 * settings.storage.object_timeout_s,
        settings.model.stuck_s + settings.model.load_s,
        settings.audio.decode_timeout_s,
        settings.dedupe.claim_wait_s,
        *settings.retry.delays_s,
        settings.flow.drain_s,
    )


class Stuck:
    """Looks from time to time. Only time in which it could look counts: a process that stood still is not stuck."""

    def __init__(self, limit: Limits, silence_s: float) -> None:
        self._limit = limit
        self._silence_s = silence_s
        self._seen: dict[str, tuple[int, float]] = {}
        self._moves = 0
        self._still_s = 0.0

    def look(self, moments: Iterable[Moment], moves: int | None, elapsed: float) -> Verdict | None:
        """Whether something is stuck after ``elapsed`` seconds more.

        ``moves`` counts what moved so far; None while there is nothing that could.
        """
        self._still_s = 0.0 if moves is None or moves != self._moves else self._still_s + elapsed
        self._moves = self._moves if moves is None else moves
        if self._still_s > self._silence_s:
            return Verdict("the worker", "records that do not move", self._still_s)
        found = None
        for moment in moments:
            count, waited = self._seen.get(moment.name, (-1, 0.0))
            waited = waited + elapsed if moment.count == count else 0.0
            self._seen[moment.name] = moment.count, waited
            if waited > self._limit(moment):
                found = found or Verdict(moment.name, moment.activity, waited)
        return found
