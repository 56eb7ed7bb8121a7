import threading
import time

from streamproc.errors import DependencyDownError, DependencyRefusesError, UsageError
from streamproc.operate.doctor.check import Check
from streamproc.operate.doctor.examine import Examined, examine
from streamproc.operate.doctor.finding import Finding, Verdict, well


def asked(*checks: Check) -> dict[str, Examined]:
    return {found.check: found for found in examine(checks)}


def away() -> Finding:
    raise DependencyDownError("kafka", "nobody listens")


def refused() -> Finding:
    raise UsageError("model.engine is unheard of")


def broken() -> Finding:
    raise ZeroDivisionError("oh")


def good() -> Finding:
    return well("as it should be")


def test_a_check_that_hangs_or_fails_stops_no_other() -> None:
    forever = threading.Event()

    def hangs() -> Finding:
        forever.wait()
        return good()

    checks = [
        Check("hangs", "?", hangs, "look at it", 0.2),
        Check("refused", "?", refused, "set it"),
        Check("broken", "?", broken, "none"),
        Check("good", "?", good, "none"),
    ]
    try:
        found = asked(*checks)
    finally:
        forever.set()
    assert list(found) == ["hangs", "refused", "broken", "good"]
    assert (found["hangs"].verdict, found["hangs"].says) == (Verdict.WRONG, "no answer within 0.2 s")
    assert (found["hangs"].advice, found["refused"].advice) == ("look at it", "set it")
    assert "unheard of" in found["refused"].says
    assert (found["broken"].verdict, found["broken"].advice) == (Verdict.WRONG, "Please report it.")
    assert "ZeroDivisionError" in found["broken"].says
    assert found["good"].verdict is Verdict.WELL


def test_checks_wait_side_by_side() -> None:
    both = threading.Barrier(2)

    def meet() -> Finding:
        both.wait(30)
        return good()

    found = asked(Check("one", "?", meet, "", 60), Check("other", "?", meet, "", 60))
    assert [one.verdict for one in found.values()] == [Verdict.WELL, Verdict.WELL]


def test_a_server_that_is_away_is_wrong_once() -> None:
    found = asked(Check("first", "?", away, "start it"), Check("second", "?", away, "start it"))
    assert (found["first"].verdict, found["first"].advice) == (Verdict.WRONG, "start it")
    assert (found["second"].verdict, found["second"].advice) == (Verdict.UNKNOWN, "")
    assert found["second"].says == "kafka does not answer, as said above"


def test_findings_come_as_soon_as_they_are_known() -> None:
    goes_on = threading.Event()

    def waits() -> Finding:
        goes_on.wait(30)
        return good()

    findings = examine([Check("quick", "?", good, ""), Check("slow", "?", waits, "", 60)])
    began = time.monotonic()
    assert next(findings).check == "quick"
    assert time.monotonic() - began < 20
    goes_on.set()
    assert next(findings).verdict is Verdict.WELL


def test_a_server_that_refuses_is_not_away() -> None:
    def forbidden() -> Finding:
        raise DependencyRefusesError("kafka", "not this topic")

    first, second = Check("first", "?", forbidden, "grant it"), Check("second", "?", forbidden, "grant it")
    found = asked(first, second, Check("third", "?", away, "start it"))
    assert (found["first"].verdict, found["first"].says) == (
        Verdict.WRONG,
        "kafka answers, and refuses: not this topic",
    )
    assert found["second"].says == "kafka answers, and refuses: not this topic, as said above"
    assert found["third"].verdict is Verdict.WRONG
