"""Mistakes when partitions come and go, and when a worker ends."""

from tools.mutants.mutant import Mutant, NamedTests, Simulator

_SEEDS = Simulator(1000)
_PIPELINE_TESTS = NamedTests(("tests/unit/worker/test_pipeline.py",))
_RUNTIME_TESTS = NamedTests(("tests/unit/worker/test_runtime.py",))
_ADMISSION_TESTS = NamedTests(("tests/unit/worker/test_admission.py",))
_PARKING_TESTS = NamedTests(("tests/unit/worker/core/test_parking_model.py",))
_RETRY = "streamproc/worker/core/retry.py"
_PIPELINE = "streamproc/worker/pipeline.py"
_POLLER = "streamproc/worker/poller.py"
_RUNTIME = "streamproc/worker/runtime.py"
_ADMIT = "streamproc/worker/stages/admit.py"

REBALANCE = (
    Mutant(
        "revoke ignored",
        "partitions are given back, and worked on as before",
        _POLLER,
        "        self._tell(Revoking(tuple(partitions), settled))\n"
        "        with at(self._sheet, Activity.REVOKE):\n"
        "            in_time = self._await(settled, began)\n"
        "        self._ownership.drop(partitions)\n"
        "        self._tell(Gone(tuple(partitions)))\n",
        "        in_time = not settled.is_set()\n",
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
        "revoked too late is ours",
        "a commit that is tried again after a revoke had spent its budget takes what was given back",
        _POLLER,
        "        in_time = self._await(settled, began)\n        self._ownership.drop(partitions)\n",
        "        in_time = self._await(settled, began)\n",
        NamedTests(
            ("tests/unit/worker/test_runtime.py::test_a_commit_tried_again_leaves_out_what_a_late_revoke_gave_back",)
        ),
    ),
    Mutant(
        "an error leaves no group",
        "partitions of a worker that ended of an error are nobody's until its session is over",
        _RUNTIME,
        "        while self._poller.running and self._clock.monotonic() < until:\n",
        "        while self._poller.running and self._clock.monotonic() < until - LEAVE_S:\n",
        _RUNTIME_TESTS,
    ),
    Mutant(
        "a revoke outlasts the worker",
        "a worker that ended of an error leaves its group when the drain is over that nobody works on",
        _POLLER,
        "            if self._clock.monotonic() >= began + self._revoke_s:\n",
        "            if self._clock.monotonic() >= began + self._flow.drain_s:\n",
        _RUNTIME_TESTS,
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
        _RUNTIME,
        "            if pipeline.settled(revoking.partitions):\n",
        "            if pipeline.settled(()):\n",
        _RUNTIME_TESTS,
    ),
    Mutant(
        "revoke without a budget",
        "a revoke waits for what is on its way, however long that takes",
        _POLLER,
        "            if self._clock.monotonic() >= began + self._revoke_s:\n                return False\n",
        "",
        _SEEDS,
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
        "takewhile(self._ends_soon, self._batches)}\n"
        "        for partition in partitions:\n"
        "            keeping = True\n"
        "            for batch, taken in list(self._batches.entries(partition)):\n"
        "                if batch is self._commit.committing:\n"
        "                    continue\n"
        "                keeping = keeping and batch.ident in soon\n",
        "filter(self._ends_soon, self._batches)}\n"
        "        for partition in partitions:\n"
        "            for batch, taken in list(self._batches.entries(partition)):\n"
        "                if batch is self._commit.committing:\n"
        "                    continue\n"
        "                keeping = batch.ident in soon\n",
        _PIPELINE_TESTS,
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
        "self._backlog.keep(lambda waiting: _source(waiting) not in partitions)",
        "self._backlog.keep(lambda waiting: _source(waiting) in partitions or True)",
        _ADMISSION_TESTS,
    ),
    Mutant(
        "forgotten refusal is unforeseen",
        "a schema id whose refusal made room for another's between two questions ends the worker",
        _ADMIT,
        "        except UnresolvedError:\n            return None",
        "        except UnresolvedError:\n            raise",
        NamedTests(("tests/unit/worker/test_pipeline.py::test_a_forgotten_refusal_is_asked_for_again",)),
    ),
    Mutant(
        "nobody served without room",
        "while nothing more is taken, commits at least once wait until the pause that follows",
        _POLLER,
        "                source.serve()\n                with at(self._sheet, Activity.BLOCKED):\n",
        "                with at(self._sheet, Activity.BLOCKED):\n",
        NamedTests(
            ("tests/unit/worker/test_runtime.py::test_what_other_threads_ask_of_the_source_is_served_without_room",)
        ),
    ),
    Mutant(
        "a worker ends by itself",
        "a worker whose partitions went elsewhere takes that for its end, which is as clean as if it had been asked",
        _RUNTIME,
        "                    pipeline.lose(partitions)\n",
        "                    pipeline.lose(partitions)\n"
        "                    self._stopping = self._stopping or not self._ownership.partitions()\n",
        _SEEDS,
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
        "a stop without a bound",
        "a group that cannot be left holds a stop up for ever",
        _RUNTIME,
        "                self._leave_until = drain_until + LEAVE_S\n",
        "                self._leave_until = math.inf\n",
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
