"""``python -m streamproc.local.build``: get the servers' programs ahead of ``up``.

It needs few packages, so that a set-up can run it while the big ones download.
"""

import sys

from streamproc.local.failure import LocalError
from streamproc.local.stack import obtain
from streamproc.settings import load_settings


def main() -> int:
    """Exit status 0 when every program is in the cache."""
    try:
        obtain(load_settings(), lambda server, text: print(f"{server}: {text}", flush=True))  # noqa: T201  # its purpose
    except LocalError as error:
        print(error, file=sys.stderr)  # noqa: T201  # the same
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
