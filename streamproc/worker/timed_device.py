"""The device with a time sheet: what it does with its time, and how full what it is given is."""

from collections.abc import Sequence

from streamproc.arena import SAMPLE_RATE
from streamproc.records.compute import BatchDone, DeviceDied, DeviceEvent, DeviceReady, SegmentHandle
from streamproc.telemetry.metrics import Content, Metrics
from streamproc.telemetry.timesheet import Activity, Sheet
from streamproc.worker.ports import DeviceChild


class TimedDevice:
    """Satisfies ``DeviceChild`` by another one. The device computes while a batch is on it, until its end is taken."""

    def __init__(self, device: DeviceChild, sheet: Sheet, metrics: Metrics) -> None:
        self._device = device
        self._sheet = sheet
        self._metrics = metrics
        self._open: dict[int, int] = {}
        """Batches on it, and the samples of each."""

    def start(self) -> None:
        """Spawn the child; DeviceReady says when it is warm."""
        self._sheet.enter(Activity.START)
        self._device.start()

    def fileno(self) -> int:
        """A descriptor that becomes readable when there is something to take."""
        return self._device.fileno()

    def close(self) -> None:
        """End the child."""
        self._device.close()

    def cost(self, lengths: Sequence[int]) -> float:
        """Predicted seconds for one batch of these lengths (samples)."""
        return self._device.cost(lengths)

    def most_items(self, longest: int) -> int:
        """How many items of at most ``longest`` samples one batch should hold on this device."""
        return self._device.most_items(longest)

    def submit(self, batch: int, items: Sequence[SegmentHandle]) -> None:
        """Queue a compute batch."""
        self._metrics.batch_fill.observe(len(items) / self._device.most_items(max(item.samples for item in items)))
        if not self._open:
            self._sheet.enter(Activity.COMPUTE)
        self._open[batch] = sum(item.samples for item in items)
        self._device.submit(batch, items)

    def take(self, now: float) -> Sequence[DeviceEvent]:
        """Events since the last take."""
        events = self._device.take(now)
        for event in events:
            match event:
                case DeviceReady():
                    self._sheet.enter(Activity.IDLE)
                case DeviceDied():
                    self._open.clear()
                    self._sheet.enter(Activity.START)
                case BatchDone(batch=batch, padding=padding):
                    self._done(self._open.pop(batch), padding)
        return events

    def _done(self, samples: int, padding: int) -> None:
        self._metrics.pass_audio_seconds[Content.AUDIO].inc(samples / SAMPLE_RATE)
        self._metrics.pass_audio_seconds[Content.PADDING].inc(padding / SAMPLE_RATE)
        if not self._open:
            self._sheet.enter(Activity.IDLE)
