"""Running the simulator, or tests, on a copy, and telling what they found from their own failures."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

from streamproc.testing.simulation.simulation import BROKEN
from tools.mutants.mutant import Killer, Simulator
from tools.mutants.tree import environment
from tools.mutants.verdict import Fate, Verdict

_FOUND = 1
"""Exit code of the simulator and of pytest when something does not hold; anything above is their own failure."""
_LONGEST_S = 900
_LONGEST_TEST_S = 60
"""A test that hangs is a test that failed: some mutants try for ever."""
_TAIL = 400
_NO_PROGRAM = re.compile(
    rf"^{BROKEN}|\b(?:NameError|UnboundLocalError|AttributeError|TypeError|ImportError|ModuleNotFoundError|SyntaxError)\b"
)
"""What a change leaves behind that nobody would have committed, or ends the simulator: to find it proves nothing."""


class _Done(NamedTuple):
    code: int | None
    """None when it was killed because it took too long."""
    out: str
    errors: str


def run(killer: Killer, folder: Path, processes: int) -> Verdict:
    """Let a killer look at what is in ``folder``."""
    began = time.monotonic()
    verdict = _simulate(killer, folder, processes) if isinstance(killer, Simulator) else _test(killer.paths, folder)
    if verdict.fate is Fate.DEAD and _NO_PROGRAM.search(verdict.how):
        verdict = replace(verdict, fate=Fate.BROKEN)
    return replace(verdict, seconds=time.monotonic() - began)


def _simulate(killer: Simulator, folder: Path, processes: int) -> Verdict:
    command = [sys.executable, "-m", "streamproc.testing.simulation", "--until-failed", "--json", "--floor=0"]
    done = _call([*command, f"--seeds={killer.seeds}", f"--processes={processes}"], folder)
    try:
        found = json.loads(done.out)
        failures = [(f"seed {failure['seed']}", str(failure["violation"])) for failure in found["failures"]]
    except (ValueError, KeyError, TypeError):
        return _broken(done)  # no answer: not a seed failed, but the simulator
    if done.code == _FOUND and failures:
        return Verdict(Fate.DEAD, *failures[0])
    if done.code == 0 and found["seeds"] == killer.seeds:
        return Verdict(Fate.ALIVE, f"{killer.seeds} seeds")
    return _broken(done)


def _test(paths: Sequence[str], folder: Path) -> Verdict:
    answer = folder / "tests.xml"
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", f"--timeout={_LONGEST_TEST_S}"]
    done = _call([*command, "--hypothesis-seed=0", f"--junitxml={answer}", *paths], folder)
    if done.code not in {0, _FOUND} or not answer.is_file():
        return _broken(done)
    cases = list(ET.parse(answer).iter("testcase"))  # noqa: S314  # written by our own pytest just now
    for case in cases:
        if (failure := case.find("failure")) is not None:
            where = str(case.get("classname")).rpartition("test_")[2]
            return Verdict(Fate.DEAD, f"{where}: {case.get('name')}", str(failure.get("message")))
    if done.code == 0 and cases and not any(case.find("skipped") is not None for case in cases):
        return Verdict(Fate.ALIVE, f"{len(cases)} tests")
    return _broken(done)


def _call(command: Sequence[str], folder: Path) -> _Done:
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # so that its own children end with it
    )
    try:
        out, errors = process.communicate(timeout=_LONGEST_S)
    except subprocess.TimeoutExpired:
        return _Done(None, "", f"no answer in {_LONGEST_S} s")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return _Done(process.returncode, out, errors)


def _broken(done: _Done) -> Verdict:
    text = (done.errors.strip() or done.out.strip())[-_TAIL:]
    return Verdict(Fate.BROKEN, "no answer" if done.code is None else f"exit code {done.code}", text)
