"""The model's files, and the hash of each."""

from collections.abc import Mapping

from streamproc.cache_root import cache_root
from streamproc.emotion.directory import SHIPPED, find_directory
from streamproc.emotion.engines import check_engine
from streamproc.emotion.layout import WEIGHTS
from streamproc.emotion.manifest import read_manifest, sha256, verify
from streamproc.emotion.pins import NEEDED
from streamproc.operate.doctor.check import Check
from streamproc.operate.doctor.finding import Finding, doubtful, well, wrong
from streamproc.settings import Settings

WITHIN_S = 120.0
"""To read 2 GB from a cold disk."""


def check(settings: Settings, environ: Mapping[str, str]) -> Check:
    """What a worker would load, hashed again whatever an earlier load remembers."""
    return Check(
        "model",
        "Are the model's files there, and is each byte the one that was pulled?",
        lambda: _look(settings, environ),
        "Run `streamproc model pull` while online, or set model.name_or_dir to a directory that has them.",
        WITHIN_S,
    )


def _look(settings: Settings, environ: Mapping[str, str]) -> Finding:
    model = settings.model
    check_engine(model.engine)
    if ":" in model.engine:
        return well(f"{model.engine} is an analyzer of your own: what it needs, it knows")
    directory = find_directory(model.name_or_dir, cache_root(settings.local.cache_dir, environ))
    missing = [name for name in NEEDED if not (directory / name).is_file()]
    if missing:
        return wrong(
            f"{directory} has no {', '.join(missing)}",
            "Set model.name_or_dir to a model's name or directory, or run `streamproc model pull` for it.",
        )
    manifest = read_manifest(directory)
    if manifest is not None:
        verify(directory, manifest, _unheard)
        return well(f"{manifest.name}: {len(manifest.files)} files as pulled from {manifest.hub}, {manifest.revision}")
    weights = sha256(directory / WEIGHTS)
    if model.name_or_dir in SHIPPED:
        return well(f"{model.name_or_dir}, which ships with this program: weights sha256 {weights[:12]}")
    return doubtful(
        f"{directory} was not pulled: weights sha256 {weights[:12]}",
        "Compare the hash with those of the other workers: nothing here says what it has to be.",
    )


def _unheard(_file: str, _done: int, _total: int) -> None:
    """Progress that nobody watches."""
