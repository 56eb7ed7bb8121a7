"""FunASR's own network of a model directory, as plain data: what it is built from, and nothing else of config.yaml.

FunASR reads the file with OmegaConf and merges all of it into its arguments: a published directory could ask for code
of its own (``trust_remote_code``), for further models from a hub (``vad_model``), or for variables of the environment
(``${oc.env:...}``), and ``feature_encoder_spec`` is evaluated as Python. Only ``model_conf`` is taken from here.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from streamproc.emotion.errors import CheckpointError
from streamproc.emotion.funasr_config import MAX_SPEC, Depth, PlainLoader, Size, parse_stem, read_text
from streamproc.emotion.network import field

_REMEDY = "take the file that was published with these weights"
_MAX_NESTING = 8


class _Loader(PlainLoader):
    """Reads ``1e-05`` as a number, as OmegaConf does; PyYAML takes it for text."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+"), list("-+0123456789")
)


class _Audio(BaseModel):
    """What a number too many would cost time or memory for, before the weights could tell that it is wrong."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    prenet_depth: Depth
    num_extra_tokens: Depth
    num_alibi_heads: Size
    conv_pos_depth: Annotated[int, Field(strict=True, ge=1, le=64)]
    conv_pos_width: Size
    conv_pos_groups: Size
    learned_alibi: Literal[False]  # FunASR 1.4.16 has the code, and cannot run it
    feature_encoder_spec: Annotated[str, Field(strict=True, max_length=MAX_SPEC)]


class _Modalities(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    audio: _Audio


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    embed_dim: Size
    num_heads: Size
    depth: Depth
    mlp_ratio: Annotated[float, Field(gt=0, le=16)]
    modalities: _Modalities


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    model: Literal["Emotion2vec"]
    """The one class of FunASR 1.4.16 that gives scores of emotions."""
    model_conf: _Model


@dataclass(frozen=True, slots=True)
class FunasrShape:
    """``conf`` is the argument ``model_conf`` of FunASR's class."""

    conf: dict[str, Any]
    min_samples: int
    """What one frame takes."""


def read_shape(path: Path) -> FunasrShape:
    """Read config.yaml. Raises CheckpointError naming each key that is missing or wrong."""
    try:
        body = yaml.load(read_text(path), _Loader)  # noqa: S506  # a SafeLoader
        audio = _Config.model_validate(body).model_conf.modalities.audio
        stem = parse_stem(audio.feature_encoder_spec)
        conf = _plain(body["model_conf"], "model_conf")
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise CheckpointError(path, faults, _REMEDY) from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise CheckpointError(path, str(error), _REMEDY) from error
    # Evaluated by FunASR: this text is ours. The decoder is for training, and no published file has its weights.
    conf["modalities"]["audio"] |= {"feature_encoder_spec": str([tuple(layer) for layer in stem]), "decoder": None}
    return FunasrShape(conf, field(1, stem))


def _plain(value: Any, where: str, nesting: int = 0) -> Any:
    """Numbers, words, lists and mappings of them. Raises ValueError for anything else."""
    if nesting > _MAX_NESTING:
        raise ValueError(f"{where}: nested too deeply")
    match value:
        case dict():
            if strange := [key for key in value if not isinstance(key, str)]:
                raise ValueError(f"{where}: {strange[0]!r:.40} is no name")
            return {key: _plain(one, f"{where}.{key}", nesting + 1) for key, one in value.items()}
        case list():
            return [_plain(one, where, nesting + 1) for one in value]
        case str() if "${" in value:
            raise ValueError(f"{where}: interpolations are not read")
        case None | bool() | int() | float() | str():
            return value
        case _:
            raise ValueError(f"{where}: {type(value).__name__} is neither number nor text")
