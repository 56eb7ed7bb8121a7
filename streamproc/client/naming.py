"""Names that follow from what is named: the same recording is stored once, however often it is published."""

import hashlib
import json
import mimetypes
import re
import uuid
from pathlib import PurePath

from streamproc.records.recording import EVENT_NAMESPACE, RecordingEvent

_EXTENSION = re.compile(r"\.[a-z0-9]{1,8}")
_UNKNOWN_TYPE = "application/octet-stream"
_TYPES = mimetypes.MimeTypes()  # Python's own table, not the computer's: a name means the same everywhere


def object_key(content_sha256: str, name: str) -> str:
    """A key made of the content's hash, with the extension of ``name`` where that is a plain one."""
    extension = PurePath(name).suffix.lower()
    return f"sha256/{content_sha256}{extension if _EXTENSION.fullmatch(extension) else ''}"


def content_type(name: str) -> str:
    """The media type that an extension stands for. A hint to people: the worker looks at the bytes."""
    return _TYPES.guess_type(name)[0] or _UNKNOWN_TYPE


def event_id(event: RecordingEvent) -> str:
    """UUIDv5 of everything that an event declares, so that publishing it again is known for a repeat.

    Left out is what the store adds, which may differ when the same recording is stored again.
    """
    declared = event.plain() | {"event_id": "", "version_id": None, "etag": None}
    text = json.dumps(declared, sort_keys=True, ensure_ascii=True)
    return str(uuid.uuid5(EVENT_NAMESPACE, hashlib.sha256(text.encode()).hexdigest()))
