"""Where a model lies: inside the package, in the cache under its published name, or where the user says."""

from importlib.resources import files
from pathlib import Path

from streamproc.emotion.pins import PUBLISHED
from streamproc.errors import UsageError

SHIPPED = ("demo",)
"""Models inside the package: tiny, of the published architecture, trained on synthesised speech."""
MODELS = "models"
"""The folder of the cache that pulled models lie in, each as ``NAME@REVISION``."""


def find_directory(name_or_dir: str | Path, cache: Path) -> Path:
    """The directory of a shipped model, of a pulled one (``NAME`` or ``NAME@REVISION``), else the path that was given.

    Raises UsageError that names the command for a published model that is not pulled.
    """
    text = str(name_or_dir)
    if text in SHIPPED:
        return Path(str(files(__package__) / "checkpoints" / text))
    name, _, revision = text.partition("@")
    if name not in PUBLISHED:
        return Path(name_or_dir).expanduser()
    pulled = sorted(path for path in (cache / MODELS).glob(f"{name}@*") if path.is_dir())
    found = [path for path in pulled if path.name.startswith(f"{name}@{revision}")]
    if not found:
        raise UsageError(f"{text} is not in {cache / MODELS}: run `streamproc model pull {name}` once, while online")
    if len(found) > 1:
        choice = ", ".join(path.name for path in found)
        raise UsageError(f"several revisions of {name} are pulled: name one of {choice}")
    return found[0]
