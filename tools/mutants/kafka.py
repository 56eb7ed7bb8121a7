"""Mistakes towards Kafka, for tests on librdkafka's own broker, and in the broker that the simulator believes."""

from tools.mutants.mutant import Mutant, NamedTests, Simulator

_SINK = "streamproc/kafka/sink.py"
_SOURCE = "streamproc/kafka/source.py"
_OUTBOX = "streamproc/kafka/outbox.py"
_COMMITS = "streamproc/kafka/commit_requests.py"
_SEEDS = Simulator(2000)
_SINK_TESTS = NamedTests(("tests/unit/kafka/test_sink_errors.py",))


def _source(test: str) -> NamedTests:
    """One test alone: a source that is broken can spoil those after it."""
    return NamedTests((f"tests/unit/kafka/test_source_errors.py::{test}",))


def _table(test: str) -> NamedTests:
    """One test of the table of errors."""
    return NamedTests((f"tests/unit/kafka/test_error_table.py::{test}",))


def _commits(test: str) -> NamedTests:
    """The same."""
    return NamedTests((f"tests/unit/kafka/test_commit_requests.py::{test}",))


SINK = (
    Mutant(
        "plain: commit before produce",
        "at least once, offsets are committed before outputs are acknowledged",
        _SINK,
        "            outbox.wait()\n            self._commit_offsets(offsets, known(group_metadata))\n",
        "            self._commit_offsets(offsets, known(group_metadata))\n            outbox.wait()\n",
        _SINK_TESTS,
    ),
    Mutant(
        "delivery error swallowed",
        "an output that the broker refused counts as written",
        _OUTBOX,
        "        if error is not None:\n            self._refusals.append(error)\n",
        "        if error is None:\n            self._refusals.clear()\n",
        _SINK_TESTS,
    ),
    Mutant(
        "cause hidden by its aftermath",
        "what may not be written is taken for an error that nobody knows, or is produced again and again",
        _SINK,
        "return (error.code() in AFTERMATH and",
        "return (error.code() not in AFTERMATH and",
        _table("test_what_failed_a_transaction_is_named_and_not_what_came_too_late_for_it"),
    ),
    Mutant(
        "transaction call for ever",
        "the end of a transaction is asked for without a deadline",
        _SINK,
        "if error is None or decide(error) not in _PASSING or not deadline.left():",
        "if error is None or decide(error) not in _PASSING:",
        _SINK_TESTS,
    ),
    Mutant(
        "aborted transaction left open",
        "what a failed transaction wrote, and its offsets, go into the next one",
        _SINK,
        "        error = self._until(Deadline(self._timeout_s, self._clock), self._producer.abort_transaction)\n",
        "        error = _failure(self._producer.poll, 0)\n",
        _SINK_TESTS,
    ),
    Mutant(
        "unknown fate taken for an abort",
        "a commit without an answer is produced again, though it may have happened",
        _SINK,
        "return FatalError(message, Fatal.FATE_UNKNOWN)",
        "return AbortedError(message)",
        _SINK_TESTS,
    ),
    Mutant(
        "fence not told from other failures",
        "two processes of one slot fence each other for ever, since nobody counts",
        "streamproc/kafka/errors.py",
        "return FencedError(said)",
        "return FatalError(said, Fatal.FENCED)",
        NamedTests(("tests/unit/kafka/test_error_table.py::test_an_abort_that_fails_is_fatal",)),
    ),
    Mutant(
        "unknown error tried again",
        "an error that nobody has thought about is produced again and again",
        "streamproc/kafka/errors.py",
        "_TABLE.get(error.code(), Decision.FATAL)",
        "_TABLE.get(error.code(), Decision.ABORT)",
        NamedTests(("tests/unit/kafka/test_error_table.py::test_an_error_that_nobody_knows_says_so",)),
    ),
    Mutant(
        "fatal consumer taken for trouble",
        "a worker that its group refuses sits idle for ever",
        "streamproc/kafka/errors.py",
        "return error.fatal() or error.code() == KafkaError._FATAL",
        "return error.fatal()",
        NamedTests(
            ("tests/unit/kafka/test_error_table.py::test_a_refused_member_is_fatal_and_no_trouble_that_passes",)
        ),
    ),
)

SOURCE = (
    Mutant(
        "revoke not told",
        "partitions are given back behind the worker's back",
        _SOURCE,
        "self._part_with(consumer, partitions, self._assignments.revoked)",
        "self._part_with(consumer, partitions, lambda ours: None)",
        _source("test_a_close_tells_what_goes"),
    ),
    Mutant(
        "loss not told",
        "partitions are lost behind the worker's back",
        _SOURCE,
        "self._part_with(consumer, partitions, self._assignments.lost)",
        "self._part_with(consumer, partitions, lambda ours: None)",
        _source("test_a_loss_is_told_and_is_no_revoke"),
    ),
    Mutant(
        "membership of the moment",
        "a plain commit is made under the membership of now, whatever went away since it was begun",
        _SOURCE,
        "self._commits.make(self._consumer, offsets, membership.departures, self._identity.departures)",
        "self._commits.make(self._consumer, offsets, self._identity.departures, self._identity.departures)",
        _source("test_a_commit_begun_before_partitions_went_away_is_refused"),
    ),
    Mutant(
        "departures not looked at",
        "a plain commit passes although partitions went away since it was begun",
        _COMMITS,
        "            if request.departures != departures:\n",
        "            if request.departures > departures:\n",
        _commits("test_a_commit_that_waits_while_partitions_go_away_is_refused"),
    ),
    Mutant(
        "plain: offset one too high",
        "the client is given an offset past the one that was said",
        "streamproc/kafka/positions.py",
        "o.partition, o.offset, o.metadata)",
        "o.partition, o.offset + 1, o.metadata)",
        _source("test_the_next_member_starts_at_the_offset_that_was_committed"),
    ),
    Mutant(
        "plain: offset one too low",
        "the client is given an offset before the one that was said",
        "streamproc/kafka/positions.py",
        "o.partition, o.offset, o.metadata)",
        "o.partition, o.offset - 1, o.metadata)",
        _source("test_the_next_member_starts_at_the_offset_that_was_committed"),
    ),
    Mutant(
        "start for ever",
        "a coordinator that stays away keeps an assignment waiting without an end",
        "streamproc/kafka/starts.py",
        "stop=stop_after_delay(budget_s)",
        "stop=stop_after_delay(1000 * budget_s)",
        _source("test_committed_offsets_that_stay_away_are_fatal_after_the_budget"),
    ),
    Mutant(
        "drop on unreadable headers",
        "a record that the client cannot hand over whole is skipped",
        _SOURCE,
        "            return to_record(message, origin) if origin in self._owned else None\n",
        "            record = to_record(message, origin)\n"
        "            return record if origin in self._owned and not record.headers else None\n",
        _source("test_header_names_that_are_not_utf8_do_not_stop_the_partition"),
    ),
    Mutant(
        "refused commit swallowed",
        "a commit that waits for a closed source is told that it was made",
        _COMMITS,
        "            request.settle(_closed())\n",
        "            request.settle(None)\n",
        _source("test_a_commit_that_a_closed_source_cannot_make_is_refused"),
    ),
    Mutant(
        "commit waited for",
        "a commit that nobody answers holds the polling thread, and a revoke beyond its budget",
        _COMMITS,
        "asynchronous=True)",
        "asynchronous=False)",
        _commits("test_a_revoke_keeps_its_budget_while_a_commit_has_no_answer"),
    ),
    Mutant(
        "commit without a deadline",
        "a commit whose answer never comes is waited for without an end",
        _COMMITS,
        "if self._sent is not None and not self._deadline.left():",
        "if self._sent is None and not self._deadline.left():",
        _commits("test_a_commit_without_an_answer_is_to_be_done_again"),
    ),
    Mutant(
        "late answer taken for the next one",
        "the refusal of a commit that was given up is told of the one after it",
        _COMMITS,
        "if self._sent is not None and set(self._sent.offsets) == set(to_offsets(positions)):\n",
        "if self._sent is not None:\n",
        _commits("test_the_answer_to_a_commit_that_was_given_up_is_not_taken_for_the_next_ones"),
    ),
    Mutant(
        "what is there taken for a commit",
        "in a revoke a commit counts as made, whatever the group has committed",
        _COMMITS,
        "        if set(self._sent.offsets) == set(to_offsets(found)):\n",
        "        if found:\n",
        _commits("test_a_commit_that_did_not_arrive_is_not_seen_as_made"),
    ),
    Mutant(
        "stale epoch taken for a refusal",
        "a commit that is looked for fails when the group has just gone on, although it may have arrived",
        _COMMITS,
        "            if not passes(raised) and raised.args[0].code() not in STALE:\n",
        "            if not passes(raised):\n",
        _commits("test_a_stale_epoch_does_not_end_a_commit_that_is_looked_for"),
    ),
    Mutant(
        "refused partition counts as made",
        "a commit that the broker took for some of its partitions counts for all",
        _COMMITS,
        "self._end(error or next((position.error for position in positions if position.error is not None), None))",
        "self._end(error)",
        _commits("test_an_error_of_one_partition_alone_is_that_of_the_commit"),
    ),
    Mutant(
        "client's exception let out",
        "an error of a call that nobody makes again ends the process as a mistake of the program",
        "streamproc/kafka/errors.py",
        "        raise fatal(what, error) from raised\n",
        "        raise\n",
        NamedTests(("tests/unit/kafka/test_source_calls.py::test_no_code_gets_out_as_the_clients_own_exception",)),
    ),
)

FAKE = (
    Mutant(
        "fake: offsets of an aborted transaction kept",
        "the broker in memory lets them count",
        "streamproc/testing/broker/group_offsets.py",
        "            if found is None or not transaction.committed:\n",
        "            if found is None:\n",
        _SEEDS,
    ),
    Mutant(
        "fake: open transaction not waited for",
        "the broker in memory tells a successor offsets that a transaction may still move",
        "streamproc/testing/broker/group_offsets.py",
        "            if partition in self._pending:\n                raise RefusedError",
        "            if partition in self._pending and not partitions:\n                raise RefusedError",
        _SEEDS,
    ),
    Mutant(
        "fake: zombie not fenced",
        "the broker in memory takes what a predecessor of the slot writes",
        "streamproc/testing/broker/transactions.py",
        "        if found is None or found.epoch != epoch:\n",
        "        if found is None:\n",
        _SEEDS,
    ),
    Mutant(
        "fake: departures not looked at",
        "the source in memory commits for partitions that went away",
        "streamproc/testing/broker/asked_commits.py",
        "        if request.departures != self.departures:\n",
        "        if request.departures > self.departures:\n",
        _SEEDS,
    ),
    Mutant(
        "fake: unknown fate taken for an abort",
        "the sink in memory lets a commit without an answer be produced again",
        "streamproc/testing/broker/sink.py",
        "return FatalError(message, Fatal.FATE_UNKNOWN)",
        "return AbortedError(message)",
        _SEEDS,
    ),
    Mutant(
        "fake: delivery error swallowed",
        "the sink in memory goes on without an output that was not taken",
        "streamproc/testing/broker/sink.py",
        "                if self.broker.act() >= end:\n                    raise\n",
        "                if self.broker.act() >= end:\n                    return\n",
        _SEEDS,
    ),
)
