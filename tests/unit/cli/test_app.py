import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streamproc import __version__
from streamproc.cli import interrupt, main
from streamproc.cli.app import app
from streamproc.errors import (
    DependencyDownError,
    FatalError,
    NoRestartError,
    StreamprocError,
    UsageError,
)

GROUPS = {
    "model": ("pull", "info", "verify"),
    "bench": (
        "engine",
        "gpu",
        "cost",
        "cold",
        "pipeline",
        "delivery",
        "groups",
        "cached",
        "fresh",
        "device",
        "latency",
        "long",
        "memory",
        "scale",
    ),
    "dlq": ("ls", "stats", "show", "replay"),
    "brake": ("release",),
    "analytics": ("rebuild",),
    "schemas": ("push", "check"),
    "connect": ("apply", "status", "dead", "reread", "skip", "remove", "watch"),
    "warehouse": ("ask",),
}
COMMANDS = (
    "up",
    "down",
    "status",
    "demo",
    "worker",
    "publish",
    "results",
    "audit",
    "why",
    "forget",
    "doctor",
    "top",
    "report",
)
HEAVY = ("torch", "av", "confluent_kafka", "onnxruntime", "soundfile", "minio", "redis", "numpy", "httpx2")

run = CliRunner()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches_by_an_example(command: str) -> None:
    done = run.invoke(app, [command, "--help"])
    assert done.exit_code == 0
    assert f"Example: {'STREAMPROC' if command == 'worker' else 'streamproc ' + command}" in done.output


@pytest.mark.parametrize("words", [[group, command] for group, names in GROUPS.items() for command in names])
def test_every_command_of_a_group_does_too(words: list[str]) -> None:
    done = run.invoke(app, [*words, "--help"])
    assert done.exit_code == 0
    assert f"Example: streamproc {' '.join(words)}" in done.output


def test_no_command_is_missing_and_none_is_a_surprise() -> None:
    assert {command.callback.__name__ for command in app.registered_commands if command.callback} == set(COMMANDS)
    groups = [group.typer_instance for group in app.registered_groups if group.typer_instance]
    found = {
        group.info.name: tuple(command.callback.__name__ for command in group.registered_commands if command.callback)
        for group in groups
    }
    assert found == GROUPS


def test_help_waits_for_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from streamproc.cli.app import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_version() -> None:
    done = run.invoke(app, ["--version"])
    assert (done.exit_code, done.output) == (0, f"streamproc {__version__}\n")


def test_the_module_runs_as_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "streamproc", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"streamproc {__version__}\n"


WRONG = (
    "nonsense",
    "results --count 0",
    "publish",
    "status --nonsense",
    "model",
    "model pull",
    "model pull x --from elsewhere",
    "bench",
    "bench engine --repeats 0",
    "bench engine --repeats 51",
    "bench pipeline --events 1999",
    "bench pipeline --events 50001",
    "bench delivery --rounds 0",
    "bench groups --changes 51",
    "audit --partition -1",
    "audit --from yesterday",
    "dlq",
    "dlq show",
    "dlq show here",
    "dlq ls --origin here",
    "dlq replay --max 0",
    "dlq replay --rate 0",
    "dlq replay --since tomorrow",
    "why",
    "why 7f0c5a52-9a3e",
    "why audio.recordings/1",
    "why 7f0c5a52-9a3e --around soon",
)


@pytest.mark.parametrize("words", WRONG)
def test_wrong_use_is_exit_code_2(words: str) -> None:
    assert run.invoke(app, words.split()).exit_code == 2


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """What ``streamproc status`` raises."""
    errors: list[BaseException] = []

    def fail(*_: object) -> None:
        raise errors[0]

    monkeypatch.setattr("streamproc.local.stack.status", fail)
    return errors


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (UsageError("say which"), 2, "say which"),
        (DependencyDownError("kafka", "10.0.0.1:9092 refused"), 3, "streamproc up"),
        (FatalError("fenced"), 4, "Start it again"),
        (NoRestartError("fenced twice"), 5, "Do not start it again"),
        (StreamprocError("odd"), 1, "odd"),
    ],
)
def test_an_error_becomes_its_exit_code_and_says_what_to_do(
    failing: list[BaseException], error: StreamprocError, code: int, says: str
) -> None:
    failing.append(error)
    done = run.invoke(app, ["status"])
    assert done.exit_code == code
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert says in done.stderr
    assert "Traceback" not in done.output


def test_debug_lets_the_error_through(failing: list[BaseException]) -> None:
    failing.append(UsageError("say which"))
    done = run.invoke(app, ["--debug", "status"])
    assert isinstance(done.exception, UsageError)


def test_a_bug_is_not_dressed_up(failing: list[BaseException]) -> None:
    failing.append(ZeroDivisionError())
    assert isinstance(run.invoke(app, ["status"]).exception, ZeroDivisionError)


def test_ctrl_c_is_exit_code_130(failing: list[BaseException]) -> None:
    failing.append(KeyboardInterrupt())
    assert run.invoke(app, ["status"]).exit_code == 130


@pytest.mark.parametrize("command", ["status", "up", "results", "demo"])
def test_impossible_settings_are_exit_code_2_and_name_the_setting(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMPROC_KAFKA__DELIVERY", "perhaps")
    done = run.invoke(app, [command])
    assert done.exit_code == 2
    assert "kafka.delivery" in done.stderr


@pytest.mark.parametrize("command", ["status", "results"])
def test_a_variable_of_no_section_is_exit_code_2(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMPROC_FLOWW__DRAIN_S", "canary")
    done = run.invoke(app, [command])
    assert done.exit_code == 2
    assert "STREAMPROC_FLOWW__DRAIN_S" in done.stderr
    assert "canary" not in done.output


@pytest.mark.parametrize("command", ["up", "down", "status"])
@pytest.mark.parametrize("folder", ["/proc/x", "/dev/null/x", "/dev/null", "x" * 300])
def test_a_state_folder_that_cannot_be_is_one_line_and_exit_code_2(
    command: str, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMPROC_LOCAL__STATE_DIR", folder)
    done = run.invoke(app, [command])
    assert done.exit_code == 2, done.output
    assert "STREAMPROC_LOCAL__STATE_DIR" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_worker_tells_even_impossible_settings_as_a_line_of_its_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMPROC_KAFKA__DELIVERY", "perhaps")
    done = subprocess.run([sys.executable, "-m", "streamproc", "worker"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert '"error": "UsageError"' in line
    assert "kafka.delivery" in line


def test_ctrl_c_while_the_commands_are_read_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupting:
        @staticmethod
        def find_spec(*_: object) -> None:
            raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "streamproc.cli.app")
    monkeypatch.setattr(sys, "meta_path", [Interrupting])
    monkeypatch.setitem(sys.modules, "streamproc.cli.interrupt", interrupt)
    monkeypatch.setattr(os, "_exit", sys.exit)
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.value.code == 130
    assert capsys.readouterr().err == "stopped by Ctrl-C\n"


NOWHERE = "127.0.0.1:1"
DEAF = f"""
from threading import Timer
from confluent_kafka import Consumer
from streamproc.cli.interrupt import soon_over

consumer = Consumer({{"bootstrap.servers": "{NOWHERE}", "group.id": "g", "log_level": 0}})
with soon_over():
    Timer(0.5, print, ["there"], {{"flush": True}}).start()  # once the other thread is in the call
    while True:
        try:
            consumer.list_topics("t", timeout=50)
        except KeyboardInterrupt:  # it came before the call
            continue
"""


@pytest.mark.parametrize(
    "words", [["-c", DEAF], ["-m", "streamproc", "doctor"]], ids=["a library does not listen", "doctor"]
)
def test_ctrl_c_again_and_again_is_one_line_and_an_end(words: list[str], tmp_path: Path) -> None:
    variables = {
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "STREAMPROC_KAFKA__BOOTSTRAP_SERVERS": NOWHERE,
        "STREAMPROC_REGISTRY__URL": f"http://{NOWHERE}",
        "STREAMPROC_STORAGE__ENDPOINT": f"http://{NOWHERE}",
    }
    process = subprocess.Popen(
        [sys.executable, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=os.environ | variables,
    )
    assert process.stdout
    process.stdout.readline()
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
    _, told = process.communicate(timeout=20)
    assert (process.returncode, told) == (130, "stopped by Ctrl-C\n")
