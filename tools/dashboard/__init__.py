"""The dashboard of Grafana, written in code: ``python -m tools.dashboard`` makes ``infra/grafana/streamproc.json``."""
