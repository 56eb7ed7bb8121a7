import pytest
import torch

from streamproc.bench.cost import LONGEST_S, SHORTEST_S, WITHIN, run_cost
from streamproc.bench.show import cost_json


def test_every_clip_is_predicted_and_measured_and_the_process_is_as_it_was() -> None:
    torch.set_num_threads(1)
    told: list[tuple[int, int]] = []
    report = run_cost("demo", "cpu", 2, 3, 2, lambda _name, _text, done, total: told.append((done, total)))
    assert torch.get_num_threads() == 1
    assert report.threads == 2
    assert told == [(1, 2), (2, 2)]
    seconds = [row.clip_seconds for row in report.rows]
    assert seconds == sorted(seconds)
    assert len(seconds) == 3
    assert SHORTEST_S <= seconds[0] <= seconds[-1] <= LONGEST_S
    assert all(row.items == 1 and row.measured_s > 0 for row in report.rows)
    assert [row.predicted_s for row in report.rows] == pytest.approx(
        [report.profile.cost([round(16_000 * s)]) for s in seconds]
    )
    near = [1 - WITHIN <= row.predicted_s / row.measured_s <= 1 + WITHIN for row in report.rows]
    assert cost_json(report)["within"] == report.within == sum(near) / 3
