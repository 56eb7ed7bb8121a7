"""Where answers of commands are shown."""

from rich.console import Console

WIDE = 1_000
"""Columns where no terminal says how many it has: what reads the answers there is to find nothing cut or wrapped."""


def answers() -> Console:
    """A console as wide as the terminal, or wider than any answer where there is none."""
    console = Console()
    if not console.is_terminal:
        console.width = WIDE
    return console
