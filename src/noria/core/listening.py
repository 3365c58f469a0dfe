"""Listen on a port and serve an ASGI application from this process's own event loop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable
from typing import Any

from granian._granian import SocketHolder
from granian.constants import Interfaces
from granian.server.embed import Server

from noria.core.direct import Direct, DirectLoop
from noria.core.errors import ConfigInvalid, Conflict

BACKLOG = 512


class PortInUse(Conflict):
    """Another program listens on the port."""

    code = "port_in_use"


def bind(host: str, port: int) -> socket.socket:
    """Take a port.

    Parameters
    ----------
    port
        0 takes any free one; see `address_of`.

    Raises
    ------
    PortInUse
        If another program has it; the hint names the option that chooses another.
    ConfigInvalid
        If this machine does not have the address, or the port may not be used.
    """
    try:
        infos = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, OverflowError) as error:
        raise ConfigInvalid(
            f"`{host}` is not an address of this machine: {error}", hint="Choose another with `--host`"
        ) from error
    family, kind, protocol, _, address = infos[0]
    listening = socket.socket(family, kind, protocol)
    # Lets a restarted server have the port while old connections linger; it does not let two servers share it.
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise _refusal(host, port, error) from error
    listening.setblocking(False)
    return listening


def bind_shared(host: str, port: int, n: int) -> list[socket.socket]:
    """Take a port with several sockets, among which the system spreads connections.

    Raises
    ------
    PortInUse, ConfigInvalid
        As `bind` does: a port that another program has is not shared with it.
    """
    with contextlib.closing(bind(host, port)) as alone:
        if n == 1:
            return [alone.dup()]
        family, address = alone.family, alone.getsockname()
    return [_sharing(host, family, address) for _ in range(n)]


def _sharing(host: str, family: int, address: tuple[Any, ...]) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise _refusal(host, address[1], error) from error
    listening.setblocking(False)
    return listening


def address_of(listening: socket.socket) -> str:
    """Give the URL under which a listening socket is reached.

    Examples
    --------
    >>> with bind("127.0.0.1", 0) as listening:
    ...     address_of(listening).startswith("http://127.0.0.1:")
    True
    """
    host, port = listening.getsockname()[:2]
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


def _refusal(host: str, port: int, error: OSError) -> Exception:
    if error.errno == errno.EADDRINUSE:
        return PortInUse(
            f"Another program listens on port {port} of `{host}`",
            hint="End it, or choose another port with `--port`",
            details={"host": host, "port": port},
        )
    return ConfigInvalid(
        f"Port {port} of `{host}` cannot be used: {error.strerror}",
        hint="Choose others with `--host` and `--port`",
    )


class Listener(Server):
    """Granian inside this process: one event loop, Rust threads for the network.

    Parameters
    ----------
    app
        What answers.
    listening
        A bound socket, which `run` closes. Granian's own binding shares a port with whoever else asks
        (`SO_REUSEPORT`), so that a second server would go unnoticed.
    before_stop
        Called in the event loop when serving is to end: ends answers that would go on for ever.
    interface
        How the application is called: ASGI, or Granian's own RSGI, which costs half as much for each request.
    direct
        What threads answer without the event loop, where that is a `DirectLoop` and the interface ASGI.
    """

    def __init__(
        self,
        app: Any,
        listening: socket.socket,
        *,
        before_stop: Callable[[], None] | None = None,
        interface: Interfaces = Interfaces.ASGINL,
        direct: Direct | None = None,
    ) -> None:
        super().__init__(
            app,
            interface=interface,
            websockets=False,
            log_enabled=False,
            backlog=BACKLOG,
        )
        self._listening = listening
        self._before_stop = before_stop
        self._direct = direct

    def _init_shared_socket(self) -> None:
        # The holder owns the descriptor from here on. Its stub does not know the constructor, which is public to
        # Granian's own pickling: (descriptor, whether it is a Unix socket, backlog).
        holder: Any = SocketHolder
        self._shd = holder(self._listening.detach(), False, BACKLOG)

    async def run(self, stopping: asyncio.Event, *, grace_s: float) -> None:
        """Serve until `stopping` is set, then finish the requests at hand within `grace_s`."""
        loop = asyncio.get_running_loop()
        if isinstance(loop, DirectLoop):
            loop.direct = self._direct
        serving = asyncio.ensure_future(self.serve())
        waiting = asyncio.ensure_future(stopping.wait())
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if self._before_stop is not None:
            self._before_stop()
        self.signal_handler_interrupt()  # type: ignore[no-untyped-call]
        await asyncio.wait({serving}, timeout=grace_s)
        for task in (waiting, serving):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
