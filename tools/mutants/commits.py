"""Mistakes in what is committed, and how far."""

from tools.mutants.mutant import Mutant, NamedTests, Simulator

_SEEDS = Simulator(1000)
_PIPELINE_TESTS = NamedTests(("tests/unit/worker/test_pipeline.py",))
_COMMIT = "streamproc/worker/stages/commit.py"
_OFFSETS = "streamproc/worker/core/offsets.py"
_OWNERSHIP = "streamproc/worker/core/ownership.py"

TRANSACTIONS = (
    Mutant(
        "commit before produce",
        "offsets are committed, then outcomes are written",
        _COMMIT,
        "            self.sink.commit(self._outputs(micro_batch, owned), offsets, metadata)\n",
        "            self.sink.commit([], offsets, metadata)\n"
        "            self.sink.commit(self._outputs(micro_batch, owned), [], metadata)\n",
        _SEEDS,
    ),
    Mutant(
        "commit before the end",
        "a transaction begins before every record of its micro-batch has its outcome",
        _COMMIT,
        "head is not None and head.finished else None",
        "head is not None and any(head.outcomes()) else None",
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
        "            self._shares = tuple(Share(s.source, s.epoch, s.outcomes[-1:], s.next_offset, s.mark) "
        "for s in self._shares or ())\n"
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
        "self.source.partition, self.next_offset, self.mark.text())",
        "self.source.partition, self.next_offset + 1, self.mark.text())",
        _SEEDS,
    ),
    Mutant(
        "offset one too low",
        "the last record of each commit is done twice",
        _COMMIT,
        "self.source.partition, self.next_offset, self.mark.text())",
        "self.source.partition, self.next_offset - bool(self.outcomes), self.mark.text())",
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
        "                self._last += 1\n                begun[partition] = self._current[partition] = self._last\n",
        "                begun[partition] = self._current[partition] = self._last + 1\n"
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
        "begun[partition] = self._current[partition] = self._last\n",
        "begun[partition] = self._current[partition] = 1\n",
        _SEEDS,
    ),
)
