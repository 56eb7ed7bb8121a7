"""Users of the real Redis, with the rights that docs/configuration.md tells people to grant."""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import SecretStr
from redis import Redis

from streamproc.settings import RedisSettings

PAGE = Path(__file__).parents[1] / "docs" / "configuration.md"
OURS = (b"client|setinfo", "client|setinfo")
"""What the library says of itself on connecting; a refusal of that does not matter to it."""
Who = Literal["worker", "operator"]


def granted(who: Who) -> tuple[str, ...]:
    """The words of the page's rule for a user, behind its name."""
    (rule,) = re.findall(rf"^ACL SETUSER {who} (.+)$", PAGE.read_text("utf-8"), re.MULTILINE)
    return tuple(rule.split())


def commands(who: Who) -> tuple[str, ...]:
    """The commands among them."""
    return tuple(word[1:] for word in granted(who) if word.startswith("+"))


@contextmanager
def user(
    settings: RedisSettings, who: Who, without: Collection[str] = (), beside: Collection[str] = ()
) -> Iterator[RedisSettings]:
    """Settings of a user with these rights, without some commands and with others; gone afterwards."""
    assert settings.url is not None
    rules = [word for word in granted(who) if word[1:] not in without] + [f"+{one}" for one in beside]
    url = urlsplit(settings.url.get_secret_value())
    with Redis.from_url(settings.url.get_secret_value()) as redis:
        redis.execute_command("ACL", "SETUSER", who, "reset", *rules)
        redis.acl_log_reset()
        try:
            yield settings.model_copy(update={"url": SecretStr(f"redis://{who}:SECRET@{url.netloc}{url.path}")})
        finally:
            redis.acl_deluser(who)


def refused(redis: Redis) -> list[object]:
    """What Redis refused to its users since the last one came."""
    return [entry["object"] for entry in redis.acl_log() if entry["object"] not in OURS]
