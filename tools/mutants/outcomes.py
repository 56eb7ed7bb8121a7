"""Mistakes in what becomes of a record."""

from tools.mutants.mutant import Mutant, NamedTests, Simulator

_SEEDS = Simulator(1000)
_RETRY = "streamproc/worker/core/retry.py"
_PIPELINE = "streamproc/worker/pipeline.py"
_ADMIT = "streamproc/worker/stages/admit.py"
_ASSEMBLE = "streamproc/worker/stages/assemble.py"
_FETCH = "streamproc/worker/stages/fetch.py"
_PROBE = "streamproc/worker/stages/probe.py"
_INFER = "streamproc/worker/stages/infer.py"

RECORDS = (
    Mutant(
        "retry for ever",
        "the last lane takes a record again and again",
        _RETRY,
        "        return self.lanes[place] if place < len(self.lanes) else None\n",
        "        return self.lanes[min(place, len(self.lanes) - 1)]\n",
        _SEEDS,
    ),
    Mutant(
        "delay ignored",
        "a lane's records are tried at once",
        _RETRY,
        "return 0 if delay_ms is None else min(record.timestamp_ms, now_ms) + delay_ms",
        "return 0 if delay_ms is None else min(record.timestamp_ms, now_ms)",
        _SEEDS,
    ),
    Mutant(
        "drop on decode error",
        "a recording that cannot be decoded is skipped, its offset is committed",
        _ASSEMBLE,
        "        if fits(letter):\n",
        "        if error.reason is Reason.DECODE_FAILED:\n"
        "            self._settle(taken, Outcome(OutcomeKind.DEAD_LETTER, (), reason=error.reason))\n"
        "        elif fits(letter):\n",
        _SEEDS,
    ),
    Mutant(
        "left out on decode error",
        "a recording that cannot be decoded is left to the partition's next owner",
        _PIPELINE,
        "        self._lookup.failed(fetched, error)\n",
        "        self._drop(fetched.taken)\n        self._lookup.failed(fetched, error)\n",
        _SEEDS,
    ),
    Mutant(
        "silence on a bad event",
        "an event that cannot be read is skipped, its offset is committed",
        _ASSEMBLE,
        "        if fits(letter):\n",
        "        if error.reason is Reason.AVRO_INVALID:\n"
        "            self._settle(taken, Outcome(OutcomeKind.DEAD_LETTER, (), reason=error.reason))\n"
        "        elif fits(letter):\n",
        _SEEDS,
    ),
    Mutant(
        "tombstone dropped",
        "a record without a value is taken for none",
        _ADMIT,
        "            if self._offsets.take(one.record.source, one.epoch, one.record.offset):\n",
        "            if one.record.value is None:\n                continue\n"
        "            if self._offsets.take(one.record.source, one.epoch, one.record.offset):\n",
        _SEEDS,
    ),
    Mutant(
        "attempts spent in an outage",
        "a store that is down costs its records their tries",
        "streamproc/worker/core/canary.py",
        "        if works and not (suspected and in_a_row):\n",
        "        if suspected or works:\n",
        _SEEDS,
    ),
    Mutant(
        "brake that never goes on",
        "whatever becomes a dead letter, more is taken",
        _PROBE,
        "            self.brake.ended(outcome.reason if outcome.kind is OutcomeKind.DEAD_LETTER else None)",
        "            self.brake.ended(None)",
        _SEEDS,
    ),
    Mutant(
        "brake that never goes off",
        "a worker that was held once takes nothing any more, however well the newest records are",
        _PROBE,
        "        if worked == len(tried):\n",
        "        if worked > len(tried):\n",
        _SEEDS,
    ),
    Mutant(
        "brake that holds nothing",
        "the brake is on and says so, and records are taken all the same",
        _ADMIT,
        " and not self.held()",
        "",
        _SEEDS,
    ),
    Mutant(
        "brake that believes a bad probe",
        "the brake goes off by itself while the newest records fail as well: the topic is drained in steps",
        _PROBE,
        "        if worked == len(tried):\n",
        "        if worked >= 0:\n",
        NamedTests(("tests/unit/worker/test_brake.py",)),
    ),
    Mutant(
        "brake with one result of memory",
        "a release that lets one result through counts as one that led to a window of them: the next comes at once",
        "streamproc/worker/stages/probe.py",
        "        if self._results >= self._window:\n",
        "        if self._results:\n",
        Simulator(4000),
    ),
    Mutant(
        "brake without a memory",
        "whatever a probe does not see drains the topic in steps: after each release the next one comes at once",
        _PROBE,
        "        if self._results >= self._window:\n",
        "        if self._results >= 0:\n",
        NamedTests(("tests/unit/worker/test_brake.py",)),
    ),
    Mutant(
        "straggler waited for",
        "one object that drips holds its whole micro-batch up until its own time is over",
        _FETCH,
        "            if fetching.late(now.mono) and",
        "            if fetching.late(now.mono - 100) and",
        NamedTests(("tests/unit/worker/test_stragglers.py",)),
    ),
    Mutant(
        "straggler by queue",
        "who waits for a thread of the pool is taken for one whose object is slow",
        _FETCH,
        "        self._began: float | None = None\n",
        "        self._began: float | None = 0.0\n",
        NamedTests(("tests/unit/worker/test_stragglers.py",)),
    ),
    Mutant(
        "credit of a straggler given twice",
        "bytes that are still on their way are nobody's",
        _PIPELINE,
        "        if not self._fetch.fetching(taken):\n",
        "        if not self._fetch.fetching(taken) or self._batches.wanted(taken) is False:\n",
        NamedTests(("tests/unit/worker/test_stragglers.py",)),
    ),
    Mutant(
        "strict order that gives a try",
        "in strict order what fails for now goes to a lane after the second try",
        _RETRY,
        "        if not self._strict or attempts > self._per_lane * len(self.lanes):\n",
        "        if not self._strict or attempts > 1:\n",
        _SEEDS,
    ),
    Mutant(
        "attempts forgotten in place",
        "in strict order a record does not know how often it was tried, and is tried for ever",
        "streamproc/worker/stages/again.py",
        "self._failed.append((replace(taken, attempt=attempt), wait_s))",
        "self._failed.append((taken, wait_s))",
        _SEEDS,
    ),
    Mutant(
        "attempts not counted",
        "a lane does not know how often its records were tried",
        _ASSEMBLE,
        "attempts=taken.attempt.attempts + 1, reason",
        "attempts=max(taken.attempt.attempts, 1), reason",
        _SEEDS,
    ),
    Mutant(
        "young object dead at once",
        "an object that is announced a moment before it is there is a dead letter",
        "streamproc/worker/stages/fetch.py",
        "kind = TransientError if age_ms < 1000 * self._settings.storage.young_s else PoisonError",
        "kind = PoisonError if age_ms < 1000 * self._settings.storage.young_s else TransientError",
        _SEEDS,
    ),
    Mutant(
        "killed decoder condemns its record",
        "whoever happened to be decoded is blamed for the death of the child",
        "streamproc/worker/stages/prepare.py",
        "        if deaths < MOST_DEATHS:\n",
        "        if not deaths:\n",
        _SEEDS,
    ),
    Mutant(
        "neighbours swapped",
        "the values of a compute batch are given out in another order",
        _INFER,
        "zip(chosen, items, strict=True)",
        "zip(chosen, reversed(items), strict=True)",
        _SEEDS,
    ),
    Mutant(
        "dead letter not the original",
        "a dead letter loses its key",
        _ASSEMBLE,
        "return OutputRecord(topic, record.key, record.value, headers)",
        "return OutputRecord(topic, None, record.value, headers)",
        _SEEDS,
    ),
    Mutant(
        "result without its key",
        "results of one key go to any partition: their order is gone",
        _ASSEMBLE,
        "OutputRecord(self._topics.results, key, self",
        "OutputRecord(self._topics.results, None, self",
        _SEEDS,
    ),
    Mutant(
        "result id of the moment",
        "the same event gives another result_id when it is done again",
        _ASSEMBLE,
        "ident = result_id(event.event_id, admitted.fingerprint)",
        "ident = result_id(event.event_id + str(now.wall_ms), admitted.fingerprint)",
        _SEEDS,
    ),
    Mutant(
        "segments forgotten",
        "rows of segments that an event asks for are not written",
        _ASSEMBLE,
        '        if "segments" in event.outputs:\n',
        '        if "segment" in event.outputs:\n',
        _SEEDS,
    ),
)
