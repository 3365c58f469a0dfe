"""A program outside of Noria that code can tell something: it counts how often it was told."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Outside(socketserver.ThreadingTCPServer):
    """Listens on a free port of this machine."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Heard)
        self.n_told = 0
        self.lock = threading.Lock()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    @property
    def tell(self) -> str:
        """A statement of Python that tells it something, and waits until it was heard."""
        made = f'__import__("socket").create_connection(("127.0.0.1", {self.port}))'
        return f"with {made} as heard: heard.recv(1)"


class _Heard(socketserver.BaseRequestHandler):
    server: Outside

    def handle(self) -> None:
        with self.server.lock:
            self.server.n_told += 1
        self.request.sendall(b"1")


@contextmanager
def listening() -> Iterator[Outside]:
    """Have it listen."""
    with Outside() as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        try:
            yield made
        finally:
            made.shutdown()
            thread.join()
