"""The schema registry: a client, and what its answers mean."""

from collections.abc import Callable
from typing import Self, TypeVar

from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.common._httpx_compat import httpx  # the one way to the HTTP library it chose
from confluent_kafka.schema_registry.error import SchemaRegistryError

from streamproc.errors import DependencyDownError, DependencyRefusesError, StreamprocError, UsageError
from streamproc.settings import RegistrySettings, without_credentials

T = TypeVar("T")
NAME = "schema registry"
_RETRIES = 1
_RETRY_MS = 200
_NOT_FOUND = frozenset({40401, 40402, 40403})
"""Subject, version, schema not found. A bare 404 is a wrong address, which is no record's fault."""
_INVALID = 422
_CONFLICT = 409


class UnknownSchemaError(StreamprocError):
    """Raised when the registry is there and does not have what was asked for."""


class RefusedSchemaError(StreamprocError):
    """Raised when the registry will not take a schema."""


class Registry(SchemaRegistryClient):
    """A client that knows where it leads to."""

    def __init__(self, config: dict[str, object], address: str) -> None:
        super().__init__(config)
        self.address = address

    def __enter__(self) -> Self:
        return self


def connect(settings: RegistrySettings) -> Registry:
    """A client that gives up after the timeout of the settings, twice. Raises UsageError for what is no address."""
    config: dict[str, object] = {
        "url": settings.url,
        "timeout": settings.timeout_s,
        "max.retries": _RETRIES,
        "retries.wait.ms": _RETRY_MS,
    }
    if settings.username is not None and settings.password is not None:
        config["basic.auth.user.info"] = f"{settings.username}:{settings.password.get_secret_value()}"
    try:
        return Registry(config, without_credentials(settings.url))
    except ValueError:  # it may hold credentials, so it is not shown
        raise UsageError("registry.url is not http(s)://host[:port]") from None


def ask(registry: Registry, call: Callable[[], T]) -> T:
    """Make one request.

    Raises UnknownSchemaError and RefusedSchemaError for answers about schemas; DependencyDownError for everything else,
    as DependencyRefusesError where something answered. None of that is said about a record.
    """
    try:
        return call()
    except SchemaRegistryError as error:
        if error.error_code in _NOT_FOUND:
            raise UnknownSchemaError(str(error)) from None
        if error.http_status_code in {_CONFLICT, _INVALID}:
            raise RefusedSchemaError(str(error)) from None
        unknown = error.error_code == SchemaRegistryError.UNKNOWN  # then its text is the whole page
        told = f"HTTP {error.http_status_code}, which is no registry's answer" if unknown else str(error)
        raise DependencyRefusesError(NAME, _said(registry, told)) from error
    except ValueError as error:  # an answer that is no registry's
        raise DependencyRefusesError(NAME, _said(registry, f"{type(error).__name__}: {error}")) from error
    except httpx.HTTPError as error:
        raise DependencyDownError(NAME, _said(registry, f"{type(error).__name__}: {error}")) from error


def _said(registry: Registry, detail: str) -> str:
    return f"{registry.address} (registry.url): {detail:.256}"
