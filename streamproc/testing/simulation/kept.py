"""What a long run has played so far, kept in a file: whoever is stopped goes on from there, at the same commit."""

from collections import Counter
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from streamproc.errors import UsageError
from streamproc.testing.simulation.fault import FaultKind, Point
from streamproc.testing.simulation.tally import Tally

_CHANGED = "with changes"


@dataclass(frozen=True, slots=True)
class Pair:
    """How often a fault struck at a point, and had an effect there."""

    kind: FaultKind
    point: Point
    struck: int
    felt: int


@dataclass(frozen=True, slots=True)
class Kept:
    """The first seeds of a run, in order."""

    commit: str
    first: int
    seconds: float
    seeds: int
    transactions: int
    exits: int
    killed: int
    virtual_s: float
    longest_fresh_s: float
    takeovers: int
    longest_takeover_s: float
    longest_revoke_s: float
    resumed: int
    failed: int
    failures: list[tuple[int, str]]
    pairs: list[Pair]


_ADAPTER = TypeAdapter(Kept)


def keep(path: Path, commit: str, first: int, seconds: float, played: Tally) -> None:
    """Write the file, whole or not at all."""
    kept = Kept(
        commit=commit,
        first=first,
        seconds=seconds,
        seeds=played.seeds,
        transactions=played.transactions,
        exits=played.exits,
        killed=played.killed,
        virtual_s=played.virtual_s,
        longest_fresh_s=played.longest_fresh_s,
        takeovers=played.takeovers,
        longest_takeover_s=played.longest_takeover_s,
        longest_revoke_s=played.longest_revoke_s,
        resumed=played.resumed,
        failed=played.failed,
        failures=played.failures,
        pairs=[Pair(*pair, struck, played.felt[pair]) for pair, struck in played.struck.items()],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_bytes(_ADAPTER.dump_json(kept))
    draft.replace(path)


def recall(path: Path, commit: str, first: int) -> tuple[Tally, float]:
    """What was played, and the seconds that it took; nothing where there is no file.

    Raises UsageError when it is of another program: seeds mean something else there.
    """
    if _CHANGED in commit:
        raise UsageError(
            f"--keep adds up what one commit plays, and this is {commit}: commit them, or leave --keep out"
        )
    if not path.exists():
        return Tally(), 0.0
    try:
        kept = _ADAPTER.validate_json(path.read_bytes())
    except ValidationError as error:
        raise UsageError(
            f"{path} is not what an earlier run has kept: {error.error_count()} faults; delete it"
        ) from error
    if (kept.commit, kept.first) != (commit, first):
        raise UsageError(
            f"{path} is of commit {kept.commit} from seed {kept.first:,} on, this is {commit} from {first:,} on; "
            "delete it to begin anew"
        )
    played = Tally(
        seeds=kept.seeds,
        transactions=kept.transactions,
        exits=kept.exits,
        killed=kept.killed,
        virtual_s=kept.virtual_s,
        longest_fresh_s=kept.longest_fresh_s,
        takeovers=kept.takeovers,
        longest_takeover_s=kept.longest_takeover_s,
        longest_revoke_s=kept.longest_revoke_s,
        resumed=kept.resumed,
        failed=kept.failed,
        failures=kept.failures,
        struck=Counter({(pair.kind, pair.point): pair.struck for pair in kept.pairs}),
        felt=Counter({(pair.kind, pair.point): pair.felt for pair in kept.pairs}),
    )
    return played, kept.seconds
