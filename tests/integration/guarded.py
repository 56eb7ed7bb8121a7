"""A broker that asks for rights: one that nobody has forbidden anything yet."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it re-exports these without saying so to mypy
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from streamproc.local.kafka import KafkaRecipe
from streamproc.local.server import Place, Server
from streamproc.local.stack import down, up
from streamproc.local.toolbox import Toolbox
from streamproc.settings import Settings
from tests.conftest import nothing_more, unheard

ANSWER_S = 60
AUTHORIZER = """authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true
"""


class GuardedKafka(KafkaRecipe):
    """The local broker, with an authorizer."""

    def describe(self, box: Toolbox, place: Place, settings: Settings) -> Server:
        server = KafkaRecipe.describe(self, box, place, settings)
        with (place.folder / "server.properties").open("a") as file:
            file.write(AUTHORIZER)
        return server


@contextmanager
def guarded(settings: Settings, folder: Path) -> Iterator[Settings]:
    """The settings, with such a broker in place of theirs."""
    local = settings.local.model_copy(update={"state_dir": folder})
    recipes = [GuardedKafka()]
    mine = Settings(local=local)
    try:
        kafka = up(mine, unheard, nothing_more, recipes).settings.kafka
        address = {"bootstrap_servers": kafka.bootstrap_servers}
        yield settings.model_copy(update={"kafka": settings.kafka.model_copy(update=address)})
    finally:
        down(mine, unheard, recipes=recipes)


def forbid(settings: Settings, kind: ResourceType, name: str, operation: AclOperation) -> None:
    """Let nobody do one thing any more with a topic or the cluster, and all others everything."""
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    rules = [
        AclBinding(kind, name, ResourcePatternType.LITERAL, "User:*", "*", AclOperation.ALL, AclPermissionType.ALLOW),
        AclBinding(kind, name, ResourcePatternType.LITERAL, "User:*", "*", operation, AclPermissionType.DENY),
    ]
    for made in admin.create_acls(rules).values():
        made.result(ANSWER_S)
