"""TCP ports on loopback that nobody listens on."""

from __future__ import annotations

import secrets
import socket

FIRST, LAST = 20_000, 31_999
"""Below the range from which the kernel takes ports of outgoing connections (32768 and up on Linux), so that a
connection made elsewhere cannot take the port between our look and the server's bind."""

_given: set[int] = set()


def free_port() -> int:
    """Give a port on 127.0.0.1 that is free now and that this process has not been given before."""
    for _ in range(1000):
        port = FIRST + secrets.randbelow(LAST - FIRST + 1)
        if port not in _given and _is_free(port):
            _given.add(port)
            return port
    raise RuntimeError(f"No free port was found between {FIRST} and {LAST}")


def is_listening(port: int, host: str = "127.0.0.1") -> bool:
    """Tell whether a server accepts connections on this port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((host, port)) == 0


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
