"""Mistakes in what becomes of a record."""

from tools.mutants.mutant import Mutant, Simulator

_SEEDS = Simulator(1000)
_RETRY = "streamproc/worker/core/retry.py"
_PIPELINE = "streamproc/worker/pipeline.py"
_ADMIT = "streamproc/worker/stages/admit.py"
_ASSEMBLE = "streamproc/worker/stages/assemble.py"
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
        "return 0 if delay_ms is None else record.timestamp_ms + delay_ms",
        "return 0 if delay_ms is None else record.timestamp_ms",
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
        "attempts not counted",
        "a lane does not know how often its records were tried",
        _ASSEMBLE,
        "attempts=taken.attempt.attempts + 1)",
        "attempts=max(taken.attempt.attempts, 1))",
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
