"""Reading a response's body within its bounds."""

from io import BytesIO

from urllib3 import BaseHTTPResponse

from streamproc.errors import Cause, StoreError
from streamproc.telemetry.clock import Clock

CHUNK = 256 * 1024
"""Bytes asked of the socket at once: several times what a loopback or a data-centre link has ready."""


def read_body(response: BaseHTTPResponse, what: str, most: int, deadline: float, clock: Clock) -> bytes:
    """The undecoded bytes of a whole body.

    Raises StoreError: TOO_LARGE before a byte is read when the declared length is over ``most``, or as soon as more
    than ``most`` came; TIMEOUT past ``deadline`` (``clock.monotonic()``). urllib3 raises for a body that ends before
    its declared length. A socket read that is under way at the deadline may still take the read timeout.
    """
    declared = response.length_remaining
    if declared is not None and declared > most:
        raise StoreError(Cause.TOO_LARGE, f"{what}: {declared} bytes, over the limit of {most}")
    body = BytesIO()  # grows in place and gives its bytes away without a copy: a large object stands in memory once
    # read1 returns after one read of the socket, so a store that drips cannot keep us past the deadline.
    while chunk := response.read1(CHUNK, decode_content=False):
        if body.tell() + len(chunk) > most:
            raise StoreError(Cause.TOO_LARGE, f"{what}: over the limit of {most} bytes")
        if clock.monotonic() > deadline:
            raise StoreError(Cause.TIMEOUT, f"{what}: not complete in time, {body.tell()} bytes came")
        body.write(chunk)
    return body.getvalue()


def read_start(response: BaseHTTPResponse, most: int) -> bytes:
    """One read of at most ``most`` bytes: enough for the code of an error, whatever the server goes on to send."""
    return response.read1(most, decode_content=False)
