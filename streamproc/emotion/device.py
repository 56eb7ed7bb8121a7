"""DeviceProcess: the main process's handle of the process that owns the accelerator (or the CPU cores)."""

import select
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import replace

from streamproc.arena import ArenaMap
from streamproc.emotion.device_child import DeviceChild
from streamproc.emotion.device_message import MAX_ITEMS, Embedded, Ready, Refused, decode_answer, encode_batch
from streamproc.errors import ExitCode, Fatal, FatalError, NoRestartError
from streamproc.records.compute import BatchDone, DeviceDied, DeviceEvent, DeviceReady, Scored, SegmentHandle
from streamproc.records.identity import ModelIdentity
from streamproc.records.profile import Profile
from streamproc.settings import ModelSettings
from streamproc.telemetry.log import get_log

log = get_log(__name__)

CLOSE_S = 2.0
"""How long a child may take to see that we are gone before it is killed."""


class DeviceProcess:
    """The ``Device`` port. Call ``start`` once, from a thread that lives as long as this object.

    (The kernel ends a child with the *thread* that started it; ``take`` replaces dead children, so the same holds for
    whoever calls it.) ``fileno`` is one descriptor for a selector, valid over all replacements: it becomes readable
    when ``take`` has something to do.
    """

    def __init__(self, settings: ModelSettings, arena: ArenaMap) -> None:
        self._settings = settings
        self._arena = arena
        self._epoll = select.epoll()
        self._child: DeviceChild | None = None
        self._unsent: deque[bytes] = deque()
        self._open: dict[int, tuple[SegmentHandle, ...]] = {}
        """Batches on it."""
        self._embeddings: defaultdict[int, dict[int, bytes]] = defaultdict(dict)
        """Of these batches what has come so far, by place."""
        self._idle_at: float | None = None
        """When it last had nothing to do or something to say, which while it loads it has not; None until its child was
        looked at once."""
        self._deaths: deque[tuple[float, bool]] = deque()
        """When, and whether it was its own: nothing was on it, or it said so."""
        self._blamed: set[SegmentHandle] = set()
        """Items that were alone in a death since a batch was done: the more, the less it is any item's fault."""
        self._identity: ModelIdentity | None = None
        self._profile: Profile | None = None

    def start(self) -> None:
        """Start the child; DeviceReady is taken once its network is warm."""
        self._idle_at = None
        self._child = DeviceChild(self._settings, self._arena)
        self._epoll.register(self._child.socket, select.EPOLLIN)
        self._epoll.register(self._child.pidfd, select.EPOLLIN)

    def close(self) -> None:
        """End the child; batches on it are forgotten."""
        if self._child is not None:
            self._child.close(CLOSE_S)
            self._child = None
        self._epoll.close()

    def fileno(self) -> int:
        """For a selector."""
        return self._epoll.fileno()

    @property
    def pid(self) -> int | None:
        """Of the child that serves now."""
        return None if self._child is None else self._child.process.pid

    def submit(self, batch: int, items: Sequence[SegmentHandle]) -> None:
        """Queue a compute batch of at most 128 items. Never blocks."""
        if batch in self._open or not 1 <= len(items) <= MAX_ITEMS:
            raise ValueError(f"batch {batch} of {len(items)} items: a new number and 1 to {MAX_ITEMS} items are needed")
        self._open[batch] = tuple(items)
        self._unsent.append(encode_batch(batch, items))
        self._send()

    def take(self, now: float) -> Sequence[DeviceEvent]:
        """Events since the last take; a dead child is replaced.

        Raises FatalError when ``deaths_allowed`` children died within ``deaths_window_s``, of nothing or of more than
        one item, or so many items in a row were each alone in a death, or the weights changed under us,
        NoRestartError when the child refuses its checkpoint or its device.
        """
        child = self._started()
        dead = child.process.poll() is not None  # before receiving, so that a dead child's last words are all taken
        events = self._receive(child, now)
        self._send()
        if events or self._idle_at is None or (child.warm and not self._open):
            self._idle_at = now
        patience_s = self._settings.stuck_s if child.warm else self._settings.load_s
        if dead:
            events.append(self._replace(child, now))
        elif now - self._idle_at > patience_s:
            log.error("device process is stuck and killed", pid=child.process.pid, seconds=now - self._idle_at)
            child.process.kill()  # its death is taken next time
            self._idle_at = now
        elif child.silent_since is not None and now - child.silent_since > CLOSE_S:
            child.process.kill()  # it hangs in its own end; its death is taken next time
        return events

    def cost(self, lengths: Sequence[int]) -> float:
        """Predicted seconds for one batch of these lengths (samples); valid once ready."""
        return self._measured().cost(lengths)

    def most_items(self, longest: int) -> int:
        """How many items of at most ``longest`` samples one batch should hold; valid once ready."""
        return min(MAX_ITEMS, self._measured().batch_items(longest))

    def _receive(self, child: DeviceChild, now: float) -> list[DeviceEvent]:
        events: list[DeviceEvent] = []
        while child.silent_since is None and (message := child.receive()) is not None:
            if not message:
                child.silent_since = now
                self._epoll.unregister(child.socket)  # its end would keep us awake until the process is gone as well
                break
            match decode_answer(message):
                case Ready(identity, profile):
                    child.warm = True
                    events.append(self._ready(identity, profile))
                case Refused(problem):
                    raise NoRestartError(f"the device process refuses to serve: {problem}", Fatal.REFUSED)
                case Embedded(batch, place, embedding):
                    self._embeddings[batch][place] = embedding
                case BatchDone() as done:
                    del self._open[done.batch]
                    self._blamed.clear()
                    events.append(_joined(done, self._embeddings.pop(done.batch, {})))
        return events

    def _ready(self, identity: ModelIdentity, profile: Profile) -> DeviceReady:
        if self._identity not in {None, identity}:
            message = f"the model changed while we ran: it was {self._identity}, now it is {identity}"
            raise FatalError(message, Fatal.MODEL_CHANGED)
        self._identity, self._profile = identity, profile
        return DeviceReady(identity)

    def _send(self) -> None:
        child = self._started()
        if child.silent_since is not None:
            return
        try:
            while self._unsent:
                child.socket.send(self._unsent[0])
                self._unsent.popleft()
        except BlockingIOError:
            pass  # the child is behind; the selector tells when there is room
        except ConnectionError:
            return  # it died; `take` will see that
        self._epoll.modify(child.socket, select.EPOLLIN | (select.EPOLLOUT if self._unsent else 0))

    def _replace(self, child: DeviceChild, now: float) -> DeviceDied:
        child.close(CLOSE_S)
        self._child = None
        detail = f"the device process ended with status {child.process.returncode}"
        died = DeviceDied(tuple(self._open), detail, blameless=child.process.returncode == ExitCode.FATAL)
        aboard = [item for items in self._open.values() for item in items]
        self._open.clear()
        self._embeddings.clear()
        self._unsent.clear()
        # One that was warm could compute: with a single item on board that item is to blame, unless it says otherwise.
        if child.warm and len(aboard) == 1 and not died.blameless:
            self._blame(aboard[0], detail)
        else:
            # With one alone, what says that it cannot go on may say so of that one, whenever it comes.
            self._count(now, detail, own=not (child.warm and aboard) or (died.blameless and len(aboard) > 1))
        log.warning("device process is replaced", detail=detail, count=len(died.batches))
        self.start()
        return died

    def _blame(self, item: SegmentHandle, detail: str) -> None:
        """Note whose death it was. It warmed up before, but what dies of one item after the other computes nothing."""
        self._blamed.add(item)
        # Of one item it may die as often as it is tried: with one alone nothing tells them apart.
        if len(self._blamed) >= max(2, self._settings.deaths_allowed):
            message = f"{detail}, of {len(self._blamed)} segments that were alone on it, one after the other"
            raise FatalError(message, Fatal.DEVICE_KILLED)

    def _count(self, now: float, detail: str, *, own: bool) -> None:
        """Note a death that was nobody's, or of too many to tell whose."""
        self._deaths.append((now, own))
        while self._deaths[0][0] < now - self._settings.deaths_window_s:
            self._deaths.popleft()
        if len(self._deaths) >= self._settings.deaths_allowed:
            message = f"{detail}, {len(self._deaths)} times in {self._settings.deaths_window_s:g} s"
            raise FatalError(
                message, Fatal.DEVICE_FAILS if all(own for _, own in self._deaths) else Fatal.DEVICE_KILLED
            )

    def _started(self) -> DeviceChild:
        if self._child is None:
            raise ValueError("the device process is not started, or closed")
        return self._child

    def _measured(self) -> Profile:
        if self._profile is None:
            raise ValueError("the device process is not ready yet: take DeviceReady first")
        return self._profile


def _joined(done: BatchDone, embeddings: Mapping[int, bytes]) -> BatchDone:
    """The values of a batch, with the embeddings that went ahead of them."""
    items = tuple(
        Scored(item.scores, embeddings[place]) if place in embeddings and isinstance(item, Scored) else item
        for place, item in enumerate(done.items)
    )
    return replace(done, items=items) if embeddings else done
