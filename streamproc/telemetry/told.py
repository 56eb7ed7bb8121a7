"""How long work says where it is, to whoever shows it."""

from collections.abc import Callable

Told = Callable[[str, str, int, int], None]
"""Told (what is counted, what was just done, how many are done, of how many)."""
