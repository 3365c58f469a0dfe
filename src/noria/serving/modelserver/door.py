"""Who may ask the model server for what."""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from noria.core.clock import Clock
from noria.core.errors import Forbidden, NoriaError, NotFound, Unauthenticated, Unavailable
from noria.core.gate import AllowedHosts, check_host, check_origin
from noria.core.remote import HttpTransport, remote_service
from noria.core.workspace import OverHttp
from noria.serving.endpoints import Endpoints
from noria.serving.keys import KEY_PREFIX, hash_key
from noria.serving.label_trust import ADDRESS_CLIENT, KEY_CLIENT
from noria.serving.modelserver.link import Link
from noria.serving.modelserver.routes import Route, Routes
from noria.serving.plans import PlannedKey

HEALTH = "/v2/health/"

Told = tuple[str, str | None, str | None, str | None, str | None, bool]
"""What the rules look at: method, host, origin, content type, fetch site, and whether there is a body."""

_REMEMBER_S = 60.0
_REMEMBERED = 1000


class Headers(Protocol):
    """The headers of a request."""

    def get(self, key: str) -> str | None:
        """Give the first header of a name (lower case), or None."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What callers may prove.

    Attributes
    ----------
    key
        The workspace key; None when the workspace is a server elsewhere.
    token
        When given, every request must carry it (or the key): the server is reached from other machines.
    """

    key: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)


class Door:
    """Stands before every route.

    Parameters
    ----------
    routes
        Gives what is served now.
    limit
        Counts a request of a key, or refuses it.
    """

    def __init__(
        self,
        *,
        hosts: AllowedHosts,
        secrets: Secrets,
        link: Link,
        clock: Clock,
        routes: Callable[[], Routes],
        limit: Callable[[PlannedKey], None],
    ) -> None:
        self._hosts = hosts
        self._secrets = secrets
        self._link = link
        self._clock = clock
        self._routes = routes
        self._limit = limit
        self._lock = threading.Lock()
        self._passed: set[Told] = set()
        self._remembered: dict[tuple[str, str, str], tuple[float, bool]] = {}

    def admit(self, method: str, path: str, headers: Headers, announced: str | None) -> None:
        """Let a request in. Whether the server is well, everybody may ask.

        Parameters
        ----------
        announced
            How long the body is, as the header says.

        Raises
        ------
        HostRefused, OriginRefused, ContentTypeRefused
            As the rules of `noria.core.gate` say.
        Unauthenticated
            If this server asks for a token, and the request carries none or another.
        """
        get = headers.get
        has_body = (announced is not None and announced != "0") or get("transfer-encoding") is not None
        told = (method, get("host"), get("origin"), get("content-type"), get("sec-fetch-site"), has_body)
        if told not in self._passed:
            self._check_rules(told)
        if self._secrets.token is None or path.startswith(HEALTH):
            return
        secret = secret_of(headers)
        if not self._is_ours(secret) and not self._is_key(secret):
            raise Unauthenticated(
                "This model server asks everyone for its token", hint="Send `Authorization: Bearer <token>`"
            )

    def is_open(self, route: Route) -> bool:
        """Tell whether everybody who was admitted may ask an endpoint, as often as they like."""
        return not route.guarded and self._secrets.token is None

    def enter(self, route: Route | None, headers: Headers, *, counts: bool = True) -> None:
        """Let a request, which was admitted, to an endpoint; None stands for all of them.

        Parameters
        ----------
        counts
            Whether the request counts against the rate of its key.

        Raises
        ------
        Unauthenticated
            If the endpoint asks for a key, and the request carries none, another or a revoked one.
        TooManyRequests
            If the key's requests come too fast.
        """
        guarded = any(each.guarded for each in self._routes().values()) if route is None else route.guarded
        if not guarded and self._secrets.token is None:
            return
        secret = secret_of(headers)
        if self._is_ours(secret):
            return
        key = route.keys.get(hash_key(secret)) if route is not None and secret is not None else None
        if key is None:
            name = "Naming no endpoint" if route is None else f"The endpoint `{route.endpoint}`"
            raise Unauthenticated(
                f"{name} needs a key, and the request carries none that is good for it",
                hint="Send `Authorization: Bearer <key>`; see `noria endpoints keys`",
            )
        if counts:
            self._limit(key)

    def _check_rules(self, told: Told) -> None:
        method, host, origin, content_type, fetch_site, has_body = told
        check_host(host, self._hosts)
        check_origin(method, origin, host, content_type, fetch_site=fetch_site, has_body=has_body)
        # Clients say the same with each request, and what the rules say of it never changes.
        if len(self._passed) >= _REMEMBERED:
            self._passed.clear()
        self._passed.add(told)

    def may_replay(self, route: Route, headers: Headers) -> bool:
        """Tell whether a caller may send rows past the capture. Asks the control server about foreign tokens."""
        secret = secret_of(headers)
        if secret is None:
            return False
        return self._is_ours(secret) or self._is_permitted(route, secret)

    def _is_ours(self, secret: str | None) -> bool:
        known = [each.encode() for each in (self._secrets.key, self._secrets.token) if each is not None]
        given = (secret or "").encode("utf-8", "surrogatepass")
        return any(hmac.compare_digest(given, each) for each in known)

    def _is_key(self, secret: str | None) -> bool:
        if secret is None or not secret.startswith(KEY_PREFIX):
            return False
        hashed = hash_key(secret)
        return any(hashed in route.keys for route in self._routes().values())

    def client_of(self, route: Route | None, headers: Headers, address: str) -> str | None:
        """Give whom labels count against: an endpoint's key, or an address; None for those who hold our own secret."""
        secret = secret_of(headers)
        if self._is_ours(secret):
            return None
        routes = self._routes().values() if route is None else [route]
        hashed = None if secret is None else hash_key(secret)
        keys = (each.keys[hashed] for each in routes if hashed is not None and hashed in each.keys)
        key = next(keys, None)
        if key is not None:
            return f"{KEY_CLIENT}{key.id}"
        return f"{ADDRESS_CLIENT}{address.rpartition(':')[0]}"

    def _is_permitted(self, route: Route, secret: str) -> bool:
        asked = (route.project, route.endpoint, secret)
        now = self._clock.monotonic()
        with self._lock:
            until, answer = self._remembered.get(asked, (float("-inf"), False))
        if now < until:
            return answer
        answer = self._ask(route, secret)
        with self._lock:
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            self._remembered[asked] = (now + _REMEMBER_S, answer)
        return answer

    def _ask(self, route: Route, secret: str) -> bool:
        backend = self._link.workspace().backend
        if not isinstance(backend, OverHttp):
            return False
        transport = HttpTransport(backend.transport.base_url, secret=secret, clock=self._clock)
        try:
            remote_service(Endpoints, transport).permit_replay(route.project, route.endpoint)
        except (Unauthenticated, Forbidden, NotFound):
            return False
        except NoriaError as error:
            raise Unavailable("The control server cannot be asked about this token now") from error
        finally:
            transport.close()
        return True


def secret_of(headers: Headers) -> str | None:
    """Give the secret of `Authorization: Bearer …`; None when there is none of this form."""
    scheme, _, secret = (headers.get("authorization") or "").partition(" ")
    return secret.strip() or None if scheme.lower() == "bearer" else None
