"""The wire to a server: whether TLS is spoken on it, which both ends have to agree on.

Neither end says so by itself: one hangs up, the other waits.
"""

import socket
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

PROBE_S = 2.0
"""For a connection to each address of the host, and for each answer of a handshake."""
_PLAIN = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNKNOWN_PROTOCOL")
"""What OpenSSL says of an answer that is no TLS."""
_TLS = frozenset({"https", "rediss", "ssl", "sasl_ssl"})
_PORTS = {"http": 80, "https": 443, "redis": 6379, "rediss": 6379}


@dataclass(frozen=True, slots=True)
class Wire:
    """Where a server is, and whether the settings speak TLS to it."""

    host: str
    port: int
    tls: bool
    plain: str
    """What to set for a server without TLS."""
    encrypted: str
    """The same for one with it."""

    def cure(self) -> str | None:
        """What to do, where the server is found to speak otherwise; None where it does not, or nobody can tell."""
        found = _speaks_tls(self.host, self.port)
        if found is None or found == self.tls:
            return None
        said = f"{self.host}:{self.port} {'speaks TLS' if found else 'answers without TLS'}"
        return f"{said}: {self.encrypted if found else self.plain}, or correct the port."


def wire_of(setting: str, url: str) -> Wire | None:
    """The wire to an address as in https://host:port; None for what is none, such as a socket of this computer."""
    try:
        address = urlsplit(url)
        port = address.port or _PORTS.get(address.scheme)
    except ValueError:
        return None
    if not address.hostname or port is None:
        return None
    kind = "redis" if address.scheme.startswith("redis") else "http"
    return Wire(
        address.hostname,
        port,
        address.scheme in _TLS,
        f"begin {setting} with {kind}://",
        f"begin {setting} with {kind}s://",
    )


def wire_of_brokers(bootstrap_servers: str, protocol: str) -> Wire | None:
    """The wire to the first broker that is named; None where its address is none."""
    host, _, port = bootstrap_servers.partition(",")[0].strip().rpartition("://")[2].rpartition(":")
    if not host or not port.isdecimal():
        return None
    name = "kafka.security_protocol"
    return Wire(
        host.strip("[]"),
        int(port),
        protocol in _TLS,
        f"set {name} to plaintext or sasl_plaintext",
        f"set {name} to ssl or sasl_ssl",
    )


def _speaks_tls(host: str, port: int) -> bool | None:
    """Try a handshake; None where it has no clear end. Nothing is sent on it, so nobody's certificate is judged."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), PROBE_S) as connection,
            context.wrap_socket(connection, server_hostname=host),
        ):
            return True
    except ssl.SSLError as error:
        reason = error.reason or ""
        # An alert is TLS, too: of a server that wants a certificate, or another version.
        return False if reason in _PLAIN else True if "ALERT" in reason else None
    except (OSError, ValueError, OverflowError):
        return None
