"""Reports as pages that are committed."""

from collections.abc import Iterable
from pathlib import Path


def write_page(path: Path, lines: Iterable[str]) -> None:
    """Write a page, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text("\n".join(lines) + "\n")
    draft.replace(path)
