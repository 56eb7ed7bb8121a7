"""Where what was fetched and built lies. Free of the settings, which take a tenth of a second to import."""

from collections.abc import Mapping
from pathlib import Path


def cache_root(configured: Path | None, environment: Mapping[str, str]) -> Path:
    """The cache folder: the setting ``local.cache_dir``, else STREAMPROC_CACHE, else ~/.cache/streamproc."""
    if configured is not None:
        return configured.absolute()
    named = environment.get("STREAMPROC_CACHE")
    return Path(named).absolute() if named else Path.home() / ".cache" / "streamproc"
