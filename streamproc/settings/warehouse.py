"""What is set below ``warehouse``."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from streamproc.kinds import Name
from streamproc.settings.section import Section


class WarehouseSettings(Section):
    """The database that results are brought to (PostgreSQL)."""

    address: Name = "127.0.0.1:5432"
    """host:port, for Kafka Connect too."""
    database: Name = "streamproc"
    namespace: Annotated[
        str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$", description="up to 63 of a-z, 0-9 and _, no digit first")
    ] = "public"
    """The schema of PostgreSQL that the tables are in; it has to be there."""
    user: Name = "streamproc"
    password: SecretStr = SecretStr("")
    """It stands in no connector: workers of Kafka Connect read it from a variable of theirs, of the same name."""
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = "prefer"
    """As PostgreSQL's own clients take it. Certificates are found where these look: ``~/.postgresql/root.crt``."""
