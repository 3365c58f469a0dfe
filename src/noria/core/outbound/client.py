"""The one client for calls to addresses that people name.

It takes no proxy, no certificates and no credentials from the environment, and no cookies; it reads no more than it
was told to, gives up at its deadline, and checks every address that it connects to, that of each redirect too.
"""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urljoin, urlsplit

from noria.core.clock import Clock
from noria.core.errors import Invalid, TooLarge, Unavailable
from noria.core.outbound.addresses import read_rules
from noria.core.outbound.entities import OutboundAnswer, OutboundRequest, OutboundSection, OutboundStream

if TYPE_CHECKING:
    import httpcore

    from noria.core.outbound.connecting import Deadline, Resolve

MAX_URL_CHARS = 2000
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_UNCHANGED = frozenset({307, 308})
_SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})


class UrlInvalid(Invalid):
    """The text is not an address that can be called."""

    code = "url_invalid"


class TooManyRedirects(Unavailable):
    """The host sends callers from one address to the next."""

    code = "too_many_redirects"


class Outbound:
    """Calls other machines. Thread-safe; holds no connection between calls.

    Parameters
    ----------
    resolve
        Finds the addresses of a host; the system by default.
    trust
        Certificates to trust; those of the system and of certifi by default.
    """

    def __init__(
        self,
        section: OutboundSection,
        clock: Clock,
        *,
        resolve: Resolve | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._section = section
        self._rules = read_rules(section.allow)
        self._clock = clock
        self._resolve = resolve
        self._trust = trust

    def send(self, request: OutboundRequest) -> OutboundAnswer:
        """Make a call and read the answer.

        Raises
        ------
        UrlInvalid
            If the address is not of HTTP, or holds a name or password.
        AddressRefused
            If its host, or one that it redirects to, has an address that is not public.
        Unavailable
            If the host is not known, cannot be reached, does not speak HTTP or cannot prove who it is.
        OutOfTime, TooManyRedirects
        TooLarge
            If the answer is longer than the request allows.
        """
        from noria.core.outbound.connecting import Deadline

        with self._answered(request, Deadline(self._clock, self._seconds(request)), None) as (hop, response):
            body, is_cut = _read(response.iter_stream(), request)
            return OutboundAnswer(
                status=response.status,
                url=hop.url,
                headers=_first_of_each(response.headers),
                body=body,
                is_cut=is_cut,
            )

    @contextlib.contextmanager
    def stream(self, request: OutboundRequest, *, trusted: str | None = None) -> Iterator[OutboundStream]:
        """Make a call and give the answer as it comes.

        The time counts for each wait, not for the whole, and `limit_bytes` and `cut` count for nothing: who reads
        decides how long.

        Parameters
        ----------
        trusted
            Host that may have any address: the one that a person named on their own machine. Where it redirects to
            is checked.

        Raises
        ------
        UrlInvalid, AddressRefused, Unavailable, OutOfTime, TooManyRedirects
            As `send`, also while the answer is read.
        """
        from noria.core.outbound.connecting import Deadline

        deadline = Deadline(self._clock, self._seconds(request))
        with self._answered(request, deadline, trusted) as (hop, response):
            yield OutboundStream(
                status=response.status,
                url=hop.url,
                headers=_first_of_each(response.headers),
                chunks=_renewing(response.iter_stream(), deadline),
            )

    def _seconds(self, request: OutboundRequest) -> float:
        return min(request.timeout_s or self._section.timeout_s, self._section.timeout_s)

    @contextlib.contextmanager
    def _answered(
        self, request: OutboundRequest, deadline: Deadline, trusted: str | None
    ) -> Iterator[tuple[_Hop, httpcore.Response]]:
        """Follow redirects, and give the last answer, still unread, with where it came from."""
        current = _Hop(request.method, request.url, request.headers, request.body)
        for _ in range(request.max_redirects + 1):
            check_url(current.url)
            with self._response(current, deadline, trusted) as response:
                onward = current.after(response.status, _first_of_each(response.headers))
                if onward is None:
                    yield current, response
                    return
            current = onward
        raise TooManyRedirects(
            f"`{request.url}` redirects more than {request.max_redirects} times", hint="Name the last address"
        )

    @contextlib.contextmanager
    def _response(self, hop: _Hop, deadline: Deadline, trusted: str | None) -> Iterator[httpcore.Response]:
        import httpcore

        host = urlsplit(hop.url).hostname or ""
        if self._section.proxy is not None and host != trusted:
            self._check_literal(host)
        headers = {"user-agent": "noria", "accept-encoding": "identity", **_lower(hop.headers)}
        try:
            with (
                self._pool(deadline, trusted) as pool,
                pool.stream(
                    hop.method, hop.url, headers=list(headers.items()), content=hop.body or None
                ) as response,
            ):
                yield response
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError) as error:
            raise Unavailable(
                f"`{host}` did not answer as it should: {error}", hint="Try again later"
            ) from error

    def _check_literal(self, host: str) -> None:
        """Check a host that is an address; names are resolved by the proxy, and so are its to judge."""
        with contextlib.suppress(ValueError):
            self._rules.check(host, str(ipaddress.ip_address(host)))

    def _pool(self, deadline: Deadline, trusted: str | None) -> httpcore.ConnectionPool:
        import httpcore

        from noria.core.outbound.connecting import CheckedBackend, system_addresses

        proxy = self._section.proxy
        return httpcore.ConnectionPool(
            ssl_context=self._trust or default_trust(),
            proxy=httpcore.Proxy(proxy) if proxy else None,
            network_backend=CheckedBackend(
                self._rules,
                self._resolve or system_addresses,
                deadline,
                trusted=urlsplit(proxy).hostname if proxy else trusted,
            ),
        )


class _Hop:
    """Where a call is, on its way through redirects."""

    def __init__(self, method: str, url: str, headers: dict[str, str], body: bytes) -> None:
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body

    def after(self, status: int, headers: dict[str, str]) -> _Hop | None:
        """Give the next hop, or None where the answer is the last one."""
        target = headers.get("location")
        if status not in _REDIRECTS or target is None:
            return None
        if self.method not in {"GET", "HEAD"} and status not in _UNCHANGED:
            return None
        url = urljoin(self.url, target)
        before, after = urlsplit(self.url), urlsplit(url)
        if before.scheme == "https" and after.scheme == "http":
            raise Unavailable(
                f"`{before.hostname}` redirects from HTTPS to plain HTTP", hint="Name another address"
            )
        same = _origin(before) == _origin(after)
        kept = (
            self.headers
            if same
            else {k: v for k, v in self.headers.items() if k.lower() not in _SECRET_HEADERS}
        )
        return _Hop(self.method, url, kept, self.body)


def check_url(url: str) -> SplitResult:
    """Refuse what is no address of HTTP; nothing is resolved.

    Raises
    ------
    UrlInvalid
        With what is wrong.
    """
    shown = url[:100]
    if len(url) > MAX_URL_CHARS or not url.isascii() or any(char <= " " or char == "\x7f" for char in url):
        raise UrlInvalid(
            f"`{shown}` is not an address", hint=f"Up to {MAX_URL_CHARS} characters of ASCII, without spaces"
        )
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise UrlInvalid(f"`{shown}` is not an address: {error}") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UrlInvalid(f"`{shown}` is not an address of HTTP", hint="Write `https://host/path`")
    if parts.username is not None or parts.password is not None:
        raise UrlInvalid(f"The address of `{parts.hostname}` holds a name or password", hint="Leave it out")
    return parts


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port


def _lower(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _first_of_each(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in reversed(headers)}


def _renewing(chunks: Iterator[bytes], deadline: Deadline) -> Iterator[bytes]:
    for chunk in chunks:
        deadline.renew()
        yield chunk
        deadline.renew()


def _read(chunks: Iterator[bytes], request: OutboundRequest) -> tuple[bytes, bool]:
    gathered = bytearray()
    for chunk in chunks:
        gathered += chunk
        if len(gathered) > request.limit_bytes:
            if request.cut:
                return bytes(gathered[: request.limit_bytes]), True
            raise TooLarge(f"The answer of `{request.url}` has more than {request.limit_bytes} bytes")
    return bytes(gathered), False


@functools.cache
def default_trust() -> ssl.SSLContext:
    """Give the certificates to trust: those of the system and of certifi."""
    import certifi

    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
