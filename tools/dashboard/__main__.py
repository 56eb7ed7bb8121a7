"""Make ``infra/grafana/streamproc.json``."""

from pathlib import Path

from tools.dashboard.grafana import text
from tools.dashboard.rows import ROWS

FILE = Path(__file__).parents[2] / "infra" / "grafana" / "streamproc.json"

if __name__ == "__main__":
    FILE.write_text(text(ROWS), encoding="utf-8")
    print(f"{FILE}: {sum(len(row.panels) for row in ROWS)} panels")
