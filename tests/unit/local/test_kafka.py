"""The broker's configuration file."""

from pathlib import Path

from streamproc.local.java import Java
from streamproc.local.kafka import escape, format_command, properties
from streamproc.local.server import Place


def test_a_path_in_any_language_survives_the_properties_file() -> None:
    assert escape("/home/jos\u00e9/\u97f3/\U0001f600 x\\y") == "/home/jos\\u00e9/\\u97f3/\\ud83d\\ude00 x\\\\y"


def test_the_broker_listens_on_this_computer_only() -> None:
    text = properties(Place(Path("/state/kafka"), {"main": 20001, "controller": 20002}))
    lines = dict(line.split("=", 1) for line in text.splitlines())
    assert lines["listeners"] == "PLAINTEXT://127.0.0.1:20001,CONTROLLER://127.0.0.1:20002"
    assert lines["advertised.listeners"] == "PLAINTEXT://127.0.0.1:20001"
    assert lines["controller.quorum.voters"] == "1@127.0.0.1:20002"
    assert lines["log.dirs"] == "/state/kafka/data"


def test_an_identity_that_begins_with_a_dash_is_not_taken_for_an_option() -> None:
    command = format_command(Java(Path("/java"), "17", packaged=False), Path("/jars"), Path("/config"), "-dash")
    assert "-dash" not in command
    assert "--cluster-id=-dash" in command
