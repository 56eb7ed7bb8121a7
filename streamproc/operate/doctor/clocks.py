"""This computer's clock against those of the servers."""

from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime

import httpx2

from streamproc.dedupe.redis_state import look
from streamproc.errors import DependencyDownError, StreamprocError
from streamproc.kafka.preflight import Preflight
from streamproc.operate.doctor.check import ANSWER_S, Check
from streamproc.operate.doctor.finding import Finding, unknown, well, wrong
from streamproc.settings import Settings
from streamproc.telemetry.clock import Clock

MOST_MS = 2_000
"""Lag in seconds and the age of a missing object (``storage.young_s``) are told from two clocks. A server's ``Date``
is up to 1 s old itself."""
BROKER = "broker"
_CURE = "Run chrony, ntpd or systemd-timesyncd on both computers."


def check(settings: Settings, clock: Clock) -> Check:
    """The broker's clock above all: its timestamps are compared with ours."""
    return Check(
        "clock",
        f"Do this computer's clock and the servers' agree within {MOST_MS // 1000} s?",
        lambda: _look(_clocks(settings, clock)),
        _CURE,
    )


def _clocks(settings: Settings, clock: Clock) -> Mapping[str, Callable[[], int]]:
    """How to ask each server how far it is ahead of us, in ms."""
    clocks: dict[str, Callable[[], int]] = {
        BROKER: lambda: Preflight(settings, ANSWER_S).ahead_ms(clock),
        "object store": lambda: _ahead_ms(settings.storage.endpoint, clock),
    }
    if settings.redis.url is not None and settings.redis.url.get_secret_value():
        clocks["Redis"] = lambda: look(settings.redis, clock, ANSWER_S).ahead_ms
    return clocks


def _look(clocks: Mapping[str, Callable[[], int]]) -> Finding:
    ahead: dict[str, int] = {}
    silent: list[str] = []
    away: DependencyDownError | None = None
    for name, ask in clocks.items():
        try:
            ahead[name] = ask()
        except (StreamprocError, httpx2.HTTPError, LookupError, ValueError) as error:
            silent.append(f"not told by the {name}: {type(error).__name__}: {error}")
            if name == BROKER and isinstance(error, DependencyDownError):
                away = error
    far = [f"the {name}'s is {_told(ms)}" for name, ms in ahead.items() if abs(ms) > MOST_MS]
    if far:
        return wrong("; ".join(far), _CURE, *silent)
    if away is not None:
        raise away
    if BROKER not in ahead:
        return unknown(silent[0], "Its user needs CREATE and DELETE of topics for this, which workers do not need.")
    return well(f"within {MOST_MS // 1000} s of {', '.join(ahead)}", *silent)


def _told(ms: int) -> str:
    return f"{abs(ms) / 1000:.1f} s {'ahead of' if ms > 0 else 'behind'} this computer's"


def _ahead_ms(url: str, clock: Clock) -> int:
    """By the ``Date`` of any answer, refusals too: it is a second of the server's clock, cut off."""
    # Not through a proxy, whose clock is another one.
    with httpx2.Client(timeout=ANSWER_S, trust_env=False) as client:
        before = clock.wall_ms()
        said = client.head(url).headers["date"]
        after = clock.wall_ms()
    begin = round(1000 * parsedate_to_datetime(said).timestamp())
    return max(0, begin - after) or min(0, begin + 1000 - before)
