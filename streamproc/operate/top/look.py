"""Looking at all workers again and again."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from streamproc.errors import DependencyDownError
from streamproc.operate.top.scrape import Scrape, scrape
from streamproc.operate.top.view import View, view


def looks(workers: Sequence[str], clock: Callable[[], float], wait: Callable[[], object]) -> Iterator[View]:
    """A view after each ``wait``, without an end. ``clock`` gives seconds that only grow.

    All workers are asked side by side, so that one that hangs holds no other up. Where none answers at first, that is a
    view, too, and comes before the first ``wait``.
    """
    pool = ThreadPoolExecutor(len(workers), "top")
    try:

        def ask() -> tuple[dict[str, Scrape], list[str]]:
            asked = [pool.submit(scrape, worker, clock) for worker in workers]
            found, missing = {}, []
            for one in asked:
                try:
                    answer = one.result()
                except DependencyDownError as error:
                    missing.append(str(error))
                else:
                    found[answer.worker] = answer
            return found, missing

        before, missing = ask()
        if not before:
            yield view([], missing)
        while True:
            wait()
            after, missing = ask()
            fresh = [
                f"worker {name} answers since this look: its rates take one more"
                for name in after
                if name not in before
            ]
            yield view([(before[name], found) for name, found in after.items() if name in before], missing + fresh)
            before = after
    finally:  # whoever ends it waits for no worker that hangs
        pool.shutdown(wait=False, cancel_futures=True)
