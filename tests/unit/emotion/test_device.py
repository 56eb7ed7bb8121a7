"""DeviceProcess with a real child: batches, bad items, deaths, refusals, and no orphan."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from streamproc.arena import Arena, Lease
from streamproc.emotion import load_model
from streamproc.emotion.device import DeviceProcess
from streamproc.emotion.device_child import MODULE
from streamproc.emotion.device_message import MAX_ITEMS, Start, encode_start
from streamproc.errors import ExitCode, Fatal, FatalError, NoRestartError
from streamproc.records.compute import BatchDone, DeviceDied, DeviceEvent, DeviceReady, ItemError, Scored, SegmentHandle
from streamproc.records.identity import ModelIdentity
from streamproc.settings import ModelSettings
from streamproc.worker.ports import Device

Wave = NDArray[np.float32]
PATIENCE_S = 90.0
"""A child imports torch first, which takes long where the cores are shared."""


@pytest.fixture(scope="module")
def arena() -> Iterator[Arena]:
    with closing(Arena(8)) as arena:
        yield arena


@pytest.fixture(scope="module")
def settings(directories: Callable[[str], Path]) -> ModelSettings:
    return ModelSettings(name_or_dir=str(directories("tiny")), device="cpu", threads=1)


@pytest.fixture(scope="module")
def device(settings: ModelSettings, arena: Arena) -> Iterator[DeviceProcess]:
    """One that served a while; each test leaves it ready."""
    with closing(DeviceProcess(settings, arena)) as device:
        device.start()
        wait(device, DeviceReady)
        yield device


def take(device: DeviceProcess, now: float = 0.0) -> list[DeviceEvent]:
    """What the device has to say next; sleeps on its descriptor as the worker does."""
    deadline = time.monotonic() + PATIENCE_S
    poll = select.poll()
    poll.register(device.fileno(), select.POLLIN)
    while not (events := list(device.take(now))):
        left = deadline - time.monotonic()
        assert left > 0, "the device process said nothing"
        poll.poll(1000 * left)
    return events


def wait(device: DeviceProcess, kind: type[DeviceEvent]) -> DeviceEvent:
    """The next event, which is of this kind."""
    [event] = take(device)
    assert isinstance(event, kind)
    return event


def put(arena: Arena, wave: Wave) -> SegmentHandle:
    lease = arena.lease()
    assert lease is not None
    arena.write(lease, wave)
    return SegmentHandle(lease, len(wave))


def kill(device: DeviceProcess) -> None:
    assert device.pid is not None
    os.kill(device.pid, signal.SIGKILL)


def test_it_has_the_shape_of_the_port(device: DeviceProcess) -> None:
    port: Device = device
    assert port.cost([16_000]) > 0
    assert port.most_items(16_000) == 1


def test_a_batch_gives_what_the_model_gives_and_bad_items_an_error(
    device: DeviceProcess, arena: Arena, settings: ModelSettings, clip: Callable[[int, int], Wave]
) -> None:
    waves = [clip(16_000, 1), clip(16_000, 2)[:100], np.full(8000, np.nan, np.float32), clip(9_000, 3)]
    handles = [put(arena, wave) for wave in waves]
    device.submit(7, handles)
    done = wait(device, BatchDone)
    for handle in handles:
        arena.release(handle.lease)

    assert isinstance(done, BatchDone)
    assert done.batch == 7
    assert done.seconds > 0
    expected = load_model(settings.name_or_dir, device="cpu").run(waves)
    for found, wanted in zip(done.items, expected, strict=True):
        if isinstance(wanted, ItemError):
            assert found == wanted
        else:
            assert isinstance(found, Scored)
            assert found.scores == pytest.approx(wanted.scores, abs=1e-6)
    assert [isinstance(item, ItemError) for item in done.items] == [False, True, True, False]


def test_a_child_that_was_killed_is_replaced_and_its_batch_can_run_again(
    device: DeviceProcess, arena: Arena, clip: Callable[[int, int], Wave]
) -> None:
    handle = put(arena, clip(16_000, 5))
    device.submit(1, [handle])
    before = wait(device, BatchDone)
    first = device.pid

    kill(device)
    device.submit(2, [handle])
    device.submit(3, [handle])
    died = wait(device, DeviceDied)
    assert isinstance(died, DeviceDied)
    assert died.batches == (2, 3)
    assert "status -9" in died.detail
    assert device.pid != first
    wait(device, DeviceReady)

    device.submit(2, [handle])
    again = wait(device, BatchDone)
    arena.release(handle.lease)
    assert isinstance(before, BatchDone)
    assert isinstance(again, BatchDone)
    # Each process picks its own products, so the two agree within the bound of fp32, not bit for bit.
    assert again.items[0] == pytest.approx(before.items[0], abs=1e-6)


def test_a_child_that_hangs_with_work_is_killed_and_replaced(device: DeviceProcess, arena: Arena) -> None:
    assert device.pid is not None
    os.kill(device.pid, signal.SIGSTOP)
    handle = put(arena, np.ones(8000, np.float32))
    device.submit(901, [handle])
    assert not device.take(1000.0)
    assert not device.take(1119.0)
    assert not device.take(1121.0)
    died = take(device, 1122.0)
    assert died == [DeviceDied((901,), died[0].detail)]  # type: ignore[union-attr]  # it is a DeviceDied
    arena.release(handle.lease)
    wait(device, DeviceReady)


def test_a_child_that_takes_the_place_of_a_silent_one_has_all_its_time(device: DeviceProcess, arena: Arena) -> None:
    assert device.take(5000.0) == []
    assert device.pid is not None
    os.kill(device.pid, signal.SIGSTOP)
    handle = put(arena, np.ones(8000, np.float32))
    device.submit(902, [handle])
    assert not device.take(5119.0)
    kill(device)
    [died] = take(device, 5119.0)
    assert isinstance(died, DeviceDied)
    device.submit(902, [handle])
    assert not device.take(5121.0)
    assert not device.take(5321.0), "what it has to load is no work that it hangs with"
    said: list[DeviceEvent] = []
    while not any(isinstance(event, BatchDone) for event in said):
        said += take(device, 5322.0)
    arena.release(handle.lease)
    assert [type(event) for event in said] == [DeviceReady, BatchDone]


def test_a_child_that_hangs_while_it_loads_is_killed_and_replaced(settings: ModelSettings, arena: Arena) -> None:
    with closing(DeviceProcess(settings, arena)) as device:
        device.start()
        assert device.pid is not None
        os.kill(device.pid, signal.SIGSTOP)
        for now in (0.0, 239.0, 241.0):
            assert not device.take(now)
        died = wait(device, DeviceDied)
        assert isinstance(died, DeviceDied)
        assert died.batches == ()
        assert "status -9" in died.detail


def test_more_than_the_socket_holds_waits_its_turn(device: DeviceProcess, arena: Arena) -> None:
    """What is too short is answered without the network, so many batches cost little."""
    assert device.pid is not None
    short = [put(arena, np.zeros(1, np.float32))] * MAX_ITEMS
    os.kill(device.pid, signal.SIGSTOP)
    for batch in range(400):
        device.submit(batch, short)
    assert device._unsent, "the socket took everything: the test must submit more"
    os.kill(device.pid, signal.SIGCONT)
    found: list[int] = []
    while len(found) < 400:
        found += [event.batch for event in take(device) if isinstance(event, BatchDone)]
    arena.release(short[0].lease)
    assert found == list(range(400))


def test_a_batch_that_breaks_the_contract_is_refused(device: DeviceProcess, arena: Arena) -> None:
    handle = put(arena, np.zeros(1, np.float32))
    for items in ([], [handle] * (MAX_ITEMS + 1)):
        with pytest.raises(ValueError, match="1 to 128 items"):
            device.submit(1, items)
    device.submit(1, [handle])
    with pytest.raises(ValueError, match="new number"):
        device.submit(1, [handle])
    wait(device, BatchDone)
    arena.release(handle.lease)


def test_the_descriptor_sleeps_while_nothing_happens(device: DeviceProcess) -> None:
    assert device.take(0.0) == []
    assert select.select([device.fileno()], [], [], 0.05) == ([], [], [])


def test_a_changed_model_is_fatal(device: DeviceProcess) -> None:
    known, profile = device._identity, device._profile
    assert known is not None
    assert profile is not None
    assert device._ready(known, profile) == DeviceReady(known)
    with pytest.raises(FatalError, match="the model changed"):
        device._ready(ModelIdentity(known.name, "0" * 64, known.precision, known.labels), profile)


def test_three_deaths_in_the_window_are_fatal(settings: ModelSettings, arena: Arena) -> None:
    with closing(DeviceProcess(settings, arena)) as device:
        device.start()
        for now in (0.0, 700.0):  # further apart than the window: the first one is forgiven
            kill(device)
            assert isinstance(take(device, now)[0], DeviceDied)
        kill(device)
        assert isinstance(take(device, 900.0)[0], DeviceDied)
        kill(device)
        with pytest.raises(FatalError, match=r"status -9, 3 times in 600 s") as caught:
            take(device, 1299.0)
        assert not isinstance(caught.value, NoRestartError)


def test_a_death_with_one_item_on_board_is_that_items_and_not_the_devices(
    settings: ModelSettings, arena: Arena
) -> None:
    with closing(DeviceProcess(settings.model_copy(update={"deaths_allowed": 1}), arena)) as device:
        device.start()
        wait(device, DeviceReady)
        stale = SegmentHandle(Lease(0, 999), 400)
        assert device.pid is not None
        os.kill(device.pid, signal.SIGSTOP)  # else it would have answered
        device.submit(1, [stale])
        kill(device)
        assert wait(device, DeviceDied) == DeviceDied((1,), "the device process ended with status -9")
        wait(device, DeviceReady)
        assert device.pid is not None
        os.kill(device.pid, signal.SIGSTOP)
        device.submit(1, [stale])
        device.submit(2, [stale])
        kill(device)
        with pytest.raises(FatalError, match="status -9, 1 times") as two_aboard:
            take(device)
    assert two_aboard.value.cause is Fatal.DEVICE_KILLED, "it may have been one of the two"


def killed_alone_with(device: DeviceProcess, item: SegmentHandle) -> DeviceEvent:
    """Let it die with one item on board; what it says of that. It is ready again before the next one."""
    assert device.pid is not None
    os.kill(device.pid, signal.SIGSTOP)  # else it would have answered
    device.submit(1, [item])
    kill(device)
    return wait(device, DeviceDied)


def test_a_device_that_dies_of_one_segment_after_the_other_is_fatal(settings: ModelSettings, arena: Arena) -> None:
    first, second = (SegmentHandle(Lease(0, generation), 400) for generation in (998, 999))
    with closing(DeviceProcess(settings.model_copy(update={"deaths_allowed": 2}), arena)) as device:
        device.start()
        for _ in range(3):  # of one it may die as often as that one is tried
            wait(device, DeviceReady)
            killed_alone_with(device, first)
        wait(device, DeviceReady)
        with pytest.raises(
            FatalError, match="status -9, of 2 segments that were alone on it, one after the other"
        ) as each:
            killed_alone_with(device, second)
    assert each.value.cause is Fatal.DEVICE_KILLED, "who takes it for blameless meets the same two for ever"


def test_a_batch_that_is_done_between_two_deaths_clears_the_device(
    settings: ModelSettings, arena: Arena, clip: Callable[[int, int], Wave]
) -> None:
    handle = put(arena, clip(16_000, 5))
    with closing(DeviceProcess(settings.model_copy(update={"deaths_allowed": 2}), arena)) as device:
        device.start()
        wait(device, DeviceReady)
        for generation in (997, 998):
            killed_alone_with(device, SegmentHandle(Lease(0, generation), 400))
            wait(device, DeviceReady)
            device.submit(2, [handle])
            done = wait(device, BatchDone)
            assert isinstance(done, BatchDone)
            assert (done.batch, len(done.items)) == (2, 1)
    arena.release(handle.lease)


def test_a_death_before_it_is_warm_is_the_devices(settings: ModelSettings, arena: Arena) -> None:
    with closing(DeviceProcess(settings.model_copy(update={"deaths_allowed": 1}), arena)) as device:
        device.start()
        device.submit(1, [SegmentHandle(Lease(0, 999), 400)])
        kill(device)
        with pytest.raises(FatalError, match="status -9, 1 times") as cold:
            take(device)
    assert cold.value.cause is Fatal.DEVICE_FAILS


def test_an_analyzer_of_too_many_labels_is_refused(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wordy.py").write_text(
        "from types import SimpleNamespace\n"
        "def make(options):\n"
        "    return SimpleNamespace(identity=SimpleNamespace(labels=tuple(map(str, range(65)))))\n",
        "utf-8",
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    with closing(DeviceProcess(ModelSettings(engine="wordy:make"), arena)) as device:
        device.start()
        with pytest.raises(NoRestartError, match="65 labels"):
            wait(device, DeviceReady)


def test_a_device_that_cannot_go_on_says_so_by_its_status(
    device: DeviceProcess, arena: Arena, clip: Callable[[int, int], Wave]
) -> None:
    """Here for a slot that is somebody else's: no recording's fault, as a death by a signal may be."""
    handle = put(arena, clip(16_000, 5))
    device.submit(1, [SegmentHandle(Lease(handle.lease.slot, 999), 16_000)])
    died = wait(device, DeviceDied)
    arena.release(handle.lease)
    assert isinstance(died, DeviceDied)
    assert f"status {ExitCode.FATAL:d}" in died.detail
    assert died.blameless
    wait(device, DeviceReady)


@pytest.mark.parametrize(("batches", "cause"), [(1, Fatal.DEVICE_KILLED), (2, Fatal.DEVICE_FAILS)])
def test_who_says_of_one_lone_segment_that_it_cannot_go_on_may_say_so_of_that_one(
    settings: ModelSettings, arena: Arena, batches: int, cause: Fatal
) -> None:
    """Who takes it for nobody's doing meets it again, for ever. Here for slots that are somebody else's."""
    with closing(DeviceProcess(settings.model_copy(update={"deaths_allowed": 1}), arena)) as device:
        device.start()
        wait(device, DeviceReady)
        assert device.pid is not None
        os.kill(device.pid, signal.SIGSTOP)  # so that both are on it
        for batch in range(batches):
            device.submit(batch, [SegmentHandle(Lease(0, 999), 16_000)])
        os.kill(device.pid, signal.SIGCONT)
        with pytest.raises(FatalError) as raised:
            wait(device, DeviceDied)
    assert raised.value.cause is cause


def test_a_checkpoint_that_is_refused_is_not_tried_again(settings: ModelSettings, arena: Arena, tmp_path: Path) -> None:
    with closing(DeviceProcess(settings.model_copy(update={"name_or_dir": str(tmp_path)}), arena)) as device:
        device.start()
        with pytest.raises(NoRestartError, match=r"refuses to serve.*configuration\.json"):
            take(device)


def test_it_must_be_started_and_ready(settings: ModelSettings, arena: Arena) -> None:
    with closing(DeviceProcess(settings, arena)) as device:
        assert device.pid is None
        with pytest.raises(ValueError, match="not started"):
            device.take(0.0)
        with pytest.raises(ValueError, match="not ready"):
            device.cost([1])


def gone(pid: int) -> bool:
    """Whether a process ended; as a zombie it has, whoever is to reap it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_close_leaves_no_child(settings: ModelSettings, arena: Arena) -> None:
    device = DeviceProcess(settings, arena)
    device.start()
    assert device.pid is not None
    pid = device.pid
    device.close()
    assert gone(pid)


PARENT = """
import select, sys
from streamproc.arena import Arena
from streamproc.emotion.device import DeviceProcess
from streamproc.settings import ModelSettings
device = DeviceProcess(ModelSettings(name_or_dir=sys.argv[1], device="cpu", threads=1), Arena(1))
device.start()
while not device.take(0.0):
    select.select([device.fileno()], [], [])
print(device.pid, flush=True)
sys.stdin.read()
"""


def test_a_parent_that_is_killed_leaves_no_child(settings: ModelSettings) -> None:
    command = [sys.executable, "-c", PARENT, settings.name_or_dir]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = json.loads(parent.stdout.readline())
        assert not gone(pid)
        parent.kill()
    deadline = time.monotonic() + 5
    while not gone(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_child_whose_parent_ended_while_it_was_read_in_loads_nothing(settings: ModelSettings, arena: Arena) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.close()
    model = (settings.engine, settings.name_or_dir, settings.device, settings.precision)
    with theirs:
        start = Start(
            theirs.fileno(), arena.descriptor, arena.slots, *model, settings.weights, 1, settings.max_batch_seconds
        )
        done = subprocess.run(
            [sys.executable, "-m", MODULE, encode_start(start)],
            pass_fds=(theirs.fileno(), arena.descriptor),
            capture_output=True,
            check=False,
            timeout=60,
        )
    assert (done.returncode, done.stderr) == (ExitCode.DONE, b"")
