"""What the checks find."""


class Violation(Exception):  # noqa: N818  # what was found, not a failure of the simulator
    """Raised when a guarantee does not hold: which one, and how it was seen."""

    def __init__(self, guarantee: str, what: str) -> None:
        super().__init__(f"{guarantee}: {what}")
        self.guarantee = guarantee
