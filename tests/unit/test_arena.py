import os
from pathlib import Path

import pytest

from streamproc.arena import Arena


def test_the_memory_of_an_arena_that_nobody_closes_goes_with_it() -> None:
    arena = Arena(1)
    opened = os.fstat(arena.descriptor).st_ino
    assert opened in descriptors()
    del arena
    assert opened not in descriptors()


def descriptors() -> list[int]:
    """What the descriptors of this process lead to."""
    return [path.stat().st_ino for path in Path("/proc/self/fd").iterdir() if path.exists()]


def test_nobody_who_holds_the_descriptor_can_change_the_size_under_the_others() -> None:
    arena = Arena(2)
    try:
        size = os.fstat(arena.descriptor).st_size
        for other in (0, size - 4096, size + 4096):
            with pytest.raises(PermissionError):
                os.ftruncate(arena.descriptor, other)
        assert os.fstat(arena.descriptor).st_size == size
    finally:
        arena.close()
