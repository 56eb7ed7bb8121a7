import mmap
from pathlib import Path

import pytest
import torch

from streamproc.emotion.pages import Pages

PAGE = mmap.PAGESIZE // 4
"""Numbers of one page."""


def resident(address: int) -> int:
    """Bytes that are in memory of the mapping that an address is in."""
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        where, _, rest = line.partition(" ")
        if "-" in where:
            start, end = (int(part, 16) for part in where.split("-"))
            inside = start <= address < end
        elif inside and where == "Rss:":
            return 1024 * int(rest.split()[0])
    raise AssertionError("it is mapped nowhere")


@pytest.fixture
def mapped(tmp_path: Path) -> dict[str, torch.Tensor]:
    """Three tensors of one file, as a checkpoint's are, all of them read."""
    torch.save({name: torch.randn(64 * PAGE + 7) for name in ("before", "it", "behind")}, tmp_path / "weights.pt")
    tensors: dict[str, torch.Tensor] = torch.load(tmp_path / "weights.pt", weights_only=True, mmap=True)
    assert all(tensor.isfinite().all() for tensor in tensors.values())
    return tensors


def test_the_pages_of_a_mapped_tensor_are_given_back_and_come_again_when_they_are_asked_for(
    mapped: dict[str, torch.Tensor],
) -> None:
    expected = {name: tensor.clone() for name, tensor in mapped.items()}
    before = resident(mapped["it"].data_ptr())
    Pages.here().let_go(mapped["it"])
    assert before - resident(mapped["it"].data_ptr()) in {63 * mmap.PAGESIZE, 64 * mmap.PAGESIZE}
    assert all(torch.equal(tensor, expected[name]) for name, tensor in mapped.items())


def test_memory_of_our_own_is_kept() -> None:
    tensor = torch.randn(1024 * PAGE)
    expected = tensor.clone()
    Pages.here().let_go(tensor)
    assert torch.equal(tensor, expected)


def test_a_system_that_does_not_say_has_no_pages(tmp_path: Path, mapped: dict[str, torch.Tensor]) -> None:
    pages = Pages.here(tmp_path / "none")
    before = resident(mapped["it"].data_ptr())
    pages.let_go(mapped["it"])
    assert (pages.ranges, resident(mapped["it"].data_ptr())) == ((), before)
