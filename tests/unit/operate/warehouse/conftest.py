"""A cluster in memory in place of the real one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from streamproc.operate.warehouse import halt, reread, skip, trial
from tests.unit.operate.warehouse.modelled import Cluster


@contextmanager
def _opened(cluster: Cluster) -> Iterator[Cluster]:
    yield cluster


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Cluster], Cluster]:
    """Let what is under test find a cluster."""

    def used(cluster: Cluster) -> Cluster:
        for module in (halt, skip, reread):
            monkeypatch.setattr(module, "open_connect", lambda _settings: _opened(cluster))
        for module in (skip, reread):
            monkeypatch.setattr(module, "Log", lambda *_, **__: cluster)
        for module in (halt, skip):
            monkeypatch.setattr(module, "need_registry", lambda *_: None)
        monkeypatch.setattr(trial, "origins", lambda _log, _topic, name, _since: cluster.put_aside(name))
        return cluster

    return used
