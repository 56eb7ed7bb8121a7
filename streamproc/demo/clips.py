"""The recordings that ship with the package, as their manifest describes them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording of synthetic speech."""

    file: str
    title: str
    format: str
    seconds: float
    label: str | None
    """The one emotion in it; None where several follow each other."""
    sha256: str


@dataclass(frozen=True, slots=True)
class Oddity:
    """One object that is not an ordinary recording."""

    file: str
    title: str
    outcome: str
    """The status of its result, or the reason of its dead letter."""
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything that ships."""

    clips: Sequence[Clip]
    oddities: Sequence[Oddity]


def _folder() -> Traversable:
    return resources.files("streamproc.demo").joinpath("clips")


@cache
def load_manifest() -> Manifest:
    """Read the manifest."""
    fields = json.loads(_folder().joinpath("manifest.json").read_text("utf-8"))
    return Manifest(
        clips=[
            Clip(**{name: entry[name] for name in ("file", "title", "format", "seconds", "label", "sha256")})
            for entry in fields["recordings"]
        ],
        oddities=[
            Oddity(**{name: entry[name] for name in ("file", "title", "outcome", "sha256")})
            for entry in fields["specials"]
        ],
    )


def read_bytes(file: str) -> bytes:
    """The bytes of one of the files."""
    return _folder().joinpath(file).read_bytes()
