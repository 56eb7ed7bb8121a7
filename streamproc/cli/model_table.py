"""How a model is shown."""

from rich.markup import escape
from rich.table import Table

from streamproc.emotion.info import ModelInfo


def model_table(model: ModelInfo) -> Table:
    """One row for each thing to know."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    shape, source = model.shape, model.source
    rows = {
        "name": model.name,
        "directory": model.directory,
        "labels": f"{len(model.labels)}: {', '.join(model.labels)}",
        "note": model.note,
        "parameters": f"{model.parameters:,}",
        "shape": f"{shape['embed_dim']} wide, {shape['heads']} heads, "
        f"{shape['context_blocks']} + {shape['main_blocks']} blocks",
        "files": ", ".join(f"{name} {size:,} B" for name, size in model.sizes.items()),
        "weights": f"sha256 {model.weights_sha256}",
        **{f"fingerprint, {channels}": text for channels, text in model.fingerprints.items()},
        "precision": model.precision,
        "source": f"{source.hub} {source.repo} @ {source.revision}" if source else "a directory of its own, not pulled",
        "attribution": source.attribution if source else "",
        "licence": source.licence if source else "",
    }
    for name, text in rows.items():
        if text:
            table.add_row(name, escape(text))
    return table
