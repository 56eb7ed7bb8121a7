"""Mistakes in the worker, most of them for the simulator to find."""

from tools.mutants.mutant import Mutant, NamedTests, Simulator

_SEEDS = Simulator(1000)
_PIPELINE_TESTS = NamedTests(("tests/unit/worker/test_pipeline.py",))
_RUNTIME_TESTS = NamedTests(("tests/unit/worker/test_runtime.py",))
_ADMISSION_TESTS = NamedTests(("tests/unit/worker/test_admission.py",))
_PARKING_TESTS = NamedTests(("tests/unit/worker/core/test_parking_model.py",))
_CREDITS_TESTS = NamedTests(("tests/unit/worker/core/test_credits_model.py",))
_COMMIT = "streamproc/worker/stages/commit.py"
_OFFSETS = "streamproc/worker/core/offsets.py"
_OWNERSHIP = "streamproc/worker/core/ownership.py"
_RETRY = "streamproc/worker/core/retry.py"
_CREDITS = "streamproc/worker/core/credits.py"
_PIPELINE = "streamproc/worker/pipeline.py"
_POLLER = "streamproc/worker/poller.py"
_RUNTIME = "streamproc/worker/runtime.py"
_ADMIT = "streamproc/worker/stages/admit.py"
_ASSEMBLE = "streamproc/worker/stages/assemble.py"
_INFER = "streamproc/worker/stages/infer.py"
_LOOKUP = "streamproc/worker/stages/lookup.py"

TRANSACTIONS = (
    Mutant(
        "commit before produce",
        "offsets are committed, then outcomes are written",
        _COMMIT,
        "            self.sink.commit(self._outputs(owned), offsets, metadata)\n",
        "            self.sink.commit([], offsets, metadata)\n"
        "            self.sink.commit(self._outputs(owned), [], metadata)\n",
        _SEEDS,
    ),
    Mutant(
        "commit before the end",
        "a transaction begins before every record of its micro-batch has its outcome",
        _COMMIT,
        "head is not None and head.finished:",
        "head is not None and any(head.outcomes()):",
        _SEEDS,
    ),
    Mutant(
        "ownership before metadata",
        "what is owned is asked before who we are: a partition lost in between is committed under a newer identity",
        _COMMIT,
        "        metadata = self.group_metadata()\n"
        "        owned = tuple(share for share in shares if self.ownership.holds(share.source, share.epoch))\n",
        "        owned = tuple(share for share in shares if self.ownership.holds(share.source, share.epoch))\n"
        "        metadata = self.group_metadata()\n",
        _SEEDS,
    ),
    Mutant(
        "ownership not asked",
        "everything that was finished is committed, whoever has its partition by then",
        _COMMIT,
        "if self.ownership.holds(share.source, share.epoch))",
        "if self.ownership is not None)",
        _SEEDS,
    ),
    Mutant(
        "failed commit taken for done",
        "a delivery error is swallowed: an aborted transaction counts as committed, its offsets with it",
        _COMMIT,
        "        if isinstance(answer, AbortedError):\n            self._aborts",
        "        if isinstance(answer, AbortedError):\n"
        "            self._shares = None\n            self._batches.close_head()\n"
        "        elif isinstance(answer, AbortedError):\n            self._aborts",
        _SEEDS,
    ),
    Mutant(
        "aborted outcomes gone, offsets kept",
        "after an abort only the offsets come again",
        _COMMIT,
        "            self._again_at = now.mono + min(FIRST_WAIT_S * 2 ** (self._tries - 1), LONGEST_WAIT_S)\n",
        "            self._shares = tuple(Share(s.source, s.epoch, s.outcomes[-1:], s.next_offset) for s in "
        "self._shares or ())\n"
        "            self._again_at = now.mono + min(FIRST_WAIT_S * 2 ** (self._tries - 1), LONGEST_WAIT_S)\n",
        _SEEDS,
    ),
    Mutant(
        "abort not tried again",
        "an aborted micro-batch waits for ever",
        _COMMIT,
        "            self._again_at = now.mono + min(FIRST_WAIT_S * 2 ** (self._tries - 1), LONGEST_WAIT_S)\n",
        "            self._again_at = None\n",
        _SEEDS,
    ),
    Mutant(
        "aborts without end",
        "a transaction that can never be committed is tried for ever",
        _COMMIT,
        "            if self._aborts > self._most_aborts:\n",
        "            if self._aborts > self._most_aborts + now.mono:\n",
        _PIPELINE_TESTS,
    ),
    Mutant(
        "waiting spends the aborts",
        "a broker that is away costs a worker its patience, and the process",
        _COMMIT,
        "self._aborts += not answer.waited",
        "self._aborts += 1",
        _PIPELINE_TESTS,
    ),
    Mutant(
        "later micro-batch first",
        "the newest micro-batch is committed before older ones",
        "streamproc/worker/core/batch.py",
        "        self._order.append(batch)\n",
        "        self._order.appendleft(batch)\n",
        _SEEDS,
    ),
    Mutant(
        "ledger miscounts",
        "retries are counted as dead letters",
        "streamproc/records/ledger.py",
        "        dead_letters=counts[OutcomeKind.DEAD_LETTER],\n",
        "        dead_letters=counts[OutcomeKind.DEAD_LETTER] + counts[OutcomeKind.RETRY],\n",
        _SEEDS,
    ),
)

OFFSETS = (
    Mutant(
        "offset one too high",
        "the commit passes a record that nobody finished",
        _COMMIT,
        "share.next_offset) for share in owned]",
        "share.next_offset + 1) for share in owned]",
        _SEEDS,
    ),
    Mutant(
        "offset one too low",
        "the last record of each commit is done twice",
        _COMMIT,
        "share.next_offset) for share in owned]",
        "share.next_offset - 1) for share in owned]",
        _SEEDS,
    ),
    Mutant(
        "highest instead of lowest",
        "the offset behind the highest record taken is committed, whatever is unfinished below it",
        _OFFSETS,
        "return next(iter(current.unfinished), current.following)",
        "return current.following",
        _SEEDS,
    ),
    Mutant(
        "unfinished offset skipped",
        "committable is one past the lowest unfinished",
        _OFFSETS,
        "return next(iter(current.unfinished), current.following)",
        "return next((offset + 1 for offset in current.unfinished), current.following)",
        _SEEDS,
    ),
    Mutant(
        "records taken twice",
        "what the client delivers again is taken again",
        _OFFSETS,
        "latest.over or offset < latest.following:",
        "latest.over:",
        _SEEDS,
    ),
    Mutant(
        "one epoch for all partitions",
        "an assignment of one partition begins a new epoch for all",
        _OWNERSHIP,
        "                self._last += 1\n                self._current[partition] = self._last\n",
        "                self._current[partition] = self._last + 1\n"
        "            self._last += 1\n"
        "            self._current = dict.fromkeys(self._current, self._last)\n",
        _SEEDS,
    ),
    Mutant(
        "epoch survives a re-assignment",
        "a partition that went away and came back counts as never gone",
        _OWNERSHIP,
        "return self.epoch(partition) == epoch",
        "return self.epoch(partition) is not None",
        _SEEDS,
    ),
    Mutant(
        "epoch begins once",
        "a partition that comes back has the epoch that it had",
        _OWNERSHIP,
        "                self._current[partition] = self._last\n",
        "                self._current[partition] = 1\n",
        _SEEDS,
    ),
)

REBALANCE = (
    Mutant(
        "revoke ignored",
        "partitions are given back, and worked on as before",
        _POLLER,
        "        in_time = self._await(settled, began + self._revoke_s)\n"
        "        self._ownership.drop(partitions)\n"
        "        self._tell(Gone(tuple(partitions)))\n",
        "        in_time = self._await(settled, began + self._revoke_s)\n",
        _SEEDS,
    ),
    Mutant(
        "loss ignored",
        "partitions that were lost are worked on as before",
        _POLLER,
        '        """Mark only: somebody else works on them already."""\n        self._ownership.drop(partitions)\n',
        '        """Mark only: somebody else works on them already."""\n',
        _SEEDS,
    ),
    Mutant(
        "loss not told to the stages",
        "what is in flight of a lost partition stays",
        _RUNTIME,
        "                    pipeline.lose(partitions)\n",
        "                    del partitions\n",
        _RUNTIME_TESTS,
    ),
    Mutant(
        "given back unsettled",
        "a partition is given back before the commit over it is settled",
        _PIPELINE,
        "            batch.dropped(taken.index) for partition in partitions for batch, taken in",
        "            batch.finished or batch.dropped(taken.index) for partition in partitions for batch, taken in",
        _RUNTIME_TESTS,
    ),
    Mutant(
        "revoke drops nothing",
        "a revoke waits for everything in flight, beyond its budget",
        _PIPELINE,
        "                keeping = keeping and batch.ident in soon\n",
        "                keeping = keeping or batch.ident in soon\n",
        _ADMISSION_TESTS,
    ),
    Mutant(
        "hole in a revoke",
        "a revoke keeps what is on the device behind a record that it drops",
        _PIPELINE,
        "                keeping = keeping and batch.ident in soon\n",
        "                keeping = batch.ident in soon\n",
        _SEEDS,
    ),
    Mutant(
        "waiting lane records kept",
        "lane records that are not due stay when their partition goes",
        _RETRY,
        "            self._parked.pop(partition, None)\n",
        "            self._parked.get(partition)\n",
        _PARKING_TESTS,
    ),
    Mutant(
        "backlog kept",
        "what was polled and not begun stays when its partition goes",
        _ADMIT,
        "self._backlog.keep(lambda judged: judged.polled.record.source not in partitions)",
        "self._backlog.keep(lambda judged: judged.polled.record.source in partitions or True)",
        _ADMISSION_TESTS,
    ),
    Mutant(
        "a stop without a drain",
        "what is in flight is left behind",
        _RUNTIME,
        "if pipeline.idle or now >= drain_until:",
        "if self._stopping:",
        _RUNTIME_TESTS,
    ),
    Mutant(
        "a stop that takes more",
        "what waits is begun although the process ends",
        _ADMIT,
        "        self._stopped = True\n        self._backlog.keep(lambda _: False)\n",
        "        self._stopped = True\n",
        _ADMISSION_TESTS,
    ),
)

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
        "kind = TransientError if transient else PoisonError",
        "kind = PoisonError if transient else TransientError",
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

RESOURCES = (
    Mutant(
        "credits never given back",
        "what is done still weighs",
        _ASSEMBLE,
        "        self._batches.settle(taken, outcome)\n        self._credit.give(taken.ident)\n",
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
        "slot released too early",
        "the slot of a segment whose device died is given away, and the segment computed again",
        _INFER,
        "            else:\n                self._pending.append(pending)\n",
        "            else:\n                self._arena.release(pending.ready.lease)\n"
        "                self._pending.append(pending)\n",
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
        "                    self._again(self._running.pop(ident))\n",
        "                    self._running.pop(ident)\n",
        _SEEDS,
    ),
    Mutant(
        "follower forgotten",
        "who waits for the same bytes is forgotten when the leader's record goes",
        _LOOKUP,
        '        """Go on without a leader whose record is not ours any more."""\n'
        "        for waiting in self._give_up(fetched):\n            self._fetch_again(waiting)\n",
        '        """Go on without a leader whose record is not ours any more."""\n        self._give_up(fetched)\n',
        _SEEDS,
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
        "pause set not kept",
        "lanes whose head is not due are polled on",
        _POLLER,
        "                source.pause(self.not_due)\n",
        "                source.pause(frozenset())\n",
        _RUNTIME_TESTS,
    ),
)

WORKER = (*TRANSACTIONS, *OFFSETS, *REBALANCE, *RECORDS, *RESOURCES)
