"""What torch raises, as what it means to whoever planned the pass."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from streamproc.errors import Fatal, FatalError

CPU_ALLOCATOR = "DefaultCPUAllocator"
"""What torch's RuntimeError names where the host has no memory; that has no class of its own."""
LIBRARIES = ("CUBLAS_STATUS_", "CUDNN_STATUS_")
"""What it names where a library of CUDA's failed: no waveform's fault either."""
NO_ROOM = "_STATUS_ALLOC_FAILED"
"""Of one of those: it allocates beside torch."""


@contextmanager
def translated() -> Iterator[None]:
    """MemoryError for a device or host without memory, FatalError for a device that needs another process.

    After a fault on an accelerator each later call fails as well: whose data it was cannot be told, so nobody's is
    blamed.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryError(str(error)) from error
    except torch.AcceleratorError as error:
        raise FatalError(f"the device failed: {error}", Fatal.DEVICE_FAILS) from error
    except RuntimeError as error:
        problem = str(error)
        if CPU_ALLOCATOR in problem or NO_ROOM in problem:
            raise MemoryError(problem) from error
        if any(name in problem for name in LIBRARIES):
            raise FatalError(f"the device failed: {problem}", Fatal.DEVICE_FAILS) from error
        raise
