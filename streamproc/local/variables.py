"""Settings as the variables of another process."""

import json

from pydantic import SecretStr

from streamproc.settings import Settings


def environment(settings: Settings) -> dict[str, str]:
    """Every setting that is set, as the variables that say the same to another process.

    A setting that is None is left out: None is what a process has without it.
    """
    variables = {}
    for section in Settings.model_fields:
        values = getattr(settings, section)
        for name in values.model_fields_set:
            if (value := getattr(values, name)) is not None:
                variables[f"STREAMPROC_{section}__{name}".upper()] = _text(value)
    return variables


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return json.dumps(value) if isinstance(value, tuple) else str(value)
