"""All local servers together: up, down, status."""

import os
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from streamproc.cache_root import cache_root
from streamproc.errors import UsageError
from streamproc.local.cache import Cache
from streamproc.local.connect import ConnectRecipe
from streamproc.local.kafka import KafkaRecipe
from streamproc.local.launch import halt, keep, start
from streamproc.local.minio import MinioRecipe
from streamproc.local.own import address_of, is_own, named_by_user
from streamproc.local.ports import choose, fresh_candidates
from streamproc.local.postgres import PostgresRecipe
from streamproc.local.redis import RedisRecipe
from streamproc.local.registry import RegistryRecipe
from streamproc.local.server import Place, Recipe
from streamproc.local.state import State
from streamproc.local.status import ServerStatus, look
from streamproc.local.toolbox import Report, Toolbox
from streamproc.local.watch import WatchRecipe
from streamproc.settings import Settings

T = TypeVar("T")

RECIPES: tuple[Recipe, ...] = (KafkaRecipe(), RegistryRecipe(), RedisRecipe(), MinioRecipe())
WAREHOUSE: tuple[Recipe, ...] = (PostgresRecipe(), ConnectRecipe(), WatchRecipe())
"""What ``up --with warehouse`` adds."""
LATE = ("connect", "watch")
"""Those that need others to be ready before they start, and to run still while they stop; each those before it."""


@dataclass(frozen=True, slots=True)
class Stack:
    """Servers that are ready."""

    settings: Settings
    """The settings that were given, with the addresses of the servers."""
    servers: Sequence[ServerStatus]
    started: frozenset[str]
    """Names of those that this ``up`` started; ``down`` takes them as ``only``."""


def up(
    settings: Settings,
    report: Report,
    prepare: Callable[[Settings], None],
    recipes: Sequence[Recipe] = RECIPES,
) -> Stack:
    """Bring every server up that the user did not name himself, at the same time; keep those that run.

    Those of ``LATE`` start one by one when the others are ready, with settings that lead to them. Of a warehouse that
    runs already and is not among the recipes the addresses are kept.

    ``prepare`` is called with the addresses once all are ready, to make topics, bucket and schemas; only then is
    ``local.env`` written. If anything fails, or on Ctrl-C, what this call started is stopped again.

    Raises LocalError: what failed, what to do, and the end of its log; UsageError for a state folder that is no use.
    """
    state, box = _state(settings), _toolbox(settings, report)
    others = [one for one in WAREHOUSE if one not in recipes]
    own = _own([*recipes, *others], state)
    ours = [recipe for recipe in recipes if recipe.name not in own]
    with state.held(box.stop, lambda: report("up", "waiting: another `up` or `down` is at work")):
        kept = {recipe.name: place for recipe in ours if (place := keep(recipe, box, state))}
        missing = [recipe for recipe in ours if recipe.name not in kept]
        try:
            places = kept
            for wave in _waves(missing):
                places = places | _start_all(wave, box, state, _apply(settings, ours, places))
            ready = _apply(settings, ours, places)
            report("up", "preparing topics, schemas and bucket")
            prepare(ready)
            beside = [one for one in others if one.name not in own]
            state.write_environment(_exports([*ours, *beside], places | _running(beside, state)))
        except BaseException:
            _halt_all([recipe.name for recipe in missing], state)
            raise
    return Stack(ready, status(ready, recipes), frozenset(recipe.name for recipe in missing))


def down(
    settings: Settings,
    report: Report,
    *,
    only: Collection[str] | None = None,
    wipe: bool = False,
    recipes: Sequence[Recipe] = (*RECIPES, *WAREHOUSE),
) -> Sequence[str]:
    """Stop the servers that were started here, or ``only`` those named; the names of those that ran.

    Data is kept unless ``wipe``, which takes all servers down.
    """
    state = _state(settings)
    names = [recipe.name for recipe in recipes if only is None or wipe or recipe.name in only]
    with state.held(threading.Event(), lambda: report("down", "waiting: another `up` or `down` is at work")):
        stopped = _halt_all(names, state)
        state.write_environment(_exports(recipes, _running(recipes, state)))
        if wipe:
            state.wipe()
    return stopped


def status(settings: Settings, recipes: Sequence[Recipe] | None = None) -> Sequence[ServerStatus]:
    """What is known of each server, in the order of the recipes. By default of a warehouse too, if one was started."""
    state = _state(settings)
    if recipes is None:
        recipes = (*RECIPES, *(recipe for recipe in WAREHOUSE if state.ports(recipe.name)))
    own = _own(recipes, state)
    return [
        ServerStatus(recipe.name, "own", own[recipe.name]) if recipe.name in own else look(recipe, state)
        for recipe in recipes
    ]


def obtain(settings: Settings, report: Report, recipes: Sequence[Recipe] = RECIPES) -> None:
    """Get the programs of all servers into the cache. Raises ProgramMissingError."""
    box = _toolbox(settings, report)
    _all(box, {recipe.name: partial(recipe.obtain, box) for recipe in recipes})


def _own(recipes: Sequence[Recipe], state: State) -> Mapping[str, str]:
    """The servers that the user brings, with their addresses."""
    named = named_by_user()
    last = {r.name: Place(state.folder(r.name), ports) for r in recipes if (ports := state.ports(r.name))}
    ours = _exports(recipes, last)
    return {recipe.name: address_of(recipe, named) for recipe in recipes if is_own(recipe, named, ours)}


def _state(settings: Settings) -> State:
    """The state folder, made if need be. Raises UsageError for one that cannot be made or written."""
    root = settings.local.state_dir.absolute()
    try:
        root.mkdir(parents=True, exist_ok=True)
        problem = None if os.access(root, os.W_OK | os.X_OK) else "it cannot be written"
    except OSError as error:
        problem = f"it cannot be made ({error.strerror})"
    if problem:
        raise UsageError(
            f"local.state_dir is {root}: {problem}. Set STREAMPROC_LOCAL__STATE_DIR to a folder that you can write"
        )
    return State(root)


def _toolbox(settings: Settings, report: Report) -> Toolbox:
    """The servers are at work in threads of their own; ``report`` is called by one of them at a time."""
    one_at_a_time = threading.Lock()

    def tell(server: str, text: str) -> None:
        with one_at_a_time:
            report(server, text)

    return Toolbox(settings.local.prefer_path, Cache(cache_root(settings.local.cache_dir, os.environ)), tell)


def _all(box: Toolbox, work: Mapping[str, Callable[[], T]]) -> dict[str, T]:
    """Do all of it at the same time. The first failure, or Ctrl-C, stops the rest and is raised when all have ended."""
    with ThreadPoolExecutor(max(1, len(work))) as pool:
        futures = {pool.submit(function): name for name, function in work.items()}
        try:
            return {futures[future]: future.result() for future in as_completed(futures)}
        except BaseException:
            box.stop.set()
            raise


def _start_all(recipes: Sequence[Recipe], box: Toolbox, state: State, settings: Settings) -> dict[str, Place]:
    """Choose all ports at once, so that no two servers are given the same, then start."""
    wanted = [f"{recipe.name} {port}" for recipe in recipes for port in recipe.port_names]
    remembered = {f"{r.name} {port}": number for r in recipes for port, number in state.ports(r.name).items()}
    chosen = choose(wanted, remembered, fresh_candidates())
    ports = {recipe.name: {port: chosen[f"{recipe.name} {port}"] for port in recipe.port_names} for recipe in recipes}
    return _all(box, {r.name: partial(start, r, ports[r.name], box, state, settings) for r in recipes})


def _waves(recipes: Sequence[Recipe]) -> Sequence[Sequence[Recipe]]:
    """What is started at the same time, one wave after the other."""
    first = [recipe for recipe in recipes if recipe.name not in LATE]
    return [first, *([recipe for recipe in recipes if recipe.name == late] for late in LATE)]


def _running(recipes: Sequence[Recipe], state: State) -> dict[str, Place]:
    """Where those live that were started and not stopped."""
    return {
        recipe.name: Place(state.folder(recipe.name), running.ports)
        for recipe in recipes
        if (running := state.running(recipe.name))
    }


def _halt_all(names: Sequence[str], state: State) -> Sequence[str]:
    """Stop servers at the same time, those of ``LATE`` before the others; the names of those that ran."""
    ran: set[str] = set()
    late = [[name for name in names if name == one] for one in reversed(LATE)]
    for wave in (*late, [name for name in names if name not in LATE]):
        with ThreadPoolExecutor(max(1, len(wave))) as pool:
            did = pool.map(lambda name: halt(name, state), wave)
            ran.update(name for name, one in zip(wave, did, strict=True) if one)
    return [name for name in names if name in ran]


def _exports(recipes: Sequence[Recipe], places: Mapping[str, Place]) -> dict[str, Mapping[str, str]]:
    """The settings that lead to the servers in these places."""
    return {
        section: values
        for recipe in recipes
        if recipe.name in places
        for section, values in recipe.exports(places[recipe.name]).items()
    }


def _apply(settings: Settings, recipes: Sequence[Recipe], places: Mapping[str, Place]) -> Settings:
    """The settings with the addresses of the servers; each section validates its values."""
    changed = {
        section: getattr(settings, section).__class__(**{**dict(getattr(settings, section)), **values})
        for section, values in _exports(recipes, places).items()
    }
    return settings.model_copy(update=changed)
