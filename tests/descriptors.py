"""What this process has open."""

from pathlib import Path


def opened() -> list[str]:
    """What its descriptors lead to: a file's path, or a kind with a number, as in ``pipe:[7]``."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(descriptor.readlink()))
        except FileNotFoundError:  # that of the listing itself
            continue
    return found


def arenas() -> int:
    """How many of them are arenas."""
    return sum("streamproc-arena" in name for name in opened())
