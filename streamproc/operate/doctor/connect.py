"""Kafka Connect and its connectors, where results are brought to a warehouse."""

from streamproc.operate.doctor.check import WITHIN_S, Check
from streamproc.operate.doctor.finding import Finding, doubtful, well, wrong
from streamproc.operate.doctor.wire import wire_of
from streamproc.operate.warehouse.apply import EACH_TIME, MISSING, differing, look_by
from streamproc.operate.warehouse.connectors import sources
from streamproc.operate.warehouse.lag import lag
from streamproc.operate.warehouse.login import explained, try_login
from streamproc.operate.warehouse.rest import open_connect
from streamproc.settings import Settings
from streamproc.telemetry.clock import Clock

LATE_S = 600.0
"""Rows come within seconds of their results, and Connect tells within a minute or so what it has done."""
_APPLY = "Run `streamproc connect apply`, and let `streamproc connect watch` run"


def check(settings: Settings, clock: Clock) -> Check:
    """Nothing, where no warehouse is used."""
    return Check(
        "connect",
        "Does Kafka Connect answer, and do its connectors run, as the settings have them, and keep up?",
        lambda: _look(settings, clock),
        "Start Kafka Connect (`streamproc up --with warehouse` does here), or set connect.url to its own.",
        settings.connect.timeout_s + 2 * WITHIN_S,
        wire=wire_of("connect.url", settings.connect.url),
    )


def used(settings: Settings) -> bool:
    """Whether somebody has said where a warehouse is: the defaults are there for everyone."""
    return "url" in settings.connect.model_fields_set or "address" in settings.warehouse.model_fields_set


def _look(settings: Settings, clock: Clock) -> Finding:
    if not used(settings):
        return well("not used: neither connect.url nor warehouse.address is set")
    with open_connect(settings.connect) as connect:
        states = {one.name: one.state for one in look_by(connect, settings)}
        other = differing(connect, settings)
    halted = [name for name, state in states.items() if not state.running]
    if halted:
        missing = [name for name in halted if states[name] == MISSING]
        says = f"not there: {', '.join(missing)}" if missing else f"not running: {', '.join(halted)}"
        problems = {state.problem for state in states.values() if state.problem}
        login = try_login(settings.warehouse)
        again = f" {EACH_TIME}." if any(state.failed for state in states.values()) else ""
        return wrong(says, f"{_APPLY}.{again}", *(explained(problem, login) for problem in sorted(problems)))
    if other:
        return doubtful(f"other settings than these: {', '.join(other)}", "Run `streamproc connect apply`.")
    lags = {name: lag(settings, name, topic, clock.wall_ms()) for name, topic in sources(settings).items()}
    told = ", ".join(f"{name} {one.records} records behind" for name, one in lags.items())
    if max(one.seconds for one in lags.values()) > LATE_S:
        return doubtful(told, f"A record waits for over {LATE_S:g} s: `streamproc connect status` tells more.")
    return well(told)
