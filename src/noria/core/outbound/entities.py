"""What is sent outwards, what comes back, and the settings of both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated

import msgspec

from noria.core.config import Section

MEBIBYTE = 1 << 20


class OutboundSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[outbound]`: whom the server may call when people name an address, as in a webhook.

    Attributes
    ----------
    allow
        Names of hosts, addresses and networks (`ci.internal`, `10.1.0.0/16`) that may be called although they are not
        public.
    proxy
        Address of an HTTP proxy that all calls go through; whom they reach is then up to the proxy, which alone
        resolves names.
    timeout_s
        Most seconds for a call with all its redirects.
    """

    allow: tuple[str, ...] = ()
    proxy: str | None = None
    timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundRequest:
    """A call.

    Attributes
    ----------
    timeout_s
        Most seconds for this call, if fewer than the settings say.
    limit_bytes
        Most bytes of the answer that are read.
    cut
        Whether a longer answer is cut off rather than refused.
    max_redirects
        How often the answer may send us elsewhere. What is not a GET goes there unchanged, and only where the answer
        says so (307 and 308).
    """

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    timeout_s: float | None = None
    limit_bytes: int = MEBIBYTE
    cut: bool = False
    max_redirects: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundAnswer:
    """An answer, whatever its status.

    Attributes
    ----------
    url
        Whose answer it is, after redirects.
    headers
        With lower-case names; of several with one name, the first.
    """

    status: int
    url: str
    headers: dict[str, str]
    body: bytes
    is_cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundStream:
    """An answer that is read as it comes, whatever its status.

    Attributes
    ----------
    url, headers
        As those of an `OutboundAnswer`.
    chunks
        Its bytes, to be read once and before the call ends.
    """

    status: int
    url: str
    headers: dict[str, str]
    chunks: Iterator[bytes]
