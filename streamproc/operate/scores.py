"""The scores of a result, and their picture in one line of text."""

import json
from collections.abc import Mapping
from types import MappingProxyType

from streamproc.records.result import SCORE_COLUMNS, EmotionResult

GLYPHS: Mapping[str, str] = MappingProxyType(
    {
        "angry": "a",
        "disgusted": "d",
        "fearful": "f",
        "happy": "h",
        "neutral": "n",
        "other": "o",
        "sad": "s",
        "surprised": "!",
        "unknown": "?",
    }
)
"""One letter for each label, so that a bar reads the same without colours."""
STYLES: Mapping[str, str] = MappingProxyType(
    {
        "angry": "red",
        "disgusted": "green",
        "fearful": "magenta",
        "happy": "yellow",
        "neutral": "white",
        "other": "bright_black",
        "sad": "blue",
        "surprised": "cyan",
        "unknown": "bright_black",
    }
)
_FOREIGN_GLYPH, _FOREIGN_STYLE = "+", "bright_black"


def scores_of(result: EmotionResult) -> Mapping[str, float]:
    """Scores by label; empty for a result without one."""
    if result.scores_json:
        return {str(label): float(score) for label, score in json.loads(result.scores_json).items()}
    columns = ((label, getattr(result, f"score_{label}")) for label in SCORE_COLUMNS)
    return {label: score for label, score in columns if score is not None}


def bar(scores: Mapping[str, float], width: int) -> str:
    """``width`` glyphs shared out by score, the largest first; equal scores in the order of their labels.

    Shares are rounded by largest remainder, so that the bar is always full. Empty without scores.
    """
    total = sum(scores.values())
    if not total:
        return ""
    exact = {label: width * score / total for label, score in scores.items()}
    cells = {label: int(share) for label, share in exact.items()}
    by_remainder = sorted(exact, key=lambda label: (cells[label] - exact[label], label))
    for label in by_remainder[: width - sum(cells.values())]:
        cells[label] += 1
    ranked = sorted(cells, key=lambda label: (-cells[label], label))
    return "".join(GLYPHS.get(label, _FOREIGN_GLYPH) * cells[label] for label in ranked)


def style(glyph: str) -> str:
    """The colour of a glyph."""
    return next((STYLES[label] for label, known in GLYPHS.items() if known == glyph), _FOREIGN_STYLE)
