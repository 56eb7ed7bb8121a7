import io
import json

from rich.console import Console

from streamproc.demo.clips import load_manifest
from streamproc.demo.plan import build_plan
from streamproc.demo.run import Run
from streamproc.demo.show import HONEST, TIERS, as_json, go_on, show
from streamproc.demo.tally import Tally
from streamproc.errors import Stage
from tests.unit.demo.made import TOPIC, dead_letter, result, sent


def full_run() -> Run:
    """A run in which everything ended as it should."""
    places = sent(list(build_plan(load_manifest(), "r")))
    tally = Tally(TOPIC, places)
    known: set[str | None] = set()
    for place in places:
        one = place.announcement
        if one.ends == "result":
            tier = "memory" if one.sha256 in known else "computed"
            tally.add(result(place, tier=tier, score_angry=0.75, score_sad=0.25, processing_ms=48_123))
            known.add(one.sha256)
        else:
            tally.add(dead_letter(place))
    return Run("r", tally, {Stage.INFER: (1.5, 3)}, {"servers": 1.0, "results": 2.0})


def shown(run: Run, width: int) -> str:
    out = io.StringIO()
    show(run, Console(file=out, width=width))
    return out.getvalue()


def test_80_columns_hold_every_row_uncut() -> None:
    text = shown(full_run(), 80)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    assert "48123" in text


def test_totals_honesty_and_advice_are_shown() -> None:
    text = " ".join(shown(full_run(), 200).split())
    assert "Offsets in 39 = results 35 + dead letters 4" in text
    assert "Served without the model: 5 of 35 results, for 5 repeats" in text
    assert HONEST in text
    assert TIERS in text
    assert "store the object before it is announced" in text
    assert "WRONG" not in text


def test_the_commands_that_come_next_can_be_typed() -> None:
    out = io.StringIO()
    Console(file=out, width=80).print(go_on(".venv/bin/streamproc"))
    assert ".venv/bin/streamproc publish my.wav" in out.getvalue()
    assert "warehouse" not in out.getvalue()


def test_behind_a_demo_with_a_warehouse_it_is_said_how_to_have_one_of_ones_own() -> None:
    out = io.StringIO()
    Console(file=out, width=80).print(go_on(".venv/bin/streamproc", warehouse=True))
    for command in ("up --with warehouse", "publish my.wav", "warehouse ask", "down"):
        assert f".venv/bin/streamproc {command}" in out.getvalue()


def test_a_problem_is_shown_as_one() -> None:
    run = full_run()
    run.tally.add(dead_letter(sent(list(build_plan(load_manifest(), "r")))[0]))
    assert "WRONG: angry-line.wav (input offset 0/0) has 2 outcomes" in " ".join(shown(run, 200).split())


def test_json_holds_totals_rows_and_no_object_that_json_lacks() -> None:
    told = json.loads(json.dumps(as_json(full_run())))
    assert told["ok"] is True
    assert told["problems"] == []
    assert told["totals"]["offsets_in"] == len(told["results"]) + len(told["dead_letters"])
    assert told["stages"] == {"infer": {"seconds": 1.5, "records": 3}}
    assert told["results"][0]["scores"]["angry"] == 0.75
