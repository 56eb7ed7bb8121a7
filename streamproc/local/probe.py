"""Ask an address on this computer whether a server answers."""

import http.client
import socket

from streamproc.local.ports import HOST

TIMEOUT_S = 2


def connects(port: int) -> bool:
    """Whether a connection is accepted."""
    try:
        with socket.create_connection((HOST, port), timeout=TIMEOUT_S):
            return True
    except OSError:
        return False


def ok(port: int, path: str) -> bool:
    """Whether an HTTP GET is answered with 200."""
    connection = http.client.HTTPConnection(HOST, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
