"""Addresses as they may be shown."""


def without_credentials(url: str) -> str:
    """An address that may be shown: a name and a password are left out, before an ``@`` or behind a ``?``."""
    scheme, mark, rest = url.partition("?")[0].rpartition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"
