"""Take connectors away: those of the settings, or those that other settings have made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streamproc.errors import DependencyDownError, UsageError
from streamproc.operate.place import Place
from streamproc.operate.warehouse.apply import MISSING
from streamproc.operate.warehouse.connectors import FILES, TRIAL, names
from streamproc.operate.warehouse.halt import settle
from streamproc.operate.warehouse.rest import NAME, Connect, open_connect
from streamproc.operate.warehouse.skipped import skipped
from streamproc.settings import Settings

SINK = "io.debezium.connector.jdbc.JdbcSinkConnector"


@dataclass(frozen=True, slots=True)
class Other:
    """A connector that this program has made, under other settings than these."""

    name: str
    topic: str
    table: str
    state: str
    """FAILED too where a task of it is."""


def others(settings: Settings) -> Sequence[Other]:
    """Connectors of this program that are not of these settings. Raises UsageError, DependencyDownError."""
    found = []
    with open_connect(settings.connect) as connect:
        for name in connect.names():
            config = connect.config(name)
            if name not in names(settings) and config is not None and is_own(name, config):
                state = connect.state(name) or MISSING
                does = "FAILED" if state.failed else state.connector
                found.append(Other(name, config["topics"], config["collection.name.format"], does))
    return found


def is_own(name: str, config: Mapping[str, str]) -> bool:
    """Whether this program makes connectors of this name and kind."""
    plain = name.removesuffix(TRIAL)
    ours = any(plain == file or plain.endswith(f"-{file}") for file in FILES)
    return ours and config.get("connector.class") == SINK


def remove(settings: Settings) -> None:
    """Take every connector of these settings away. Raises UsageError, DependencyDownError."""
    with open_connect(settings.connect) as connect:
        _remove(connect, settings, names(settings))


def remove_named(settings: Settings, wanted: Sequence[str], *, current: bool = False) -> Sequence[Place]:
    """Take these connectors away; none, if one of them is not there or not this program's.

    Nor, unless ``current``, if one is of these settings. The places that went with them: `connect skip` has passed over
    these, and a connector that is made anew does not know. Raises UsageError, DependencyDownError.
    """
    with open_connect(settings.connect) as connect:
        configs = {name: connect.config(name) for name in wanted}
        if absent := [name for name, config in configs.items() if config is None]:
            raise UsageError(f"Kafka Connect has no connector {', '.join(absent)}; it has {', '.join(connect.names())}")
        if foreign := [name for name, config in configs.items() if config is not None and not is_own(name, config)]:
            raise UsageError(f"{', '.join(foreign)} is no connector of this program: whoever made it takes it away")
        gone = [place for config in configs.values() for place in skipped(config or {})]
        if not current and (ours := [name for name in wanted if name in names(settings)]):
            told = f" of {len(gone)} records that were skipped" if gone else " of records that would be skipped"
            raise UsageError(
                f"{', '.join(ours)} is of these settings: without it no rows come, and one that `streamproc connect "
                f"apply` makes anew knows nothing{told}. With --yes it is taken away"
            )
        _remove(connect, settings, wanted)
        return gone


def _remove(connect: Connect, settings: Settings, wanted: Sequence[str]) -> None:
    """Take connectors away and see their tasks end; the offsets that they have read to stay."""
    for name in wanted:
        connect.remove(name)
    left = settle(
        lambda: [connect.state(name) or MISSING for name in wanted],
        settings.connect.timeout_s,
        lambda state: state == MISSING,
    )
    if set(left) != {MISSING}:
        raise DependencyDownError(NAME, f"{', '.join(wanted)} do not end")
