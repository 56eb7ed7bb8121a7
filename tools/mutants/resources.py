"""Mistakes with what is limited: credits, slots, the device."""

from tools.mutants.mutant import Mutant, NamedTests, Simulator

_SEEDS = Simulator(1000)
_PIPELINE_TESTS = NamedTests(("tests/unit/worker/test_pipeline.py",))
_RUNTIME_TESTS = NamedTests(("tests/unit/worker/test_runtime.py",))
_RESUME_TESTS = NamedTests(("tests/unit/worker/test_resume.py",))
_CREDITS_TESTS = NamedTests(("tests/unit/worker/core/test_credits_model.py",))
_CREDITS = "streamproc/worker/core/credits.py"
_POLLER = "streamproc/worker/poller.py"
_ADMIT = "streamproc/worker/stages/admit.py"
_ASSEMBLE = "streamproc/worker/stages/assemble.py"
_INFER = "streamproc/worker/stages/infer.py"
_RESUME = "streamproc/worker/stages/resume.py"
_LOOKUP = "streamproc/worker/stages/lookup.py"

RESOURCES = (
    Mutant(
        "credits never given back",
        "what is done still weighs",
        _ASSEMBLE,
        "        self._batches.settle(taken, outcome)\n        self.free(taken)\n",
        "        self._batches.settle(taken, outcome)\n",
        _SEEDS,
    ),
    Mutant(
        "credits given back twice",
        "more is in flight than the settings allow",
        _CREDITS,
        "self._total -= self._held.pop(holder, ZERO)",
        "self._total = self._total - self._held.get(holder, ZERO) - self._held.pop(holder, ZERO)",
        _SEEDS,
    ),
    Mutant(
        "credits for all",
        "everything is granted",
        _CREDITS,
        "        if self._held and not (self._total + weight).within(self.limit):\n            return False\n",
        "",
        _CREDITS_TESTS,
    ),
    Mutant(
        "always room",
        "micro-batches are begun without an end",
        _ADMIT,
        "return len(self._batches) < self._settings.flow.micro_batches",
        "return len(self._batches) < 2 * self._settings.flow.micro_batches",
        _SEEDS,
    ),
    Mutant(
        "polls without room",
        "records are taken whether or not there is room for them",
        _POLLER,
        "            if self.room.is_set() and not self._draining.is_set():\n",
        "            if not self._draining.is_set():\n",
        _SEEDS,
    ),
    Mutant(
        "slot released too early",
        "the slot of a segment whose device died is given away, and the segment computed again",
        _INFER,
        "            elif strikes < MOST_STRIKES:\n",
        "            elif strikes < MOST_STRIKES:\n                self._arena.release(pending.ready.lease)\n",
        _SEEDS,
    ),
    Mutant(
        "slot leaked",
        "a segment whose recording failed keeps its slot",
        _INFER,
        "            if pending.recording is recording:\n                self._arena.release(pending.ready.lease)\n",
        "            if pending.recording is not recording:\n                continue\n",
        _PIPELINE_TESTS,
    ),
    Mutant(
        "batch of a dead device forgotten",
        "nobody computes it again",
        _INFER,
        "                self._again(lost, detail, blameless=blameless)\n",
        "",
        _SEEDS,
    ),
    Mutant(
        "follower forgotten",
        "who waits for the same bytes is forgotten when the leader's record goes",
        _LOOKUP,
        '        """Go on without a leader whose record is not ours any more."""\n'
        "        for waiting in self._give_up(fetched):\n            self._fetch_again(waiting)\n",
        '        """Go on without a leader whose record is not ours any more."""\n        self._give_up(fetched)\n',
        Simulator(5_000),
    ),
    Mutant(
        "decoder's slot leaked",
        "a decoding that is cancelled keeps the slot it was granted",
        "streamproc/worker/stages/prepare.py",
        "        if (lease := self._granted.pop(job, None)) is not None:\n            self._arena.release(lease)\n",
        "        self._granted.pop(job, None)\n",
        _SEEDS,
    ),
    Mutant(
        "decoded without end",
        "a recording is decoded as far ahead of the device as there are slots",
        "streamproc/worker/stages/prepare.py",
        "            if self.ahead(taken) and not any(waiting.taken.ident < taken.ident for waiting in self.inbox):\n"
        "                continue\n",
        "",
        _PIPELINE_TESTS,
    ),
    Mutant(
        "kept for any stretch",
        "scores that a former owner kept are taken for whatever comes next",
        _RESUME,
        "return progress.kept.get(Stretch(ready.channel, ready.start_ms, ready.end_ms)) if progress.kept else None",
        "return next(iter(progress.kept.values()), None)",
        _SEEDS,
    ),
    Mutant(
        "kept and never asked for",
        "a next owner computes everything again",
        _RESUME,
        "                yield ident\n",
        "                progress.kept = {}\n                yield ident\n",
        _RESUME_TESTS,
    ),
    Mutant(
        "slot of a known segment leaked",
        "a segment whose scores are known keeps its slot",
        _INFER,
        "        self._arena.release(ready.lease)\n        recording.segments.append(self._computed(ready, scored))\n",
        "        recording.segments.append(self._computed(ready, scored))\n",
        _SEEDS,
    ),
    Mutant(
        "pause set not kept",
        "lanes whose head is not due are polled on",
        _POLLER,
        "                source.pause(self.not_due)\n",
        "                source.pause(frozenset())\n",
        _RUNTIME_TESTS,
    ),
)
