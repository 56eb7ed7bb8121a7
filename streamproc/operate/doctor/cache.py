"""Redis: there, writable, and ready to be full."""

from streamproc.dedupe.redis_state import look
from streamproc.operate.doctor.check import ANSWER_S, Check, unknown_host
from streamproc.operate.doctor.finding import Finding, doubtful, well, wrong
from streamproc.operate.doctor.wire import wire_of
from streamproc.settings import Settings
from streamproc.telemetry.clock import Clock

NEVER = "noeviction"
_MIB = 1024**2


def check(settings: Settings, clock: Clock) -> Check:
    """The shared tier, where there is one."""
    return Check(
        "redis",
        "Does it answer, take keys, and let old ones go when it is full?",
        lambda: _look(settings, clock),
        "Start Redis, or set redis.url to its own; empty runs without it, and computes again what others know.",
        cures=(
            ("AuthenticationError", "Correct the user and the password in redis.url."),
            (
                "NoPermissionError",
                "Give the user of redis.url the rights that docs/configuration.md names for doctor, on keys `sp:*`.",
            ),
            *unknown_host("redis.url"),
        ),
        wire=wire_of("redis.url", settings.redis.url.get_secret_value()) if settings.redis.url else None,
    )


def _look(settings: Settings, clock: Clock) -> Finding:
    if settings.redis.url is None or not settings.redis.url.get_secret_value():
        return well("not used: redis.url is empty")
    state = look(settings.redis, clock, ANSWER_S)
    said = f"{state.version} at {state.address}, {state.policy}"
    if state.most_bytes == 0:
        return doubtful(
            f"{said}, without a limit: it grows until the machine kills it",
            "Set its maxmemory, and maxmemory-policy allkeys-lru or volatile-lru.",
        )
    if state.policy == NEVER:
        return wrong(
            f"{said}: when {state.most_bytes // _MIB} MiB are full, every write fails",
            "Set its maxmemory-policy to allkeys-lru or volatile-lru: every key of ours expires anyway.",
        )
    return well(f"{said}, {state.most_bytes // _MIB} MiB")
