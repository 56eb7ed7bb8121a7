import io
import json

import pytest
from rich.console import Console

from streamproc.bench.show import (
    cost_json,
    delivery_json,
    engine_json,
    groups_json,
    pipeline_json,
    show_cost,
    show_delivery,
    show_engine,
    show_groups,
    show_pipeline,
)
from tests.unit.bench.made import (
    NARROW,
    PEER,
    cost_report,
    delivery_report,
    engine_report,
    groups_report,
    pipeline_report,
)


def console(width: int) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=width), out


def test_the_engine_is_shown_beside_its_peers_and_the_machines_products() -> None:
    screen, out = console(200)
    show_engine(engine_report(PEER, NARROW), screen)
    text = " ".join(out.getvalue().split())
    assert "streamproc 150.0 200.0 250.0" in text
    assert "FunASR, clip by clip 80.0 100.0 120.0 2.00 (1.50-2.50) 3.0e-07" in text
    assert "ONNX Runtime, int8 80.0 100.0 120.0 2.00 (1.50-2.50) 3.0e-02" in text
    assert "Ours over theirs in the same precision: ONNX Runtime, int8 0.90 (0.80-1.50)." in text
    assert "150 GFLOP/s, at best 400. Ours: 75% of the turn's (60% to 80%), 25% of the best" in text
    assert "Some CPU, 2 cores, load 0.50 before" in text
    assert "commit abc1234-dirty" in text


def test_a_peer_that_is_not_there_is_named_with_what_it_takes() -> None:
    screen, out = console(200)
    show_engine(engine_report(), screen)
    assert "OpenVINO is not installed: pip install openvino onnx\n" in out.getvalue()


def test_predictions_are_shown_beside_what_was_measured() -> None:
    screen, out = console(200)
    show_cost(cost_report(), screen)
    text = " ".join(out.getvalue().split())
    assert "6.0 s 1 45.0 ms 50.0 ms 0.90" in text
    assert "67% of 3 predictions are within 20% of the best of 3 turns" in text
    assert "ratio is 0.90 / 1.10 / 1.50" in text
    assert "trials took 0.25 s" in text


def test_the_pipeline_is_shown_beside_each_part_of_the_floor_and_their_sum() -> None:
    screen, out = console(200)
    show_pipeline(pipeline_report(), screen)
    text = " ".join(out.getvalue().split())
    assert "worker, main process 600.0 900.0 floor: consume 10.0 10.0 floor: decode 40.0 40.0" in text
    assert "floor: sum 150.0 150.0 ratio, worker to floor 4.00 6.00" in text
    assert "our own: decode 20.0 20.0 our own: encode 10.0 10.0" in text
    assert "floor with our own: sum 80.0 80.0 ratio, worker to that 7.50 11.25" in text
    assert "events per s, worker 1000 1000 events per s, floor 5000 5000" in text
    assert "memory: 5000 events in 10 transactions; mean micro-batch 500 records, mean transaction 40.0 ms" in text


def test_both_deliveries_are_shown_at_each_size_with_their_ratio() -> None:
    screen, out = console(200)
    show_delivery(delivery_report(), screen)
    text = " ".join(out.getvalue().split())
    assert "64 exactly once 9000 10000 12000 5.0 ms 4.0 ms 9.0" in text
    assert "64 at least once 16000 20000 24000 2.5 ms 2.0 ms 7.5" in text
    assert "ratio 0.40 0.50 0.75 1.20 512 exactly once" in text
    assert "Records of 300 B per s, by records a commit; 12 rounds, 4 partitions, group protocol consumer" in text
    assert "exactly once 900 600.0 500 40.0 ms at least once 1000 600.0 500 40.0 ms" in text
    assert "ratio 0.88 (0.75-1.00) 1.00 (1.00-1.00)" in text
    assert "load 0.50 before" in text


def test_each_run_of_a_protocol_has_its_line() -> None:
    screen, out = console(200)
    show_groups(groups_report(), screen)
    text = " ".join(out.getvalue().split())
    assert "consumer 8 10800 540 0 0 0 1.5 s classic 8 10700 530 12 3 2 4.0 s" in text


def test_80_columns_hold_every_table() -> None:
    screen, out = console(80)
    show_engine(engine_report(PEER, NARROW), screen)
    show_cost(cost_report(), screen)
    show_pipeline(pipeline_report(), screen)
    show_delivery(delivery_report(), screen)
    show_groups(groups_report(), screen)
    assert "…" not in out.getvalue()
    assert max(map(len, out.getvalue().splitlines())) <= 80


def test_json_holds_the_figures_and_what_follows_from_them() -> None:
    engine = json.loads(json.dumps(engine_json(engine_report(PEER))))
    assert (engine["bench"], engine["of_best_gemm"], engine["peers"][0]["ratio"]["middle"]) == ("engine", 0.25, 2.0)
    assert json.loads(json.dumps(engine_json(engine_report())))["missing"] == {"OpenVINO": ["openvino", "onnx"]}
    cost = json.loads(json.dumps(cost_json(cost_report())))
    assert (cost["bench"], cost["within"]) == ("cost", pytest.approx(2 / 3))
    assert (cost["ratio"]["most"], cost["rows"][1]["items"]) == (pytest.approx(1.5), 1)
    pipeline = json.loads(json.dumps(pipeline_json(pipeline_report())))
    assert (pipeline["bench"], pipeline["speed_ratio"]) == ("pipeline", 0.2)
    assert pipeline["cpu_ratio"] == pytest.approx(4)
    assert [cost["part"] for cost in pipeline["floor"]] == ["consume", "decode", "encode", "produce"]
    assert pipeline["parts"][1] == {"part": "decode", "cpu_us": pytest.approx(40), "own_cpu_us": pytest.approx(20)}
    assert (pipeline["own_cpu_ratio"], pipeline["redis"]["cpu_ratio"]) == (pytest.approx(7.5), pytest.approx(6))
    delivery = json.loads(json.dumps(delivery_json(delivery_report())))
    assert (delivery["bench"], delivery["sizes"][0]["ratio"]["middle"]) == ("delivery", 0.5)
    assert (delivery["workers_ratio"]["least"], delivery["workers_cpu_ratio"]["most"]) == (0.75, 1.0)
    groups = json.loads(json.dumps(groups_json(groups_report())))
    assert (groups["bench"], [run["aborts"] for run in groups["runs"]]) == ("groups", [0, 12])
