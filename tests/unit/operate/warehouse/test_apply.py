"""What is done to connectors; that Connect does it is seen on the real one."""

from collections.abc import Callable, Sequence

import pytest

from streamproc.errors import DependencyDownError, UsageError
from streamproc.operate.place import Place, parse_place
from streamproc.operate.warehouse import apply as module
from streamproc.operate.warehouse import halt, skip
from streamproc.operate.warehouse.apply import Applied, Change, apply, differing
from streamproc.operate.warehouse.connectors import connectors
from streamproc.operate.warehouse.halt import LeftStoppedError
from streamproc.operate.warehouse.login import Login
from streamproc.operate.warehouse.reread import read_again
from streamproc.operate.warehouse.rest import Connect, open_connect
from streamproc.operate.warehouse.skip import pass_over
from streamproc.operate.warehouse.skipped import SKIPPED
from streamproc.settings import ConnectSettings, RegistrySettings, Settings
from tests.unit.operate.warehouse.scripted import FAILED, RUNNING, SHUT, STARTING, STOPPED, Reply, serving

PLACES = {
    "offsets": [{"partition": {"kafka_topic": "emotion.results", "kafka_partition": 3}, "offset": {"kafka_offset": 17}}]
}


class Scripted:
    """One cluster whose connectors are as they have to be, but for what is scripted."""

    def __init__(self, *, state: object = RUNNING, changed: bool = False, after: object = RUNNING) -> None:
        config = {one.name: {"name": one.name, **one.config} for one in connectors(settings(ConnectSettings()))}
        self.configs = {name: {} if changed and name == "emotion-results" else one for name, one in config.items()}
        self.state, self.after = state, after
        self.asked: list[str] = []
        self.replies: dict[str, Reply] = {}
        self.registry: Reply = (200, [])
        self.looks_before = 2
        """At the state from before the change."""

    def __call__(self, method: str, path: str) -> Reply:
        if "/subjects" in path:
            return self.registry
        _, _, name, what = path.split("?", maxsplit=1)[0].split("/")
        if method != "GET":
            self.asked.append(f"{method} {name}/{what}")
            return self.replies.get(method, (200, {}))
        if what == "config":
            return (200, self.configs[name]) if name in self.configs else (404, {"message": "unknown"})
        if what == "offsets":
            return 200, PLACES
        if name == "emotion-results" and any("emotion-results" in one for one in self.asked):
            self.looks_before -= 1
            return 200, self.state if self.looks_before >= 0 else self.after
        stopped = f"PUT {name}/stop" in self.asked
        return 200, self.state if name == "emotion-results" else STOPPED if stopped else RUNNING


def settings(connect: ConnectSettings) -> Settings:
    """Of a registry that the same server plays."""
    registry = RegistrySettings(url=f"{connect.url}/apis/ccompat/v7", timeout_s=1)
    more = connect.model_copy(update={"registry_url": "http://127.0.0.1:1/apis/registry/v2"})
    return Settings(connect=more, registry=registry)


def untold(_place: Place) -> None:
    """What is passed over again."""


def reread_again(scripted: Scripted) -> None:
    did(scripted, lambda one: read_again(one, "emotion-results", untold))


def did(scripted: Scripted, what: Callable[[Settings], object]) -> object:
    with serving(scripted) as connect:
        return what(settings(connect.model_copy(update={"timeout_s": 0.6})))


def applied(scripted: Scripted) -> Sequence[Applied]:
    with serving(scripted) as connect:
        return apply(settings(connect.model_copy(update={"timeout_s": 0.6})))


def test_a_changed_connector_is_not_told_by_what_its_old_tasks_did() -> None:
    with serving(Scripted(changed=True, after=FAILED)) as connect:
        first, *_ = apply(settings(connect.model_copy(update={"timeout_s": 0.6})))
    assert first.change is Change.UPDATED
    assert first.state.failed


def test_a_change_that_is_taken_at_once_is_waited_for_no_longer_than_it_may_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "OLD_TASKS_S", 0.3)
    with serving(Scripted(changed=True)) as connect:
        assert all(one.state.running for one in apply(settings(connect)))


def test_what_was_stopped_goes_on() -> None:
    scripted = Scripted(state=STOPPED)
    with serving(scripted) as connect:
        first, *rest = apply(settings(connect))
    assert first.change is Change.RESUMED
    assert first.state.running
    assert {one.change for one in rest} == {Change.UNCHANGED}
    assert scripted.asked == ["PUT emotion-results/resume"]


def test_a_connector_whose_offsets_are_not_forgotten_goes_on_all_the_same() -> None:
    scripted = Scripted(state=STOPPED, after=STOPPED)
    scripted.replies["DELETE"] = (400, {"message": "its group is not empty"})
    with pytest.raises(UsageError, match="its group is not empty"):
        did(scripted, lambda one: read_again(one, "emotion-results", untold))
    assert scripted.asked == [f"{what} emotion-results/{way}" for what, way in
                              (("PUT", "stop"), ("DELETE", "offsets"), ("PUT", "resume"))]  # fmt: skip


@pytest.mark.parametrize(
    "what",
    [
        lambda one: read_again(one, "emotion-results", untold),
        lambda one: pass_over(one, "emotion-results", [parse_place("emotion.results/3/17")]),
    ],
    ids=["reread", "skip"],
)
def test_no_task_is_started_anew_while_the_registry_is_away(what: Callable[[Settings], object]) -> None:
    scripted = Scripted(state=STOPPED, after=STOPPED)
    scripted.registry = (503, {"error_code": 503, "message": "away"})
    with pytest.raises(DependencyDownError, match="schema registry"):
        did(scripted, what)
    assert scripted.asked == []


@pytest.mark.parametrize(("state", "changed"), [(FAILED, False), (STOPPED, False), (RUNNING, True)])
def test_nothing_is_applied_that_starts_tasks_while_the_registry_is_away(state: object, changed: bool) -> None:  # noqa: FBT001  # pytest gives it by name
    scripted = Scripted(state=state, changed=changed)
    scripted.registry = (503, {"error_code": 503, "message": "away"})
    with pytest.raises(DependencyDownError, match="schema registry"):
        did(scripted, apply)
    assert scripted.asked == []


def test_connectors_that_are_as_they_have_to_be_need_no_registry() -> None:
    scripted = Scripted()
    scripted.registry = (503, {"error_code": 503, "message": "away"})
    with serving(scripted) as connect:
        assert {one.change for one in apply(settings(connect))} == {Change.UNCHANGED}


def test_a_connector_that_reads_without_the_registry_does_not_wait_for_it() -> None:
    scripted = Scripted()
    scripted.registry = (503, {"error_code": 503, "message": "away"})
    did(scripted, lambda one: read_again(one, "dead-letters", untold))
    assert "DELETE dead-letters/offsets" in scripted.asked


def test_a_connector_that_is_not_there_is_to_be_made_first() -> None:
    scripted = Scripted()
    del scripted.configs["emotion-results"]
    with pytest.raises(UsageError, match="connect apply"):
        did(scripted, lambda one: read_again(one, "emotion-results", untold))
    assert scripted.asked == []


def test_nothing_is_forgotten_while_tasks_do_not_end() -> None:
    scripted = Scripted(after=RUNNING)
    with pytest.raises(DependencyDownError, match="does not end its tasks"):
        did(scripted, lambda one: read_again(one, "emotion-results", untold))
    assert scripted.asked == ["PUT emotion-results/stop", "PUT emotion-results/resume"]


@pytest.mark.parametrize("place", ["emotion.segments/3/17", "emotion.results-2/3/17"])
def test_what_is_not_read_is_not_passed_over(place: str) -> None:
    scripted = Scripted(state=STOPPED, after=STOPPED)
    with pytest.raises(UsageError, match=r"does not read .*: its topic is emotion\.results$"):
        did(scripted, lambda one: pass_over(one, "emotion-results", [parse_place(place)]))
    assert scripted.asked == []


def test_a_connector_that_runs_skips_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skip, "FAILS_S", 0.1)
    scripted = Scripted(state=RUNNING)
    with pytest.raises(UsageError, match="emotion-results runs"):
        did(scripted, lambda one: pass_over(one, "emotion-results", [parse_place("emotion.results/3/17")]))
    assert scripted.asked == []


def test_what_was_skipped_is_no_change_to_a_connector() -> None:
    scripted = Scripted()
    for config in scripted.configs.values():
        config[SKIPPED] = "emotion.results/3/17"
    with serving(scripted) as connect:
        assert {one.change for one in apply(settings(connect))} == {Change.UNCHANGED}


def test_only_connectors_that_are_there_are_of_other_settings() -> None:
    scripted = Scripted(changed=True)
    for config in scripted.configs.values():
        config[SKIPPED] = "emotion.results/3/7"  # somebody's own: it is left there
    del scripted.configs["dead-letters"]
    with serving(scripted) as connect, open_connect(connect) as client:
        assert differing(client, settings(connect)) == ["emotion-results"]


def test_a_connector_goes_on_although_it_is_interrupted_while_its_tasks_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(halt, "end_tasks", interrupted)
    scripted = Scripted(state=STOPPED, after=STOPPED)
    with pytest.raises(KeyboardInterrupt):
        reread_again(scripted)
    assert scripted.asked == ["PUT emotion-results/resume"]


@pytest.mark.parametrize("why", [KeyboardInterrupt(), DependencyDownError("kafka connect", "reset")])
def test_a_connector_that_cannot_be_told_to_go_on_is_said_to_be_stopped(
    monkeypatch: pytest.MonkeyPatch, why: BaseException
) -> None:
    def fail(*_: object) -> None:
        raise why

    monkeypatch.setattr(Connect, "resume", fail)
    with pytest.raises(LeftStoppedError, match="emotion-results is stopped and reads nothing: `streamproc connect app"):
        reread_again(Scripted(state=STOPPED, after=STOPPED))


@pytest.mark.parametrize(("state", "says"), [(SHUT, "Nor can this program: FATAL: no"), (STARTING, "FATAL: no")])
def test_what_does_not_run_is_told_by_a_login_of_our_own(
    monkeypatch: pytest.MonkeyPatch, state: object, says: str
) -> None:
    monkeypatch.setattr(module, "try_login", lambda _settings: Login("FATAL: no"))
    first, *rest = applied(Scripted(changed=True, state=state, after=state))
    assert says in (first.state.problem or "")
    assert {one.state.problem for one in rest} == {"FATAL: no"}


def test_what_runs_is_not_well_with_a_warehouse_that_lets_nobody_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "try_login", lambda _settings: Login("FATAL: no"))
    first, *_ = applied(Scripted())
    assert (first.change, first.state.running, first.well) == (Change.UNCHANGED, True, False)
    assert first.state.problem == "FATAL: no"
    monkeypatch.setattr(module, "try_login", lambda _settings: Login(untried="warehouse.password is not set here"))
    assert all(one.well for one in applied(Scripted()))
