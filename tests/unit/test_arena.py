import os

import pytest

from streamproc.arena import Arena
from tests.descriptors import arenas


def test_the_memory_of_an_arena_that_nobody_closes_goes_with_it() -> None:
    before = arenas()
    arena = Arena(1)
    assert arenas() > before
    del arena
    assert arenas() == before


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
