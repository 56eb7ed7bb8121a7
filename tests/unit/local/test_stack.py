"""Up, down and status, on small real servers."""

import errno
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

from streamproc.local.failure import LocalError
from streamproc.local.own import address_of
from streamproc.local.probe import ok
from streamproc.local.process import ProcessId, identify
from streamproc.local.redis import RedisRecipe
from streamproc.local.server import MAIN, Place, Server
from streamproc.local.stack import Stack, down, status, up
from streamproc.local.state import Running, State
from streamproc.local.toolbox import Toolbox
from streamproc.settings import LocalSettings, Settings, load_settings
from tests.programs import kill


@dataclass(frozen=True, slots=True)
class Web:
    """A web server out of Python's library that pretends to be one of ours."""

    name: str = "registry"
    setting: tuple[str, str] = ("registry", "url")
    port_names: tuple[str, ...] = (MAIN,)
    code: str = ""
    """Runs instead of the server."""
    asked: int | None = None
    """The port that is asked for an answer, where it is not the server's own."""

    def obtain(self, box: Toolbox) -> None:
        """Python is here."""

    def describe(self, box: Toolbox, place: Place, settings: Settings) -> Server:  # noqa: ARG002  # the recipes' shape
        box.report(self.name, "starting")
        place.data.mkdir(exist_ok=True)
        module = ("-m", "http.server", "--bind", "127.0.0.1", "--directory", str(place.data), str(place.ports[MAIN]))
        return Server("1", (sys.executable, *(("-c", self.code) if self.code else module)))

    def answers(self, place: Place) -> bool:
        return ok(self.asked or place.ports[MAIN], "/")

    def exports(self, place: Place) -> Mapping[str, Mapping[str, str]]:
        section, name = self.setting
        return {section: {name: f"http://{place.address}"}}


SECOND = Web("minio", ("storage", "endpoint"))
FAILING = Web("minio", ("storage", "endpoint"), code="raise SystemExit('no disk left')")


@dataclass
class Session:
    """One state folder, and what was told about it."""

    settings: Settings
    told: list[tuple[str, str]] = field(default_factory=list)
    prepared: list[Settings] = field(default_factory=list)

    def up(self, *recipes: Web) -> Stack:
        return up(self.settings, self.tell, self.prepared.append, recipes)

    def down(self, *recipes: Web, wipe: bool = False, only: frozenset[str] | None = None) -> list[str]:
        return list(down(self.settings, self.tell, recipes=recipes, wipe=wipe, only=only))

    def tell(self, server: str, text: str) -> None:
        self.told.append((server, text))

    @property
    def environment(self) -> Path:
        return self.settings.local.state_dir / "local.env"


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    local = LocalSettings(state_dir=tmp_path / "state", cache_dir=tmp_path / "cache")
    session = Session(Settings(local=local))
    yield session
    down(session.settings, session.tell, recipes=(Web(), SECOND))


def pids(stack: Stack) -> list[int]:
    return [server.pid for server in stack.servers if server.pid]


def test_servers_answer_when_up_returns_and_the_settings_lead_to_them(session: Session) -> None:
    stack = session.up(Web(), SECOND)
    assert [server.state for server in stack.servers] == ["running", "running"]
    assert stack.started == {"registry", "minio"}
    assert stack.settings.registry.url == f"http://{stack.servers[0].address}"
    assert session.prepared == [stack.settings]
    assert load_settings(local=session.settings.local).registry == stack.settings.registry


def test_a_second_up_keeps_what_runs(session: Session) -> None:
    first = session.up(Web(), SECOND)
    second = session.up(Web(), SECOND)
    assert pids(second) == pids(first)
    assert second.settings == first.settings
    assert second.started == frozenset()


def test_only_a_killed_server_is_started_again_at_its_old_address(session: Session) -> None:
    first = session.up(Web(), SECOND)
    kill(pids(first)[0])
    second = session.up(Web(), SECOND)
    assert second.started == {"registry"}
    assert pids(second)[1] == pids(first)[1]
    assert pids(second)[0] != pids(first)[0]
    assert second.settings == first.settings


def test_down_leaves_no_process_and_no_addresses_but_the_data(session: Session) -> None:
    stack = session.up(Web(), SECOND)
    kept = session.settings.local.state_dir / "local" / "minio" / "data" / "kept"
    kept.write_text("kept")
    assert session.down(Web(), SECOND) == ["registry", "minio"]
    assert [identify(pid) for pid in pids(stack)] == [None, None]
    assert not session.environment.exists()
    assert kept.read_text() == "kept"
    assert session.down(Web(), SECOND) == []


def test_down_of_some_leaves_the_others_and_their_addresses(session: Session) -> None:
    stack = session.up(Web(), SECOND)
    assert session.down(Web(), SECOND, only=frozenset({"registry"})) == ["registry"]
    assert identify(pids(stack)[1]) is not None
    assert "STORAGE" in session.environment.read_text()
    assert "REGISTRY" not in session.environment.read_text()


def test_a_late_server_starts_when_the_others_are_ready_and_is_told_where_they_are(session: Session) -> None:
    told: list[str] = []

    class Late(Web):
        def describe(self, box: Toolbox, place: Place, settings: Settings) -> Server:
            told.append(settings.registry.url)
            assert ok(int(settings.registry.url.rpartition(":")[2]), "/")
            return super().describe(box, place, settings)

    late = Late("connect", ("connect", "url"))
    stack = session.up(late, Web())
    assert told == [stack.settings.registry.url]
    assert session.down(late, Web()) == ["connect", "registry"]


def test_wiping_removes_the_data(session: Session) -> None:
    session.up(Web())
    session.down(Web(), wipe=True)
    assert [path.name for path in session.settings.local.state_dir.iterdir()] == ["local.lock"]


def test_a_server_that_ends_at_once_is_an_error_with_its_log_and_nothing_keeps_running(session: Session) -> None:
    with pytest.raises(LocalError, match="minio ended while it started") as caught:
        session.up(Web(), FAILING)
    assert caught.value.log_tail == "no disk left"
    assert [server.state for server in status(session.settings, (Web(), FAILING))] == ["stopped", "stopped"]
    assert not session.environment.exists()


def test_what_ran_before_a_failed_up_keeps_running(session: Session) -> None:
    first = session.up(Web())
    with pytest.raises(LocalError):
        session.up(Web(), FAILING)
    assert pids(first) == [server.pid for server in status(session.settings, (Web(),))]
    assert load_settings(local=session.settings.local).registry == first.settings.registry


def test_a_server_whose_start_cannot_be_recorded_is_stopped(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[ProcessId] = []

    def fail(_state: State, _server: str, running: Running) -> None:
        started.append(running.process)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(State, "keep_running", fail)
    with pytest.raises(OSError, match="No space left"):
        session.up(Web())
    assert [identify(process.pid) for process in started] == [None]


def test_a_failed_preparation_stops_what_was_started(session: Session) -> None:
    def fail(_settings: Settings) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        up(session.settings, session.tell, fail, (Web(),))
    assert [server.state for server in status(session.settings, (Web(),))] == ["stopped"]


def test_the_answer_of_a_foreign_server_is_not_taken_for_ours(session: Session, tmp_path: Path) -> None:
    foreign = int(session.up(Web()).settings.registry.url.rpartition(":")[2])
    idle = Web("minio", ("storage", "endpoint"), code="import time; time.sleep(0.5)", asked=foreign)
    assert idle.answers(Place(tmp_path, {MAIN: 1}))
    with pytest.raises(LocalError, match="ended while it started"):
        session.up(idle)


def test_an_address_of_the_users_is_used_instead(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMPROC_REGISTRY__URL", "http://user:secret@elsewhere:8081")
    stack = session.up(Web(), SECOND)
    assert stack.started == {"minio"}
    assert (stack.servers[0].state, stack.servers[0].address) == ("own", "http://elsewhere:8081")
    assert "REGISTRY" not in session.environment.read_text()


def test_an_address_of_the_users_in_toml_is_used_instead(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "streamproc.toml"
    file.write_text('[registry]\nurl = "http://elsewhere:8081"\n')
    monkeypatch.setenv("STREAMPROC_CONFIG", str(file))
    assert session.up(Web(), SECOND).started == {"minio"}


def test_an_address_in_local_env_is_not_the_users(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMPROC_LOCAL__STATE_DIR", str(session.settings.local.state_dir))
    first = session.up(Web())
    assert session.up(Web()).settings == first.settings
    assert load_settings().registry == first.settings.registry
    assert [server.state for server in status(session.settings, (Web(),))] == ["running"]


def test_whoever_has_read_local_env_brings_no_servers(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    before = session.up(Web())
    monkeypatch.setenv("STREAMPROC_REGISTRY__URL", before.settings.registry.url)
    written = session.environment.read_text()
    again = session.up(Web())
    assert (again.started, session.environment.read_text()) == (frozenset(), written)
    assert session.down(Web()) == ["registry"]
    assert session.up(Web()).settings.registry.url == before.settings.registry.url


def test_no_password_is_shown_in_an_address() -> None:
    settings = Settings(redis={"url": "redis://:secret@elsewhere:6379/0"})  # type: ignore[arg-type]  # pydantic reads it
    assert address_of(RedisRecipe(), settings) == "redis://elsewhere:6379/0"


def test_status_tells_what_a_running_server_is_and_can_be_written_as_json(session: Session) -> None:
    row = asdict(session.up(Web()).servers[0])
    assert row["memory_bytes"] > 1_000_000
    assert 0 <= row["uptime_s"] < 60
    assert row["version"] == "1"
    assert Path(row["log"]).is_file()
