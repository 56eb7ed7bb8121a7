"""Which analyzer the device process serves: the setting ``model.engine``. Free of torch until one is loaded."""

from importlib import import_module
from importlib.util import find_spec

from streamproc.analyzer import Analyzer, AnalyzerOptions, Factory
from streamproc.cores import cores
from streamproc.emotion.precision import FASTEST
from streamproc.errors import UsageError

OURS, FUNASR = "streamproc", "funasr"


def funasr_installed() -> bool:
    """Whether FunASR is here: it is an extra, and a dependency of development."""
    return find_spec(FUNASR) is not None


def check_engine(engine: str) -> None:
    """Raise UsageError for one that is known not to be installed. Imports nothing."""
    if engine == FUNASR and not funasr_installed():
        raise UsageError(
            "model.engine is funasr, which is not installed: run `pip install '.[funasr]'` in a clone of streamproc, "
            "or set model.engine to streamproc, which runs the same models"
        )


def load_analyzer(engine: str, options: AnalyzerOptions) -> Analyzer:
    """Load it. Raises UsageError, CheckpointError, or what a factory raises."""
    check_engine(engine)
    if engine in {OURS, FUNASR}:
        return _load_emotion(engine, options)
    module, _, name = engine.partition(":")
    try:
        make: Factory = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"model.engine is {engine}, which cannot be imported: {error}") from error
    return make(options)


def _load_emotion(engine: str, options: AnalyzerOptions) -> Analyzer:
    import torch  # noqa: PLC0415  # an analyzer of somebody else's may need none

    torch.set_num_threads(options.threads or cores())
    if engine == OURS:
        from streamproc.emotion.model import load_model  # noqa: PLC0415  # same

        return load_model(
            options.model,
            options.device,
            options.precision,
            weights=options.weights,
            max_batch_seconds=options.max_batch_seconds,
        )
    if options.weights != FASTEST:
        raise UsageError("model.engine is funasr, which reads weights its own way: leave model.weights unset")
    from streamproc.emotion.funasr_model import load_funasr  # noqa: PLC0415  # same

    return load_funasr(options.model, options.device, options.precision)
