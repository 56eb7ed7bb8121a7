"""A socket that listens. Imports nothing else: a worker needs it before it has read anything."""

import socket


def listen_on(host: str, port: int) -> socket.socket:
    """Have an address; port 0 takes a free one. Raises OSError where it cannot be had."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # Connections of the process before, which the system still remembers, are no reason not to start.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen()
    except BaseException:
        listening.close()
        raise
    return listening
