"""Read what is written: variables, ``local.env``, the TOML file."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

from streamproc.refusal import impossible, read_sections, strays
from streamproc.settings.local import LOCAL_ENV, LocalSettings
from streamproc.settings.settings import Settings, clashes
from streamproc.written import CONFIG, Written, from_arguments, from_local_env, from_toml, from_variables

_log = logging.getLogger(__package__)


def load_settings(**overrides: object) -> Settings:
    """Read the settings once. Raises UsageError naming each setting that is wrong, where it stands, and why.

    A variable that looks like ours and is none is told as a warning.
    """
    if others := strays(os.environ, Settings).others:
        _log.warning("ignored: %s. Settings are STREAMPROC_<SECTION>__<NAME>", ", ".join(others))
    return _load(overrides, with_local_env=True)


def users_settings() -> Settings:
    """The settings without ``local.env``, so that what is set is set by the user. Raises UsageError."""
    return _load({}, with_local_env=False)


def _load(arguments: Mapping[str, object], *, with_local_env: bool) -> Settings:
    written = _read(arguments, with_local_env=with_local_env)
    read = read_sections(written, Settings)

    def origin(name: str) -> str:
        entry = written.get(tuple(name.split(".")))
        return f" ({entry.place()})" if entry else " (by default)"

    together = clashes(SimpleNamespace(**read.sections), origin, read.wrong)
    if problems := [*strays(os.environ, Settings).slips, *read.problems, *together]:
        raise impossible(problems)
    return Settings.model_validate(read.sections)


def _read(arguments: Mapping[str, object], *, with_local_env: bool) -> Written:
    """What is written anywhere; the later outranks the earlier."""
    file = os.environ.get(CONFIG)
    toml = from_toml(Path(file)) if file else {}
    above = {**from_variables(os.environ, Settings.model_fields), **from_arguments(arguments)}
    entry = {**toml, **above}.get(("local", "state_dir"))
    folder = Path(str(entry.value)) if entry else LocalSettings().state_dir
    local = from_local_env(folder / LOCAL_ENV, Settings.model_fields) if with_local_env else {}
    return {**toml, **local, **above}
