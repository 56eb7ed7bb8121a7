import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Other work shares the cores; waiting at barriers for a descheduled thread costs more than it gives."""
    torch.set_num_threads(1)
