"""``streamproc connect watch`` beside the local Kafka Connect: it starts again what failed there."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from streamproc import __version__
from streamproc.local.ports import HOST
from streamproc.local.probe import ok
from streamproc.local.server import MAIN, Place, Server
from streamproc.local.toolbox import Toolbox
from streamproc.local.variables import environment
from streamproc.settings import HttpSettings, LogSettings, Settings

NEEDED = ("kafka", "registry", "topics", "connect", "warehouse")
"""Sections of the settings; of keys for other servers it learns nothing."""
FOUND_BY = ("PYTHONPATH",)
"""By which Python found this program, where it is not installed."""


@dataclass(frozen=True, slots=True)
class WatchRecipe:
    """This program itself."""

    name: str = "watch"
    setting: tuple[str, str] = ("connect", "url")
    port_names: tuple[str, ...] = (MAIN,)

    def obtain(self, box: Toolbox) -> None:
        """It is here."""

    def describe(self, box: Toolbox, place: Place, settings: Settings) -> Server:
        """The settings lead to Kafka Connect, to the registry and to Kafka."""
        box.report(self.name, "starting")
        own = Settings(
            **{name: getattr(settings, name) for name in NEEDED},
            http=HttpSettings(host=HOST, port=place.ports[MAIN]),
            log=LogSettings(level="info", format="json"),
            # These say all of it: what another `up` writes beside is not for this process.
            local=settings.local.model_copy(update={"state_dir": place.folder}),
        )
        variables = environment(own) | {name: os.environ[name] for name in FOUND_BY if name in os.environ}
        return Server(__version__, (sys.executable, "-m", "streamproc", "connect", "watch"), variables)

    def answers(self, place: Place) -> bool:
        """Its own check."""
        return ok(place.ports[MAIN], "/healthz")

    def exports(self, place: Place) -> Mapping[str, Mapping[str, str]]:  # noqa: ARG002  # the recipes' shape
        """Nobody needs to find it."""
        return {}
