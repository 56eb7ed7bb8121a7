"""Small JSON files that tell by themselves whether a byte of them was changed: by accident, not by a forger."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SEAL = "seal"
MAX_BYTES = 64 * 1024


def seal(body: Mapping[str, Any]) -> bytes:
    """The one text of ``body``, with the sha256 of it inside."""
    digest = hashlib.sha256(_text({**body})).hexdigest()
    return _text({**body, SEAL: digest})


def unseal(data: bytes) -> dict[str, Any] | None:
    """What was sealed; None when any byte of it is another one."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict):
        return None
    body.pop(SEAL, None)
    return body if seal(body) == data else None


def read_sealed(path: Path) -> dict[str, Any] | None:
    """What a sealed file holds; None when it was changed. Raises OSError when it cannot be read."""
    with path.open("rb") as file:
        return unseal(file.read(MAX_BYTES))


def write_sealed(path: Path, body: Mapping[str, Any]) -> None:
    """Put a sealed file in place: whole, or not at all. Raises OSError."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with scratch.open("wb") as file:
            file.write(seal(body))
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def _text(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"
