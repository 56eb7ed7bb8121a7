"""How a model, and its precisions beside each other, are shown."""

from rich.markup import escape
from rich.table import Table

from streamproc.emotion.comparison import CLEAR, Comparison
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
        "engine": model.engine,
        "source": f"{source.hub} {source.repo} @ {source.revision}" if source else "a directory of its own, not pulled",
        "attribution": source.attribution if source else "",
        "licence": source.licence if source else "",
    }
    for name, text in rows.items():
        if text:
            table.add_row(name, escape(text))
    return table


def comparison_table(comparison: Comparison) -> Table:
    """One row for each precision."""
    table = Table("precision", box=None, padding=(0, 2, 0, 0))
    for name in ("audio-s/s", "ratio", "most", "mean", "cosine", "flips", "clear", "inside"):
        table.add_column(name, justify="right")
    for row in comparison.rows:
        apart = row.difference
        table.add_row(
            row.precision,
            f"{row.audio_seconds_per_s:.1f}",
            f"{row.ratio[1]:.2f}",
            f"{apart.most:.1e}",
            f"{apart.mean:.1e}",
            f"{apart.cosine:.6f}",
            str(apart.flips),
            str(apart.clear_flips),
            "yes" if row.within(comparison.bound) else "no",
        )
    return table


def comparison_text(comparison: Comparison) -> str:
    """What was measured on, and what follows."""
    spread = "; ".join(f"{row.precision} {row.ratio[0]:.2f} to {row.ratio[2]:.2f}" for row in comparison.rows[1:])
    return (
        f"{comparison.clips} clips of {comparison.clip_seconds:.1f} s together, {comparison.turns} turns. Ratio: speed "
        f"over fp32's of the same turn, its middle; least to most: {spread}. Most and "
        f"mean are differences of scores from fp32's; inside: none over {comparison.bound:g}, and no flip of a label "
        f"that led by more than {CLEAR:g} (clear). Recommended here: model.precision = {comparison.recommended}, for "
        "the whole group or not at all."
    )
