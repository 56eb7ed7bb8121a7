"""All checks side by side: none waits for another, none stops another, none lasts longer than it says."""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from streamproc.errors import DependencyDownError, DependencyRefusesError, StreamprocError
from streamproc.operate.doctor.check import Check
from streamproc.operate.doctor.finding import Finding, Verdict, unknown, wrong


@dataclass(frozen=True, slots=True)
class Examined:
    """What a check found, and when."""

    check: str
    verdict: Verdict
    says: str
    advice: str
    details: tuple[str, ...]
    seconds: float


def examine(checks: Sequence[Check]) -> Iterator[Examined]:
    """Run all checks; what they found, in their order, each as soon as those before it are known.

    A server that is away is told by the first check that misses it, the others say that they do not know.
    """
    began = time.monotonic()
    running = [(check, _begin(check)) for check in checks]
    away: set[str] = set()
    for check, future in running:
        yield _found(check, future, began, away)


def _begin(check: Check) -> "Future[tuple[Finding, float]]":
    answer: Future[tuple[Finding, float]] = Future()

    def run() -> None:
        began = time.monotonic()
        try:
            found = check.look()
        except BaseException as error:  # noqa: BLE001  # not swallowed: whoever asks for the answer gets it
            answer.set_exception(error)
        else:
            answer.set_result((found, time.monotonic() - began))

    # A daemon: one that hangs in a library must not keep the program from ending.
    threading.Thread(target=run, name=f"doctor-{check.name}", daemon=True).start()
    return answer


def _found(check: Check, future: "Future[tuple[Finding, float]]", began: float, away: set[str]) -> Examined:
    try:
        found, seconds = future.result(max(0.0, began + check.within_s - time.monotonic()))
    except DependencyDownError as error:
        seconds = time.monotonic() - began
        found = _missed(check, error, away)
    except StreamprocError as error:
        seconds, found = time.monotonic() - began, wrong(str(error), check.cure(str(error)))
    except TimeoutError:
        seconds, found = check.within_s, wrong(f"no answer within {check.within_s:g} s", check.advice)
    except Exception as error:  # noqa: BLE001  # a mistake of ours in one check is its finding, and ends no other
        seconds = time.monotonic() - began
        found = wrong(f"the check itself failed: {type(error).__name__}: {error}", "Please report it.")
    return Examined(check.name, found.verdict, found.says, found.advice, found.details, round(seconds, 3))


def _missed(check: Check, error: DependencyDownError, away: set[str]) -> Finding:
    refused = isinstance(
        error, DependencyRefusesError
    )  # by a server that is there, and may do for others what they ask
    said = str(error) if refused else f"{error.dependency} does not answer"
    if said in away:
        return unknown(f"{said}, as said above")
    away.add(said)
    return wrong(str(error), check.cure(str(error)))
