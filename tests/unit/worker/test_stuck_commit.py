"""How long the loop waits for the answer to a commit before it takes its client for stuck."""

from typing import Literal

import pytest

from streamproc.chain import START_EXTRA_S
from streamproc.errors import Fatal, FatalError
from streamproc.settings import KafkaSettings, Settings
from streamproc.testing.codec import encode_event
from streamproc.testing.decoders import recording
from streamproc.testing.harness import WorkerHarness
from streamproc.worker.stages.commit import COMMIT_MARGIN_S, longest_commit_s

CALL_S = 7.0
"""Of ``kafka.transaction_timeout_s``: no sum of the other parts."""
Delivery = Literal["exactly_once", "at_least_once"]


def kafka(delivery: Delivery) -> KafkaSettings:
    return KafkaSettings(delivery=delivery, transaction_timeout_s=CALL_S)


def test_a_transaction_may_take_its_time_and_its_abort_the_same() -> None:
    commit_s = abort_s = CALL_S
    assert longest_commit_s(kafka("exactly_once")) == commit_s + abort_s + COMMIT_MARGIN_S


def test_at_least_once_outputs_the_polling_thread_and_the_commit_may_each_take_theirs() -> None:
    outputs_s = commit_s = CALL_S
    starts_s = CALL_S + START_EXTRA_S  # as the source is given to learn where partitions start
    assert longest_commit_s(kafka("at_least_once")) == outputs_s + starts_s + commit_s + COMMIT_MARGIN_S


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_a_client_is_stuck_only_past_that(delivery: Delivery) -> None:
    settings = Settings(kafka=kafka(delivery))
    worker = WorkerHarness(settings)
    worker.commits.at_once = False
    worker.assign(0)
    worker.store.put("recordings", "a", recording(1000), "audio/wav")
    worker.poll(worker.record(encode_event(object_key="a")))
    worker.settle()
    worker.clock.advance(longest_commit_s(settings.kafka) - 0.1)
    worker.pipeline.step()
    worker.clock.advance(0.2)
    with pytest.raises(FatalError, match="has not answered a commit") as stuck:
        worker.pipeline.step()
    assert stuck.value.cause is Fatal.CLIENT_STUCK
