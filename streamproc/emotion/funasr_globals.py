"""What FunASR does to the process that imports it, undone. Imports torch, not FunASR."""

import contextlib
import io
import logging
import os
import random
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def kept_globals() -> Iterator[None]:
    """Around FunASR's import, load or use: what the process has for all is afterwards what it was before.

    On import it gives the root logger a level and a handler, draws from Python's random numbers, sets environment
    variables and grows ``sys.path``; its ``AutoModel`` sets torch's number of threads and seeds every generator. What
    it prints is dropped: stdout may be somebody's table.
    """
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    threads, torch_state = torch.get_num_threads(), torch.get_rng_state()
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002  # the global one is what FunASR seeds
    environment, path = dict(os.environ), list(sys.path)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # its own, and those of the hundreds of modules that it imports
            yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        torch.set_num_threads(threads)
        torch.set_rng_state(torch_state)
        np.random.set_state(numpy_state)  # noqa: NPY002  # same
        random.setstate(python_state)
        sys.path[:] = path
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)
