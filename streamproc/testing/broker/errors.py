"""What the broker answers when it does not do what it was asked."""

from enum import StrEnum

from streamproc.errors import StreamprocError


class Refusal(StrEnum):
    """Kafka's names of the errors that matter to a worker."""

    UNKNOWN_MEMBER_ID = "UNKNOWN_MEMBER_ID"
    FENCED_MEMBER_EPOCH = "FENCED_MEMBER_EPOCH"
    STALE_MEMBER_EPOCH = "STALE_MEMBER_EPOCH"
    ILLEGAL_GENERATION = "ILLEGAL_GENERATION"
    UNSTABLE_OFFSET_COMMIT = "UNSTABLE_OFFSET_COMMIT"
    PRODUCER_FENCED = "PRODUCER_FENCED"
    MESSAGE_TOO_LARGE = "MESSAGE_TOO_LARGE"


class RefusedError(StreamprocError):
    """Raised when the broker answered, and the answer is no."""

    def __init__(self, refusal: Refusal, detail: str) -> None:
        super().__init__(f"{refusal}: {detail}")
        self.refusal = refusal


class BrokerUnavailable(ConnectionError):  # noqa: N818  # the state of the broker, and a name that simulations raise by hand
    """Raised when no broker answers; raised by a ``point`` too, to cut one call off."""
