"""``python -m streamproc.local.build [warehouse]``: get the servers' programs ahead of ``up``.

It needs few packages, so that a set-up can run it while the big ones download.
"""

import sys

from streamproc.local.failure import LocalError
from streamproc.local.stack import RECIPES, WAREHOUSE, obtain
from streamproc.settings import load_settings


def tell(server: str, text: str) -> None:
    """Say what is happening to a server."""
    print(f"{server}: {text}", flush=True)  # noqa: T201  # its purpose


def main() -> int:
    """Exit status 0 when every program is in the cache."""
    try:
        recipes = (*RECIPES, *WAREHOUSE) if sys.argv[1:] == ["warehouse"] else RECIPES
        obtain(load_settings(), tell, recipes)
    except LocalError as error:
        print(error, file=sys.stderr)  # noqa: T201  # the same
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
