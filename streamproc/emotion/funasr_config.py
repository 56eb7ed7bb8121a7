"""The text files of a FunASR model directory: config.yaml, configuration.json, tokens.txt.

FunASR evaluates the stem's description as Python and takes wrong types as they come. Here every value that shapes the
network has a type and a bound, and a switch that our network does not have must stand as the published models have it.
"""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from streamproc.emotion.errors import CheckpointError
from streamproc.emotion.layout import CONFIG, CONFIGURATION, TOKENS, WEIGHTS
from streamproc.emotion.network import Convolution, NetworkConfig

MAX_TEXT_BYTES = 64 * 1024
"""The published config.yaml has 5.5 KB; PyYAML takes a second for ten times this."""
MAX_SPEC = 1000
MAX_LAYERS = 32
MAX_LABELS = 64
"""128 items of so many scores still fit one message of the device process."""
_TRIPLE = r"\(\s*\d{1,5}\s*,\s*\d{1,5}\s*,\s*\d{1,5}\s*\)"
_TERM = re.compile(rf"\s*\[\s*({_TRIPLE}(?:\s*,\s*{_TRIPLE})*)\s*\]\s*(?:\*\s*(\d{{1,2}})\s*)?")
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")


class PlainLoader(yaml.SafeLoader):
    """Without aliases: a few lines of them stand for more than memory holds."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Refuse an alias."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not read, and no published model has any")
        return super().compose_node(parent, index)


def _published(value: float) -> float:
    if value != 4:  # noqa: PLR2004  # the network's blocks are built with this ratio
        raise ValueError("only 4 is known")
    return value


Size = Annotated[int, Field(strict=True, ge=1, le=1 << 14)]
Depth = Annotated[int, Field(strict=True, ge=0, le=128)]
Epsilon = Annotated[float, Field(gt=0, lt=1)]  # not strict: PyYAML reads the published `1e-05` as text


class _Audio(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    prenet_depth: Depth
    num_extra_tokens: Depth
    num_alibi_heads: Size
    conv_pos_depth: Size
    conv_pos_width: Size
    conv_pos_groups: Size
    feature_encoder_spec: Annotated[str, Field(strict=True, max_length=MAX_SPEC)]
    extractor_mode: Literal["layer_norm"]
    conv_pos_pre_ln: Literal[False]
    use_alibi_encoder: Literal[True]
    learned_alibi: Literal[False]
    learned_alibi_scale_per_head: Literal[True]
    learned_alibi_scale_per_layer: Literal[False]


class _Modalities(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    audio: _Audio


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    embed_dim: Size
    num_heads: Size
    depth: Depth
    mlp_ratio: Annotated[float, AfterValidator(_published)]
    norm_eps: Epsilon
    norm_affine: Literal[True]
    layer_norm_first: Literal[False]
    normalize: Literal[True]
    modalities: _Modalities


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    model: Literal["Emotion2vec"]
    model_conf: _Model


def parse_stem(spec: str) -> tuple[Convolution, ...]:
    """Read ``[(512, 10, 5)] + [(512, 3, 2)] * 4``: lists of (channels, kernel, stride), repeated and joined.

    Raises ValueError for anything else; nothing is evaluated.
    """
    layers: list[Convolution] = []
    for part in spec.split("+"):
        term = _TERM.fullmatch(part)
        if term is None:
            raise ValueError(f"feature_encoder_spec: {part.strip()!r} is no list of (channels, kernel, stride)")
        triples = re.findall(_TRIPLE, term[1])
        once = [Convolution(*map(int, re.findall(r"\d+", triple))) for triple in triples]
        layers += once * int(term[2] or 1)
    if not 1 <= len(layers) <= MAX_LAYERS:
        raise ValueError(f"feature_encoder_spec: {len(layers)} layers, not 1 to {MAX_LAYERS}")
    return tuple(layers)


def read_config(path: Path, classes: int) -> NetworkConfig:
    """The shape that a config.yaml describes. Raises CheckpointError naming each key that is missing or wrong."""
    remedy = "take the file that was published with these weights"
    try:
        conf = _Config.model_validate(yaml.load(read_text(path), PlainLoader)).model_conf  # noqa: S506  # a SafeLoader
        audio = conf.modalities.audio
        if audio.num_alibi_heads != conf.num_heads:
            raise CheckpointError(path, f"{audio.num_alibi_heads} ALiBi heads for {conf.num_heads} heads", remedy)
        return NetworkConfig(
            embed_dim=conf.embed_dim,
            heads=conf.num_heads,
            context_blocks=audio.prenet_depth,
            main_blocks=conf.depth,
            classes=classes,
            extra_tokens=audio.num_extra_tokens,
            pos_depth=audio.conv_pos_depth,
            pos_width=audio.conv_pos_width,
            pos_groups=audio.conv_pos_groups,
            stem=parse_stem(audio.feature_encoder_spec),
            norm_eps=conf.norm_eps,
        )
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise CheckpointError(path, faults, remedy) from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise CheckpointError(path, str(error), remedy) from error


def read_labels(path: Path) -> tuple[str | None, ...]:
    """English labels of tokens.txt in the order of the logits; None for the ``unuse_*`` lines of old revisions."""
    lines = read_text(path).splitlines()
    labels = tuple(None if line.startswith("unuse") else _english(line) for line in lines if line.strip())
    live = [label for label in labels if label is not None]
    if not 1 <= len(live) <= MAX_LABELS or "" in live or len(set(live)) != len(live):
        problem = f"labels {live[:MAX_LABELS]} are not 1 to {MAX_LABELS} distinct words"
        raise CheckpointError(path, problem, "write one `native/english` label a line")
    return labels


def _english(line: str) -> str:
    return "unknown" if line.strip() == "<unk>" else line.rpartition("/")[2].strip()


def read_paths(directory: Path) -> tuple[Path, Path, Path]:
    """Where configuration.json says that config, weights and tokens are: plain names inside the directory.

    A link that leads out of it is refused like a path that does.
    """
    path = directory / CONFIGURATION
    remedy = "take the file that was published with these weights"
    try:
        metas = json.loads(read_text(path))["file_path_metas"]
        names = (metas["config"], metas["init_param"], metas["tokenizer_conf"]["token_list"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(path, f"no file_path_metas as FunASR writes them ({error!r})", remedy) from error
    if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in names):
        raise CheckpointError(path, f"{names} are not plain file names", remedy)
    config, weights, tokens = (directory / name for name in names)
    for file in (path, config, weights, tokens):
        if not file.resolve().is_relative_to(directory.resolve()):
            raise CheckpointError(file, "is a link that leads out of the directory", "copy the file that it leads to")
    return config, weights, tokens


def read_text(path: Path) -> str:
    """A text file of at most 64 KiB. Raises CheckpointError."""
    try:
        with path.open("rb") as file:
            body = file.read(MAX_TEXT_BYTES + 1)
        if len(body) > MAX_TEXT_BYTES:
            raise CheckpointError(path, f"over {MAX_TEXT_BYTES} bytes", "this is not a FunASR model directory")
        return body.decode()
    except OSError as error:
        problem = error.strerror or "cannot be read"
        raise CheckpointError(path, problem, "name a directory with the files that FunASR publishes") from error
    except UnicodeDecodeError as error:
        raise CheckpointError(path, "not UTF-8", "take the file that was published with these weights") from error


def write_texts(directory: Path, config: NetworkConfig, tokens: tuple[str, ...]) -> None:
    """Write the three text files so that FunASR's ``AutoModel(model=directory)`` builds the same network."""
    body = {
        "model": "Emotion2vec",
        "model_conf": _model_conf(config),
        "tokenizer": "CharTokenizer",
        "tokenizer_conf": {"unk_symbol": "<unk>", "split_with_space": True},
        "scope_map": ["d2v_model.", "none"],
    }
    (directory / CONFIG).write_text(yaml.safe_dump(body, sort_keys=False), encoding="utf-8")
    metas = {"init_param": WEIGHTS, "tokenizer_conf": {"token_list": TOKENS}, "config": CONFIG}
    about = {"framework": "pytorch", "task": "emotion-recognition", "model": {"type": "funasr"}}
    (directory / CONFIGURATION).write_text(json.dumps({**about, "file_path_metas": metas}, indent=2) + "\n")
    (directory / TOKENS).write_text("".join(f"{token}\n" for token in tokens), encoding="utf-8")


def _model_conf(config: NetworkConfig) -> dict[str, Any]:
    """All keys that FunASR's constructor reads, the training-only ones at the published values or off."""
    stem = ", ".join(str(tuple(layer)) for layer in config.stem)
    audio = {
        "type": "AUDIO",
        "prenet_depth": config.context_blocks,
        "prenet_layerdrop": 0.0,
        "prenet_dropout": 0.0,
        "start_drop_path_rate": 0.0,
        "end_drop_path_rate": 0.0,
        "num_extra_tokens": config.extra_tokens,
        "init_extra_token_zero": True,
        "mask_prob": 0.5,
        "mask_length": 5,
        "inverse_mask": False,
        "local_grad_mult": 1.0,
        "use_alibi_encoder": True,
        "alibi_scale": 1.0,
        "learned_alibi": False,
        "alibi_max_pos": None,
        "learned_alibi_scale": True,
        "learned_alibi_scale_per_head": True,
        "learned_alibi_scale_per_layer": False,
        "num_alibi_heads": config.heads,
        "model_depth": config.main_blocks,
        "decoder": None,
        "extractor_mode": "layer_norm",
        "feature_encoder_spec": f"[{stem}]",
        "conv_pos_depth": config.pos_depth,
        "conv_pos_width": config.pos_width,
        "conv_pos_groups": config.pos_groups,
        "conv_pos_pre_ln": False,
    }
    return {
        "embed_dim": config.embed_dim,
        "num_heads": config.heads,
        "depth": config.main_blocks,
        "mlp_ratio": 4.0,
        "norm_eps": config.norm_eps,
        "norm_affine": True,
        "layer_norm_first": False,
        "normalize": True,
        "encoder_dropout": 0.0,
        "attention_dropout": 0.0,
        "activation_dropout": 0.0,
        "post_mlp_drop": 0.0,
        "dropout_input": 0.0,
        "layerdrop": 0.0,
        "start_drop_path_rate": 0.0,
        "end_drop_path_rate": 0.0,
        "end_of_block_targets": False,
        "average_top_k_layers": config.main_blocks,
        "loss_beta": 0.0,
        "loss_scale": None,
        "clone_batch": 1,
        "supported_modality": "AUDIO",
        "modalities": {"audio": audio},
    }
