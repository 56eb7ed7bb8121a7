"""What people call a recording, as far as a row knows."""

import json
from collections.abc import Mapping

FILE_NAME = "file_name"
"""The attribute that ``publish`` gives each event: the object's key is made of a hash, which nobody recognises."""


def file_name(attributes: Mapping[str, object]) -> str | None:
    """The name that the file had where it was published; None where the producer did not say."""
    found = attributes.get(FILE_NAME)
    return found if isinstance(found, str) and found else None


def file_name_of(attributes_json: str | None) -> str | None:
    """The same of a row, whose text any producer of results may have written."""
    try:
        found = json.loads(attributes_json or "{}")
    except ValueError:
        return None
    return file_name(found) if isinstance(found, dict) else None
