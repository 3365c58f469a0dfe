"""What is left of a request's body when its answer begins."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from litestar.types import Receive, ReceiveMessage

LINGER_BYTES = 1 << 20
"""How much of a body that nobody wants is read, so that its sender gets to read the answer."""

LINGER_S = 1.0
"""How long such a body is waited for."""


class Incoming:
    """Receives a request's body, and knows whether all of it came.

    A refusal often begins before the body was read. The connection then cannot serve a second request: the server
    closes it, and a client that keeps connections, as all libraries do, meets the close with its next request instead
    of an answer. So the rest of a small body is read first, and the answer to a large one says that the connection
    ends.
    """

    def __init__(self, receive: Receive, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self._receive = receive
        self._more = False
        self._left: int | None = None  # of a body whose length is known
        self._waits_for_consent = False
        for name, value in headers:
            if name == b"content-length":
                self._more = self._more or value != b"0"
                self._left = int(value) if value.isdigit() else None
            elif name == b"transfer-encoding":
                self._more = True
                self._left = None
            elif name == b"expect":
                self._waits_for_consent = True

    async def __call__(self) -> ReceiveMessage:
        """Give the next part."""
        message = await self._receive()
        self._waits_for_consent = False
        self._more = message["type"] == "http.request" and bool(message.get("more_body", False))
        if self._more and self._left is not None:
            # Of the last part, too, the network thread says that there is more: to ask it again wakes it for nothing.
            self._left -= len(message.get("body", b""))  # type: ignore[arg-type]
            self._more = message["more_body"] = self._left > 0  # type: ignore[typeddict-unknown-key]
        return message

    @property
    def is_whole(self) -> bool:
        """Whether all of the body came."""
        return not self._more

    async def leave_nothing(self) -> bool:
        """Read and forget what is left, within bounds; tells whether the connection can be used again."""
        if not self._more:
            return True
        if self._waits_for_consent:  # Whoever asks before sending is spared it.
            return False
        try:
            async with asyncio.timeout(LINGER_S):
                return await self._forget()
        except TimeoutError:
            return False

    async def _forget(self) -> bool:
        n_bytes = 0
        while self._more and n_bytes <= LINGER_BYTES:
            message = await self()
            n_bytes += len(message.get("body", b""))  # type: ignore[arg-type]
        return not self._more
