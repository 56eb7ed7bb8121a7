"""The wall clock of one recording in a decoder child."""

from streamproc.audio.limits import Limits


class Timer:
    """Runs but while the child waits for a slot; what it allows grows with the audio that was found."""

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._audio_s = 0.0
        self._used_s = 0.0
        self._since: float | None = now

    def reached(self, audio_s: float) -> None:
        """There are at least so many seconds of audio."""
        self._audio_s = max(self._audio_s, audio_s)

    def pause(self, now: float) -> None:
        """The child waits for us."""
        if self._since is not None:
            self._used_s += now - self._since
            self._since = None

    def resume(self, now: float) -> None:
        """The child works again."""
        self._since = now

    @property
    def allowed_s(self) -> float:
        """Seconds that it may run in all."""
        return self._limits.allowed_s(self._audio_s)

    @property
    def deadline(self) -> float | None:
        """When it runs out; None while it stands still."""
        return None if self._since is None else self._since + self.allowed_s - self._used_s
