"""The rules that stand before every HTTP route: who may be asked for, and from where. Pure; used by both servers.

Loopback is not private. A web page that the user visits can reach it in two ways, and each is refused here:

- by sending a request across sites, as a form or a script does: everything that writes must carry the server's own
  origin or none, and a POST a content type that a form cannot send. Before a script sends a PUT, PATCH or DELETE
  elsewhere, its browser asks (OPTIONS, the preflight of CORS), which this server never grants: those may carry any
  type, as a file's upload does;
- by DNS rebinding, where the attacker's host name is made to resolve to 127.0.0.1, so that the page and the server
  look like one site: `Host` must be a name that the server was told is its own. An address in digits cannot be
  rebound.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

import msgspec

from noria.core.errors import Forbidden, Invalid

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
WRITTEN_TYPES = frozenset(
    {"application/json", "application/octet-stream", "application/x-protobuf", "text/csv"}
)
"""Content types of what is posted. A form cannot send them, and a script from elsewhere only after asking first."""

FORM_TYPE = "application/x-www-form-urlencoded"
"""What a form sends; taken where an action of a page is, and only with a word of the browser on where it comes from."""

UNASKED_METHODS = frozenset({"POST"})
"""Of the methods that write, those that a browser sends to another site without asking it first."""

SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
}
"""Sent with every answer, unless the route says its own."""

_AUTHORITY = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::([0-9]{1,5}))?", re.IGNORECASE)
_DEFAULT_PORTS = {"http": 80, "https": 443}


class HostRefused(Forbidden):
    """The request names a host that is not this server's."""

    code = "host_refused"


class OriginRefused(Forbidden):
    """The request comes from a page of another site."""

    code = "origin_refused"


class ContentTypeRefused(Invalid):
    """The body is of a kind that this server does not take."""

    code = "content_type_refused"


class AllowedHosts(msgspec.Struct, frozen=True, kw_only=True):
    """The names by which a server may be asked for.

    Attributes
    ----------
    names
        Lower-case names and addresses, without brackets; `name:port` allows that port only.
    any_address
        True when every address in digits is allowed.
    """

    names: frozenset[str]
    any_address: bool = False


def is_loopback(host: str) -> bool:
    """Tell whether a server bound to `host` is reached from this computer only.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("[::1]"), is_loopback("0.0.0.0"), is_loopback("example.org")
    (True, True, False, False)
    """
    name = host.strip("[]").lower()
    address = _address(name)
    return name == "localhost" if address is None else address.is_loopback


def hosts_for(bound_to: str, extra: Iterable[str] = ()) -> AllowedHosts:
    """Give the hosts that a server bound to an address answers for.

    Parameters
    ----------
    bound_to
        The address that the server listens on. Loopback allows the loopback names only; any other allows itself and
        addresses in digits too.
    extra
        Names from the settings, each with or without a port.
    """
    names = {*LOOPBACK_NAMES, bound_to.strip("[]").lower()} | {name.strip().lower() for name in extra}
    return AllowedHosts(names=frozenset(names), any_address=not is_loopback(bound_to))


def check_host(host_header: str | None, allowed: AllowedHosts) -> None:
    """Refuse a request that was sent to a name which is not this server's.

    Raises
    ------
    HostRefused
        If the header is missing, malformed or names another host.
    """
    parsed = _split_authority(host_header or "")
    if parsed is None:
        raise HostRefused(
            f"The `Host` header `{(host_header or '')[:100]}` does not name a host",
            hint="Send `Host: name[:port]`",
        )
    name, port = parsed
    if name in allowed.names or f"{name}:{port}" in allowed.names:
        return
    if allowed.any_address and _address(name) is not None:
        return
    raise HostRefused(
        f"This server does not answer for the host `{name[:100]}`",
        hint=f'Add it in `noria.toml`: `[server]` `allowed_hosts = ["{name[:100]}"]`',
    )


def check_origin(
    method: str,
    origin: str | None,
    host: str | None,
    content_type: str | None,
    *,
    fetch_site: str | None = None,
    has_body: bool = True,
    is_action: bool = False,
) -> None:
    """Refuse a write that a page of another site could have caused.

    Parameters
    ----------
    origin, host, content_type, fetch_site
        The headers `Origin`, `Host`, `Content-Type`, `Sec-Fetch-Site`; None when absent, as from a program.
    has_body
        A write without a body needs no content type. Nor does a body without a type from what is no browser: a browser
        tells the origin of every POST.
    is_action
        Whether the address is an action's, which takes a form and nothing else.

    Raises
    ------
    OriginRefused
        If a browser says that the request comes from elsewhere, or none says where a form comes from.
    ContentTypeRefused
        If the body of a POST is neither JSON nor raw bytes, or that of an action no form.
    """
    if method in READING_METHODS:
        return
    if fetch_site is not None and fetch_site not in ("same-origin", "none"):
        raise OriginRefused(
            f"A page of another site sent this request (`Sec-Fetch-Site: {fetch_site[:100]}`)",
            hint="Open the page of this server, or use the command line",
        )
    if origin is not None and not _same_authority(origin, host or ""):
        raise OriginRefused(
            f"A page of `{origin[:100]}` sent this request, and this server is `{(host or '')[:100]}`",
            hint="Open the page of this server, or use the command line",
        )
    if method not in UNASKED_METHODS:
        return
    from_program = origin is None and fetch_site is None
    if content_type is None and not is_action and (from_program or not has_body):
        return
    kind = (content_type or "").partition(";")[0].strip().lower()
    if is_action:
        _check_form(kind, from_program=from_program)
    elif kind not in WRITTEN_TYPES:
        raise ContentTypeRefused(
            f"This server takes no body of the type `{kind[:100]}`",
            hint="Send `Content-Type: application/json`, or `application/octet-stream` for raw bytes",
        )


def _check_form(kind: str, *, from_program: bool) -> None:
    if from_program:
        raise OriginRefused(
            "Nothing says which page sent this form",
            hint="Programs use the API: see `/api/v1/openapi.json`; a browser that sends no `Origin` is too old",
        )
    if kind != FORM_TYPE:
        raise ContentTypeRefused(f"This takes a form, not a body of the type `{kind[:100]}`")


def _same_authority(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
        origin_port = parts.port
    except ValueError:
        return False
    wanted = _split_authority(host)
    if parts.scheme not in _DEFAULT_PORTS or wanted is None or not parts.hostname:
        return False
    default = _DEFAULT_PORTS[parts.scheme]
    return (parts.hostname, origin_port or default) == (wanted[0], wanted[1] or default)


def _split_authority(text: str) -> tuple[str, int | None] | None:
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        return None
    name = (match[1] or match[2]).lower()
    if match[1] and _address(name) is None:
        return None
    port = int(match[3]) if match[3] else None
    return None if port is not None and port > 65535 else (name, port)


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
