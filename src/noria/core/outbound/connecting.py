"""Connections that go only where they may, and never last longer than their deadline.

A name is resolved once, each of its addresses is checked, and the connection is made to an address that was checked,
so that a name server that answers differently a moment later gains nothing (DNS rebinding). TLS still asks for a
certificate of the name.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import httpcore

from noria.core.clock import Clock
from noria.core.errors import Unavailable
from noria.core.outbound.addresses import AddressRules

Resolve = Callable[[str, int], list[str]]
"""Gives the addresses of a host, best first; what it raises as `OSError` means that there are none."""

SocketOption = tuple[int, int, int | bytes | bytearray] | tuple[int, int, None, int]


class OutOfTime(Unavailable):
    """The call took longer than it may."""

    code = "out_of_time"


class Deadline:
    """The end of a call, whatever it is doing then."""

    def __init__(self, clock: Clock, timeout_s: float) -> None:
        self._clock = clock
        self._timeout_s = timeout_s
        self._ends = clock.monotonic() + timeout_s

    def left_s(self) -> float:
        """Give the seconds that are left.

        Raises
        ------
        OutOfTime
            If none are.
        """
        left_s = self._ends - self._clock.monotonic()
        if left_s <= 0:
            raise self.passed()
        return left_s

    def renew(self) -> None:
        """Count the time anew from now, for an answer that comes part by part."""
        self._ends = self._clock.monotonic() + self._timeout_s

    def passed(self) -> OutOfTime:
        """Give the error that says so."""
        return OutOfTime(f"There was no whole answer within {self._timeout_s:g} s", hint="Try again later")


def system_addresses(host: str, port: int) -> list[str]:
    """Ask the system for the addresses of a host."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def connect_checked(
    host: str, port: int, rules: AddressRules | None, resolve: Resolve, deadline: Deadline
) -> socket.socket:
    """Connect to the first of a host's addresses that answers, if none of them is refused.

    Parameters
    ----------
    rules
        None for a host that the settings name themselves as one to go through.

    Raises
    ------
    AddressRefused
        If an address of the host is not one that may be called.
    OutOfTime
    Unavailable
        If the host is not known or does not answer.
    """
    addresses = _within(deadline, lambda: resolve(host, port), host)
    if rules is not None:
        for address in addresses:
            rules.check(host, address)
    failure: OSError | None = None
    for address in addresses:
        try:
            connected = socket.create_connection((address, port), timeout=deadline.left_s())
        except OSError as error:
            failure = error
            continue
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connected
    deadline.left_s()
    reason = failure.strerror or str(failure) if failure else "it has no address"
    raise Unavailable(f"`{host}` cannot be reached at port {port}: {reason}", hint="Try again later")


class CheckedBackend(httpcore.NetworkBackend):
    """Opens the sockets of one call.

    Parameters
    ----------
    trusted
        Host that is not checked: the proxy of the settings.
    """

    def __init__(
        self, rules: AddressRules, resolve: Resolve, deadline: Deadline, *, trusted: str | None = None
    ) -> None:
        self._rules = rules
        self._resolve = resolve
        self._deadline = deadline
        self._trusted = trusted

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the deadline counts
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[SocketOption] | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        """Connect to the first of a host's addresses that answers, if none of them is refused."""
        rules = None if host == self._trusted else self._rules
        connected = connect_checked(host, port, rules, self._resolve, self._deadline)
        return _DeadlineStream(connected, self._deadline)

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ARG002
        socket_options: Iterable[SocketOption] | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        """Refuse: nobody outside listens there."""
        raise httpcore.UnsupportedProtocol(f"`{path}` is no address of another machine")

    def sleep(self, seconds: float) -> None:
        """Refuse: nothing here retries."""
        raise NotImplementedError(f"asked to sleep for {seconds} s")


class _DeadlineStream(httpcore.NetworkStream):
    """A socket whose every wait ends with the deadline of the call."""

    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        self._socket = connected
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        with _ended_by(self._deadline, httpcore.ReadError):
            self._socket.settimeout(self._deadline.left_s())
            return self._socket.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        rest = memoryview(buffer)
        with _ended_by(self._deadline, httpcore.WriteError):
            while rest:
                self._socket.settimeout(self._deadline.left_s())
                rest = rest[self._socket.send(rest) :]

    def close(self) -> None:
        self._socket.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        try:
            with _ended_by(self._deadline, httpcore.ConnectError):
                self._socket.settimeout(self._deadline.left_s())
                secured = ssl_context.wrap_socket(self._socket, server_hostname=server_hostname)
        except BaseException:
            self.close()
            raise
        return _DeadlineStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        if info == "ssl_object":
            return getattr(self._socket, "_sslobj", None)
        return self._socket.getpeername() if info == "server_addr" else None


@contextmanager
def _ended_by(deadline: Deadline, failure: type[Exception]) -> Iterator[None]:
    """Turn the timeout of a socket into the end of the call, and its other failures into the library's."""
    try:
        yield
    except TimeoutError as error:
        raise deadline.passed() from error
    except OSError as error:
        raise failure(str(error)) from error


def _within(deadline: Deadline, resolve: Callable[[], list[str]], host: str) -> list[str]:
    """Resolve a name in a thread of its own, since the system's resolver knows no deadline."""
    found: Future[list[str]] = Future()

    def work() -> None:
        try:
            found.set_result(resolve())
        except Exception as error:  # noqa: BLE001 - told by the thread that waits
            found.set_exception(error)

    threading.Thread(target=work, name="noria-resolve", daemon=True).start()
    try:
        return found.result(deadline.left_s())
    except TimeoutError as error:
        raise deadline.passed() from error
    except (OSError, UnicodeError) as error:
        raise Unavailable(f"The host `{host}` is not known", hint="See that its name is right") from error
