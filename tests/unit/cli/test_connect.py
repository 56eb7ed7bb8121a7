import json
import signal

import pytest
from typer.testing import CliRunner

from streamproc.cli.app import app
from streamproc.operate.place import Place
from streamproc.operate.warehouse.apply import MISSING, Applied, Change
from streamproc.operate.warehouse.aside import Aside, PutAside
from streamproc.operate.warehouse.lag import Lag
from streamproc.operate.warehouse.login import Login
from streamproc.operate.warehouse.rest import State
from streamproc.operate.warehouse.status import Seen, Status
from streamproc.records.record import TopicPartition

RUNS = State("RUNNING", ("RUNNING",), None)
FAILS = State("RUNNING", ("FAILED", "FAILED", "RUNNING"), "Dialect")
BEHIND = Lag(1_200, 61.4, {"emotion.results/3": 1_200})
DEAD = PutAside(
    Place(TopicPartition("dead", 0), 7),
    "results",
    "t/1/2",
    1_767_268_800_000,
    "it is \x1b[31mempty",
    "let it be",
    "said",
)
WELL = Status((Seen("results", RUNS, None, BEHIND), Seen("dead", RUNS, None, None)), Login(), Aside(0, 0, ()), "")


def shown(monkeypatch: pytest.MonkeyPatch, status: Status, *words: str) -> tuple[int, str, str]:
    monkeypatch.setattr("streamproc.operate.warehouse.status.status", lambda *_: status)
    done = CliRunner().invoke(app, ["connect", "status", *words])
    return done.exit_code, done.stdout, done.stderr


def test_how_far_each_is_behind_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = shown(monkeypatch, WELL)
    assert code == 0
    assert [line.split() for line in out.splitlines()[1:]] == [
        ["results", "RUNNING", "RUNNING", "1,200", "61", "s"],
        ["dead", "RUNNING", "RUNNING", "?", "?"],
    ]
    assert not err


def test_json_has_the_lag_by_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = json.loads(shown(monkeypatch, WELL, "--json")[1])["connectors"]
    assert first["lag"] == {"records": 1200, "seconds": 61.4, "behind": {"emotion.results/3": 1200}}
    assert first["state"] == {"connector": "RUNNING", "tasks": ["RUNNING"], "problem": None}
    assert second["lag"] is None


def test_a_warehouse_that_lets_nobody_in_is_told_although_all_run(monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, err = shown(monkeypatch, Status(WELL.connectors, Login("FATAL: no"), None, "kafka does not answer"))
    assert code == 1
    assert err.splitlines() == ["FATAL: no", "how far connectors are behind is not told: kafka does not answer"]


def test_json_has_what_keeps_rows_from_coming_although_all_run(monkeypatch: pytest.MonkeyPatch) -> None:
    status = Status(WELL.connectors, Login("FATAL: no"), Aside(3, 9, (DEAD,)), "segments: kafka does not answer")
    code, out, _ = shown(monkeypatch, status, "--json")
    said = json.loads(out)
    assert code == 1
    assert (said["well"], said["unseen"]) == (False, status.unseen)
    assert said["login"] == {"problem": "FATAL: no", "untried": ""}
    assert (said["aside"]["kept"], said["aside"]["ever"]) == (3, 9)
    assert [(one["place"], one["why"]) for one in said["aside"]["newest"]] == [("dead/0/7", DEAD.why)]


def test_what_cannot_be_seen_is_not_well(monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, err = shown(monkeypatch, Status(WELL.connectors, Login(), None, "kafka does not answer"))
    assert code == 1
    assert err == "how far connectors are behind is not told: kafka does not answer\n"


def test_what_fails_each_time_is_not_only_to_be_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = [Seen("results", FAILS, "refused", None)]
    _, _, err = shown(monkeypatch, Status(failing, Login(), None, ""))
    assert all(one in err for one in ("streamproc connect apply", "streamproc connect skip", "watch/log"))


def test_what_is_not_there_is_not_behind_nor_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = [Seen(f"demo-{topic}", MISSING, None, None, topic) for topic in ("results", "dead")]
    code, out, err = shown(monkeypatch, Status(missing, Login(), None, "", "demo"))
    assert code == 1
    assert out.splitlines()[1].split() == ["demo-results", "MISSING", "-", "-", "-"]
    assert err == (
        "Not there: demo-results, demo-dead. `streamproc connect apply` makes them: from results, dead to the schema "
        "demo.\n"
    )


def test_what_somebody_paused_or_stopped_did_not_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    halted = [
        Seen("results", State("PAUSED", ("PAUSED",), None), None, None),
        Seen("dead", State("STOPPED", (), None), None, None),
    ]
    code, _, err = shown(monkeypatch, Status(halted, Login(), None, ""))
    assert code == 1
    assert err == "Told to wait: results (PAUSED), dead (STOPPED). `streamproc connect apply` lets them go on.\n"


def test_connectors_of_other_settings_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    status = Status(WELL.connectors, Login(), None, "", "public", ["results", "dead"])
    _, _, err = shown(monkeypatch, status)
    assert err == ("results, dead: made with other settings than these. `streamproc connect apply` changes them.\n")
    assert json.loads(shown(monkeypatch, status, "--json")[1])["differing"] == ["results", "dead"]


def test_what_several_fail_of_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = [Seen(name, FAILS, "cannot log in: FATAL: no", None) for name in "ab"]
    code, out, err = shown(monkeypatch, Status(failing, Login("FATAL: no"), None, ""))
    assert code == 1
    assert "2 FAILED, RUNNING" in out
    assert err.count("FATAL: no") == 1
    assert err.startswith("a, b: cannot log in")


def test_what_was_put_aside_is_counted_with_the_newest_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = shown(monkeypatch, Status(WELL.connectors, Login(), Aside(3, 9, (DEAD,)), ""))
    assert code == 0
    assert "3 records were put aside, the newest of 2026-01-01 12:00:00, t/1/2: it is ?[31mempty" in out


def test_what_was_put_aside_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.operate.warehouse.aside.aside", lambda *_: Aside(1, 1, (DEAD,)))
    out = CliRunner().invoke(app, ["connect", "dead"]).output.splitlines()
    assert out[:2] == ["dead/0/7  2026-01-01 12:00:00  results  t/1/2: it is ?[31mempty", "    let it be [said]"]
    said = json.loads(CliRunner().invoke(app, ["connect", "dead", "--json"]).output)
    assert (said["place"], said["connector"], said["why"]) == ("dead/0/7", "results", DEAD.why)


def test_what_was_done_is_shown_by_apply_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    applied = [Applied("results", Change.UPDATED, FAILS), Applied("dead", Change.UNCHANGED, FAILS)]
    monkeypatch.setattr("streamproc.operate.warehouse.apply.apply", lambda *_: applied)
    done = CliRunner().invoke(app, ["connect", "apply"])
    assert done.exit_code == 1
    assert "updated" in done.stdout
    assert done.stderr.startswith("results, dead: Dialect\n")
    assert "change" not in shown(monkeypatch, WELL)[1]


def test_a_login_that_fails_is_told_by_apply_although_all_run(monkeypatch: pytest.MonkeyPatch) -> None:
    applied = [Applied(name, Change.UNCHANGED, State("RUNNING", ("RUNNING",), "FATAL: no")) for name in "ab"]
    monkeypatch.setattr("streamproc.operate.warehouse.apply.apply", lambda *_: applied)
    done = CliRunner().invoke(app, ["connect", "apply"])
    assert done.exit_code == 1
    assert done.stderr == "a, b: FATAL: no\n"


@pytest.mark.parametrize(
    ("does", "words"),
    [
        ("skip.pass_over", ("skip", "emotion-results", "emotion.results/0/1")),
        ("reread.read_again", ("reread", "emotion-results")),
    ],
)
def test_sigterm_ends_it_in_order_as_ctrl_c_does(
    monkeypatch: pytest.MonkeyPatch, does: str, words: tuple[str, ...]
) -> None:
    ended: list[type[BaseException]] = []

    def asked_to_end(*_: object) -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        except BaseException as how:
            ended.append(type(how))
            raise

    monkeypatch.setattr(f"streamproc.operate.warehouse.{does}", asked_to_end)
    before = signal.getsignal(signal.SIGTERM)
    assert CliRunner().invoke(app, ["connect", *words]).exit_code != 0
    assert ended == [KeyboardInterrupt]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_connector_that_is_named_twice_is_taken_away_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr("streamproc.operate.warehouse.remove.remove_named", lambda _, names, **__: asked.append(names))
    done = CliRunner().invoke(app, ["connect", "remove", "odd", "other", "odd"])
    assert asked == [["odd", "other"]]
    assert "Taken away: odd, other. Tables" in done.output
