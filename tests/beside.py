"""Calls that block, beside the thread of a test."""

import threading
from collections.abc import Callable
from concurrent.futures import Future


def beside(call: Callable[[], None]) -> Future[None]:
    """Run something on a thread that nothing waits for: what should not block may do so when it is broken."""
    answer: Future[None] = Future()

    def run() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001  # not swallowed: whoever asks for the answer gets it
            answer.set_exception(error)
        else:
            answer.set_result(None)

    threading.Thread(target=run, daemon=True).start()
    return answer
