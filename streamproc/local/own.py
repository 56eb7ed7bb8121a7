"""Servers that the user brings: their addresses stand in the environment or in the TOML file."""

from collections.abc import Mapping

from streamproc.local.server import Recipe
from streamproc.settings import Settings, users_settings, without_credentials


def named_by_user() -> Settings:
    """The settings without ``local.env``, so that what is set is set by the user."""
    return users_settings()


def is_own(recipe: Recipe, named: Settings, ours: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether the user set this server's address, to another than ``ours``: who reads ``local.env`` sets those."""
    section, name = recipe.setting
    if name not in getattr(named, section).model_fields_set:
        return False
    return address_of(recipe, named) != ours.get(section, {}).get(name)


def address_of(recipe: Recipe, settings: Settings) -> str:
    """The address in the settings, without credentials: a Redis url may hold a password."""
    section, name = recipe.setting
    value = getattr(getattr(settings, section), name)
    return without_credentials(value.get_secret_value() if hasattr(value, "get_secret_value") else str(value or ""))
