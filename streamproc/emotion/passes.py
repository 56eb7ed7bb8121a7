"""Passes: waveforms through an engine, each to its own end, whatever happens to those that share its pass."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from streamproc.analyzer import MOST_WORDS, noise
from streamproc.arena import SAMPLE_RATE, SLOT_SAMPLES
from streamproc.emotion.engine import Engine, Launching, Passed, Running, Wave
from streamproc.errors import Fatal, FatalError
from streamproc.records.compute import ItemError
from streamproc.records.profile import split
from streamproc.telemetry.log import get_log

log = get_log(__name__)


NOT_FINITE = "the network gave no finite scores"
FAULTS = (ArithmeticError, RuntimeError, ValueError)
"""What an engine may raise because of a waveform."""


class Row(NamedTuple):
    """One waveform's share of a pass. All of it is finite."""

    embedding: Wave
    logits: Wave
    frames: Wave | None


class Passes:
    """Plans, runs, and finds out who was to blame. Not for several threads at once.

    A pass that fails runs again in halves, until the fault is one waveform's: for ``k`` of them among ``n`` that is at
    most ``2 k ceil(log2 n)`` passes more. Whoever fails alone is heard once more, after noise of the same length, which
    every device that is well has numbers for: two passes for each. What there is no memory for lowers the ceiling of
    all later passes.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.most_samples = engine.most_samples
        """Padded samples of one pass, as far as is known by now."""

    def run(self, waves: Sequence[Wave], *, frames: bool = False) -> list[Row | ItemError]:
        """One row or one error per waveform, in order."""
        return self.begin(waves, frames=frames).take()

    def begin(self, waves: Sequence[Wave], *, frames: bool = False) -> "Begun":
        """``run``, whose first pass is launched now where the engine can, and whose end is taken later."""
        lengths = [len(wave) for wave in waves]
        plan = split(lengths, self.most_samples)
        padding = sum(len(places) * lengths[places[-1]] for places in plan) - sum(lengths)
        begun = Begun(self, waves, deque(Planned(places, None) for places in plan), frames, padding)
        self._launch_next(begun)
        return begun

    def finish(self, begun: "Begun") -> list[Row | ItemError]:
        """Every end of a batch."""
        waves, queue = begun.waves, begun.queue
        ends: dict[int, Row | ItemError] = {}
        lengths = [len(wave) for wave in waves]
        while queue:
            places, running = queue.popleft()
            if running is None:
                places, *rest = self._fitting(places, lengths)
                queue.extendleft(Planned(other, None) for other in reversed(rest))
            else:
                self._launch_next(begun)
            clips = [waves[place] for place in places]
            problem = NOT_FINITE
            try:
                passed = running.take() if running else self._engine.run(clips, frames=begun.frames)
            except MemoryError:
                again = self._too_large(places, lengths, ends)
            except FAULTS as error:
                again, problem = _halves(places), _told(error)
                log.warning("a pass failed and runs again in halves", detail=problem, count=len(places))
            else:
                again = _halves(self._take(places, passed, ends))
            # Outside of the handlers: while an exception is held, so is the memory that its frames refer to.
            if again and len(places) == 1:
                ends[places[0]] = self._judged(clips[0], problem, frames=begun.frames)
            else:
                queue.extendleft(Planned(other, None) for other in reversed(again))
            if running is None:
                self._launch_next(begun)
        return [ends[place] for place in range(len(waves))]

    def _launch_next(self, begun: "Begun") -> None:
        """Let the engine compute while whoever called does something else, if it can."""
        if (
            not isinstance(self._engine, Launching)
            or not begun.queue
            or any(planned.running for planned in begun.queue)
        ):
            return
        places = begun.queue[0].places
        try:
            running = self._engine.submit([begun.waves[place] for place in places], frames=begun.frames)
        except (MemoryError, *FAULTS) as error:
            # It is met again, and dealt with, when it is this pass's turn.
            log.debug("a pass is not launched ahead", detail=str(error)[:MOST_WORDS])
        else:
            begun.queue[0] = Planned(places, running)

    def _too_large(
        self, places: list[int], lengths: Sequence[int], ends: dict[int, Row | ItemError]
    ) -> list[list[int]]:
        longest = lengths[places[-1]]
        if len(places) == 1:
            problem = f"the device has no memory for {longest / SAMPLE_RATE:.1f} s of audio"
            if longest <= SLOT_SAMPLES:  # a worker's segment: the shortness is ours, whatever it comes from
                raise FatalError(problem, Fatal.DEVICE_FAILS)
            ends[places[0]] = ItemError(problem)
            return []
        self.most_samples = min(self.most_samples, -(-len(places) // 2) * longest)
        log.warning(
            "device has no memory for a pass, later ones are smaller",
            seconds=round(self.most_samples / SAMPLE_RATE, 3),
            count=len(places),
        )
        return [places]

    def _fitting(self, places: list[int], lengths: Sequence[int]) -> list[list[int]]:
        """A pass that was planned before less memory was found than hoped, as several."""
        if len(places) == 1 or len(places) * lengths[places[-1]] <= self.most_samples:
            return [places]
        parts = split([lengths[place] for place in places], self.most_samples)
        return [[places[i] for i in part] for part in parts]

    def _take(self, places: list[int], passed: Passed, ends: dict[int, Row | ItemError]) -> list[int]:
        """Those of the places that got no numbers. One of them may have spoilt the others."""
        if not len(places) == len(passed.logits) == len(passed.embeddings):
            raise FatalError(f"the engine gave {len(passed.logits)} rows for {len(places)} waveforms")
        finite = [bool(np.isfinite(row).all()) for row in np.hstack([passed.logits, passed.embeddings])]
        for row, place in enumerate(places):
            if finite[row]:
                frames = passed.frames[row] if passed.frames else None
                ends[place] = Row(passed.embeddings[row], passed.logits[row], frames)
        return [place for row, place in enumerate(places) if not finite[row]]

    def _judged(self, clip: Wave, problem: str, *, frames: bool) -> Row | ItemError:
        """What becomes of a clip that failed alone. Raises FatalError when it is not to blame: noise fails as well.

        The device may have been short of something for a moment, so the clip is heard again.
        """
        if isinstance(self._alone(noise(len(clip)), frames=False), ItemError):
            raise FatalError(f"the device fails, whatever it hears: {problem}", Fatal.DEVICE_FAILS)
        return self._alone(clip, frames=frames)

    def _alone(self, clip: Wave, *, frames: bool) -> Row | ItemError:
        ends: dict[int, Row | ItemError] = {}
        try:
            broken = self._take([0], self._engine.run([clip], frames=frames), ends)
        except MemoryError as error:
            raise FatalError(f"the device has no memory: {_told(error)}", Fatal.DEVICE_FAILS) from error
        except FAULTS as error:
            return ItemError(_told(error))
        return ItemError(NOT_FINITE) if broken else ends[0]


class Planned(NamedTuple):
    """A pass of a batch."""

    places: list[int]
    running: Running | None
    """If it was launched."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A batch under way. It has to be taken."""

    passes: Passes
    waves: Sequence[Wave]
    queue: deque[Planned]
    """What is left to do. At most one of the passes is launched, besides the one that is taken."""
    frames: bool
    padding: int
    """Samples that the passes hold for nothing, as planned; shapes that a device rounds up come on top."""

    def ready(self) -> bool:
        """Whether it has come as far as it can without being taken."""
        running = self.queue[0].running if self.queue else None
        return running is None or running.ready()

    def take(self) -> list[Row | ItemError]:
        """One row or one error per waveform, in order."""
        return self.passes.finish(self)


def _told(error: Exception) -> str:
    return f"the network failed: {type(error).__name__}: {error}"[:MOST_WORDS]


def _halves(places: list[int]) -> list[list[int]]:
    middle = -(-len(places) // 2)
    return [half for half in (places[:middle], places[middle:]) if half]
