"""Mistakes in who is blamed for the end of a worker."""

from tools.mutants.mutant import Mutant, NamedTests, Simulator

_SEEDS = Simulator(2000)
_STRIKES = "streamproc/worker/core/strikes.py"
_TESTS = NamedTests(("tests/unit/worker/core/test_strikes.py",))

STRIKES = (
    Mutant(
        "strike in company",
        "every partition's first record bears a strike at once, also one that is not alone in flight, or not at all",
        _STRIKES,
        "owned.open is None and not owned.careful and owned.wanted is None",
        "owned.open is None and owned.wanted is None",
        Simulator(4000),
    ),
    Mutant(
        "strikes outlive their record",
        "the record behind one that was given up inherits its strikes",
        _STRIKES,
        "owned.strikes, owned.struck = offset, 0, 0, False",
        "owned.strikes, owned.struck = offset, 0, owned.strikes, False",
        _SEEDS,
    ),
    Mutant(
        "nothing opened",
        "commits do not say what is in flight: nobody sees that a worker died of it",
        "streamproc/records/mark.py",
        '"-" if self.open is None else self.open',
        '"-"',
        _SEEDS,
    ),
    Mutant(
        "what was opened is never closed",
        "a clean end looks like a crash",
        _STRIKES,
        "            last = _last_word(owned)\n",
        "            last = owned.said\n",
        NamedTests(("tests/unit/worker/core/test_strikes.py", "tests/unit/worker/test_killed_worker.py")),
    ),
    Mutant(
        "suspects forgotten at a hand-over",
        "whoever takes over from a careful owner takes a whole window together, the one that kills among it",
        _STRIKES,
        "    if owned.careful and owned.offset < owned.suspected_to:\n",
        "    if owned.careful and owned.offset < 0:\n",
        _TESTS,
    ),
    Mutant(
        "a wide window after a crash",
        "a clean hand-over between two crashes lets a whole window be in flight when the second one comes",
        _STRIKES,
        "(self._narrow if suspected or crashes else self._window)",
        "(self._narrow if suspected else self._window)",
        _TESTS,
    ),
    Mutant(
        "a strike for waiting",
        "a record that was alone and waits to be tried again is blamed for whatever ends the worker meanwhile",
        _STRIKES,
        "            wanted = self._calm() if self._rising else owned.struck\n",
        "            wanted = self._calm() if self._rising else False\n",
        NamedTests(("tests/unit/worker/core/test_strikes.py", "tests/unit/worker/test_strict.py")),
    ),
    Mutant(
        "company after the strike",
        "a record has its strike, and others that came meanwhile are taken before it",
        _STRIKES,
        " or self._next not in {None, source}:",
        ":",
        NamedTests(("tests/unit/worker/test_admission.py",)),
    ),
    Mutant(
        "own ends blamed on records",
        "a worker that ends itself because its topic refuses gives a strike to whoever was in flight",
        "streamproc/worker/runtime.py",
        "error.cause in NOBODYS_FAULT",
        "error.cause in ()",
        NamedTests(("tests/unit/worker/test_runtime.py",)),
    ),
    Mutant(
        "condemned and tried",
        "a record with three strikes is tried again",
        _STRIKES,
        "owned.strikes >= CONDEMNED_AFTER and",
        "owned.strikes < 0 and",
        _SEEDS,
    ),
    Mutant(
        "decoders without an end",
        "a recording that kills its decoder is given to another, and another",
        "streamproc/worker/stages/lookup.py",
        "replace(one.admitted, deaths=deaths)",
        "replace(one.admitted, deaths=0)",
        _SEEDS,
    ),
    Mutant(
        "any lane counts",
        "a recording that was late, or whose store was away, is given up with the first decoders that end with it",
        "streamproc/worker/stages/assemble.py",
        "and taken.attempt.reason == Reason.KILLED_WORKER",
        "and taken.attempt.attempts",
        NamedTests(("tests/unit/worker/test_killed_worker.py",)),
    ),
    Mutant(
        "no second chance",
        "a moment without memory makes dead letters of all recordings that were being decoded",
        "streamproc/worker/stages/assemble.py",
        " and taken.attempt.reason == Reason.KILLED_WORKER",
        "",
        _SEEDS,
    ),
    Mutant(
        "device blames its batch",
        "whatever was on a device that died is given up",
        "streamproc/worker/stages/infer.py",
        "strikes = pending.strikes + (len(lost) == 1 and not blameless)",
        "strikes = MOST_STRIKES",
        _SEEDS,
    ),
)
