"""What is set below ``log``."""

from typing import Literal

from streamproc.settings.section import Section


class LogSettings(Section):
    """How the process speaks."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is said."""
    format: Literal["auto", "json", "console"] = "auto"
    """``auto`` is lines for people on a terminal, JSON lines elsewhere."""
