"""What a recipe is, and the description of one server that it gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGTERM
from typing import Protocol

from streamproc.local.toolbox import Toolbox
from streamproc.settings import Settings

MAIN = "main"
"""The port that a server is known by."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one server lives: its folder of run state (absolute) and its ports by name."""

    folder: Path
    ports: Mapping[str, int]

    @property
    def data(self) -> Path:
        """What the server keeps between runs."""
        return self.folder / "data"

    @property
    def address(self) -> str:
        """Host and main port."""
        return f"127.0.0.1:{self.ports[MAIN]}"


@dataclass(frozen=True, slots=True)
class Server:
    """One server, ready to be started."""

    version: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold keys
    stop_signal: int = SIGTERM
    """What lets it write its data and end, whoever is connected."""


class Recipe(Protocol):
    """How one kind of server is had, started, probed and made known."""

    @property
    def name(self) -> str:
        """Name of the server, of its folder and of its section in ``status``."""
        ...

    @property
    def setting(self) -> tuple[str, str]:
        """Section and name of the setting that holds its address; a user who sets it brings an own server."""
        ...

    @property
    def port_names(self) -> tuple[str, ...]:
        """The ports it needs."""
        ...

    def obtain(self, box: Toolbox) -> None:
        """Get the program into the cache ahead of time. Raises ProgramMissingError."""
        ...

    def describe(self, box: Toolbox, place: Place, settings: Settings) -> Server:
        """Get the program, write its files into the place. Raises ProgramMissingError, LocalError."""
        ...

    def answers(self, place: Place) -> bool:
        """Whether something that speaks the protocol answers at the address."""
        ...

    def exports(self, place: Place) -> Mapping[str, Mapping[str, str]]:
        """The settings that lead to the running server: section -> name -> value."""
        ...
