"""Ports: free, remembered, and out of the way of outgoing connections."""

import random
import socket

import pytest

from streamproc.local.failure import LocalError
from streamproc.local.ports import LOWEST, candidates, choose, free, fresh_candidates

SOURCE = random.Random(1)  # which ports are tried is no secret


def test_a_remembered_port_is_kept_while_it_is_free() -> None:
    assert choose(["a"], {"a": 7}, iter([8]), lambda _port: True) == {"a": 7}


def test_a_remembered_port_that_is_taken_is_replaced() -> None:
    assert choose(["a"], {"a": 7}, iter([7, 8]), lambda port: port != 7) == {"a": 8}


def test_two_names_never_share_a_port() -> None:
    assert choose(["a", "b"], {"a": 7, "b": 7}, iter([7, 8]), lambda _port: True) == {"a": 7, "b": 8}


def test_no_free_port_is_said() -> None:
    with pytest.raises(LocalError, match="no free port"):
        choose(["a"], {}, iter([7, 8]), lambda _port: False)


def test_candidates_stay_below_the_range_of_outgoing_connections() -> None:
    assert all(LOWEST <= port < 32768 for port in candidates("32768\t60999\n", SOURCE))


def test_candidates_exist_where_outgoing_connections_take_all_low_ports() -> None:
    assert all(LOWEST <= port < 65536 for port in candidates("1024\t60999\n", SOURCE))


def test_a_port_that_somebody_listens_on_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not free(port)
    assert free(port)


def test_this_machine_has_free_ports() -> None:
    chosen = choose(["a", "b"], {}, fresh_candidates())
    assert all(free(port) for port in chosen.values())
