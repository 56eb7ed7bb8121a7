"""How long others wait for a worker that died: the broker's session, and the takeover that follows from it."""

from streamproc.kafka.admin import ask_broker
from streamproc.kafka.preflight import Preflight
from streamproc.operate.doctor.check import ANSWER_S, Check
from streamproc.operate.doctor.finding import Finding, doubtful, well, wrong
from streamproc.settings import ASSIGNMENT_S, OVERDUE_S, Settings, heartbeat_s, takeover_s


def check(settings: Settings) -> Check:
    """G7's number, from what the broker says."""
    return Check(
        "takeover",
        "Is the broker's session the one of the settings, and after how long is a dead worker's work taken over?",
        lambda: _look(settings),
        "See what is said of the brokers.",
    )


def _look(settings: Settings) -> Finding:
    session_s, kafka = ask_broker(settings).session_s, settings.kafka
    if session_s is None:
        return doubtful(
            "the brokers do not say how long a session lasts",
            "Grant DESCRIBE_CONFIGS on the group; with brokers older than KIP-848 set kafka.group_protocol=classic.",
        )
    real = settings.model_copy(update={"kafka": kafka.model_copy(update={"session_timeout_s": session_s})})
    says = f"a dead worker's work is taken over within {takeover_s(real):g} s"
    details = (_sum(real),)
    if session_s != kafka.session_timeout_s:
        return wrong(
            f"the broker's session is {session_s:g} s, kafka.session_timeout_s={kafka.session_timeout_s:g}: {says}",
            f"Set kafka.session_timeout_s to {session_s:g}, or the group's consumer.session.timeout.ms on the broker.",
            *details,
        )
    limits = Preflight(settings, ANSWER_S).cluster().limits
    if limits is not None and kafka.delivery == "exactly_once" and limits.overdue_s > OVERDUE_S:
        return wrong(
            f"the brokers look for overdue transactions every {limits.overdue_s:g} s only: a takeover can last "
            f"{takeover_s(real) + limits.overdue_s - OVERDUE_S:g} s",
            f"Set transaction.abort.timed.out.transaction.cleanup.interval.ms to {1000 * OVERDUE_S:g} or less on them.",
            *details,
        )
    return well(says, *details)


def _sum(settings: Settings) -> str:
    kafka = settings.kafka
    missed = f"session {kafka.session_timeout_s:g} + heartbeat {heartbeat_s(settings):g}"
    if kafka.delivery != "exactly_once":
        return f"{missed} + assignment {ASSIGNMENT_S:g} = {takeover_s(settings):g} s"
    undecided = f"transaction {kafka.transaction_timeout_s:g} + looked for every {OVERDUE_S:g}"
    return f"the longer of {missed} and {undecided}, + assignment {ASSIGNMENT_S:g} = {takeover_s(settings):g} s"
