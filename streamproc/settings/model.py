"""What is set below ``model``."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from streamproc.kinds import Count, Number, Positive
from streamproc.settings.section import Section


class ModelSettings(Section):
    """The network and where it runs."""

    engine: Annotated[str, Field(pattern=r"^(streamproc|funasr|[A-Za-z_][\w.]*:[A-Za-z_]\w*)$")] = "streamproc"
    """What computes: `streamproc`; `funasr`, that program itself, clip by clip (an extra); or an analyzer of your own
    as `package.module:factory`, which is imported and run (docs/analyzers.md)."""
    name_or_dir: str = "demo"
    """A model of `streamproc model pull` by name, or a directory in FunASR's layout by path."""
    hub: Literal["huggingface", "modelscope"] = "huggingface"
    """Where `model pull` takes models from."""
    hub_url: SecretStr | None = None
    """A mirror of that hub, as in https://mirror.example.com."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """``auto`` is the CPU until the numbers of CUDA are measured against it; ``cuda`` is experimental."""
    precision: Literal["fp32", "bf16", "fp16", "int8"] = "fp32"
    """The same for the whole group: it is part of the fingerprint. `fp16` needs CUDA, `int8` the CPU;
    `model info --measure` tells what each gains and costs."""
    weights: Literal["fastest", "mapped"] = "fastest"
    """How they lie in memory: `fastest`, laid out by each process for itself as this CPU computes fastest; `mapped`, as
    they are in the file, which the processes of a host share and which starts sooner; products take up to twice as
    long, and nobody may write to the file meanwhile. `mapped` is for fp32 on a CPU."""
    threads: Number = 0
    """CPU threads of the device process; 0 means all cores of its affinity that its cgroup's CPU quota pays for."""
    max_batch_seconds: Positive = 60
    """Padded audio-seconds of one compute batch on an accelerator; on CPU clips run alone, which is faster there."""
    load_s: Positive = 240
    """A device process that is not warm after so long is killed and replaced. A disk may be cold and cores busy; but
    ``deaths_allowed`` of them have to fall into ``deaths_window_s``, or one that always hangs is never told."""
    stuck_s: Positive = 120
    """A warm one that has work and says nothing for so long is, too: some drivers hang."""
    deaths_allowed: Count = 3
    """So many deaths of the device process within ``deaths_window_s`` end the worker. One that had a single segment on
    it counts against that segment; so many segments (at least 2) in a row end the worker as well."""
    deaths_window_s: Positive = 600
