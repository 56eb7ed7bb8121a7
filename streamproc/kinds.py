"""What settings take: each kind with its check, and in words for people."""

import json
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

_LAST_PORT = 65_535
_REDIS = re.compile(
    r"rediss?://([^/?#]*@)?(\[[0-9A-Fa-f:.]+\]|[^/?#\s:@\[\]]+)(:(?P<port>[0-9]{1,5})?)?(/([0-9]+/?)?)?(\?\S*)?"
    r"|unix://([^/?#]*@)?/\S+"
)
"""Two slashes and its own letters alone, as the client has them."""


def _listed(value: object) -> object:
    """The list that a variable holds as JSON."""
    if not isinstance(value, str):
        return value
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise ValueError("no list")  # noqa: TRY004  # pydantic's way
    return found


def _number(value: object) -> object:
    """Refuse what pydantic would take for 1 or 0."""
    if isinstance(value, bool):
        raise ValueError("this is a number, not true or false")  # noqa: TRY004  # pydantic's way
    return value


def _different(names: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a name that is there twice: what is counted by names would be counted twice."""
    if len(set(names)) < len(names):
        raise ValueError("one is there twice")
    return names


def _of_redis(url: SecretStr | None) -> SecretStr | None:
    """Refuse what the client would refuse once it is used, or take for another database than is written."""
    if url is not None and url.get_secret_value():
        found = _REDIS.fullmatch(url.get_secret_value())
        if found is None or int(found["port"] or 0) > _LAST_PORT:
            raise ValueError("no address")
    return url


def _ascending(delays: tuple[float, float]) -> tuple[float, float]:
    """Refuse a second lane that is no slower than the first: what is not well soon is given more time, not less."""
    if delays[0] >= delays[1]:
        raise ValueError("not ascending")
    return delays


Name = Annotated[str, Field(min_length=1, description="text that is not empty")]
Topic = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9._-]{1,230}$", description="1 to 230 of the characters A-Z a-z 0-9 . _ -")
]
"""As Kafka takes them, with room for the ends of the lanes' names."""
Positive = Annotated[float, BeforeValidator(_number), Field(gt=0, allow_inf_nan=False, description="a number over 0")]
Share = Annotated[float, BeforeValidator(_number), Field(gt=0, le=1, description="a number over 0, at most 1")]
NotNegative = Annotated[
    float, BeforeValidator(_number), Field(ge=0, allow_inf_nan=False, description="a number, 0 or over")
]
Count = Annotated[int, BeforeValidator(_number), Field(ge=1, description="a whole number, at least 1")]
Number = Annotated[int, BeforeValidator(_number), Field(ge=0, description="a whole number, at least 0")]
Port = Annotated[
    int, BeforeValidator(_number), Field(ge=0, le=_LAST_PORT, description="a port: a whole number from 0 to 65535")
]
WEB_ADDRESS = "an address that begins with http:// or https:// and a host"
WebAddress = Annotated[str, Field(pattern=r"(?i)^https?://([^/?#\s]*@)?[^/?#\s:@]", description=WEB_ADDRESS)]
MaybeWebAddress = Annotated[WebAddress | None, Field(description=WEB_ADDRESS)]
"""None where it is not used."""
RedisAddress = Annotated[
    SecretStr | None,
    AfterValidator(_of_redis),
    Field(
        description="an address that begins with redis:// or rediss:// and a host, as in redis://host:6379/0, or with "
        "unix:// and a path; or empty"
    ),
]
Names = Annotated[
    tuple[str, ...],
    BeforeValidator(_listed),
    Field(description='a list of names, as in ["a", "b"]; in a variable as a JSON list'),
]
Attributes = Annotated[
    tuple[Literal["tenant", "agent", "queue", "language"], ...],
    BeforeValidator(_listed),
    AfterValidator(_different),
    Field(
        description="a list of tenant, agent, queue and language, each once at most; in a variable as a JSON list, as "
        'in ["agent"]'
    ),
]
Delay = Annotated[float, BeforeValidator(_number), Field(gt=0, le=86_400)]
"""A lane keeps its records for days, not for ever: one that is due after them would be lost (G1)."""
Delays = Annotated[
    tuple[Delay, Delay],
    BeforeValidator(_listed),
    AfterValidator(_ascending),
    Field(
        description="a list of two numbers of seconds, the second larger than the first, each over 0 and at most "
        "86400, as in [10, 300]; in a variable as a JSON list"
    ),
]
