"""What an adapter of a foreign protocol declares, and the server serves.

An adapter has addresses and answers of its own, in the words of its protocol. It holds no rule of the domain: its
handlers translate, and call services through `Context.guarded`, which asks for each operation's permission.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from noria.core.errors import NoriaError
from noria.core.permissions import Permission

if TYPE_CHECKING:
    from noria.core.context import Context


class AskedHeaders(Mapping[str, str]):
    """Headers of a request by name in lower case; of a repeated one the last.

    A request has a dozen, of which a handler reads one or two.

    Parameters
    ----------
    given
        As ASGI gives them.

    Examples
    --------
    >>> AskedHeaders([(b"accept", b"a"), (b"accept", b"b")])["accept"]
    'b'
    """

    __slots__ = ("_given",)

    def __init__(self, given: Sequence[tuple[bytes, bytes]]) -> None:
        self._given = given

    def __getitem__(self, name: str) -> str:
        """Give a header.

        Raises
        ------
        KeyError
            If there is none of the name.
        """
        wanted = name.encode("latin-1", "replace")
        for key, value in reversed(self._given):
            if key == wanted:
                return value.decode("latin-1")
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        """Give the names."""
        return iter(dict.fromkeys(key.decode("latin-1") for key, _ in self._given))

    def __len__(self) -> int:
        """Give how many names there are."""
        return len({key for key, _ in self._given})


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterRequest:
    """One request, as a handler sees it.

    Attributes
    ----------
    context
        Backends, on behalf of the caller.
    path
        Parameters of the address, decoded.
    query
        All values of each name, decoded.
    headers
        By name in lower case; of a repeated one the last.
    body
        The whole body; empty on routes that take an upload.
    upload
        The body in chunks, read once, on routes with `upload=True`; None on others.
    """

    context: Context
    method: str
    path: Mapping[str, str]
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes = b""
    upload: Iterable[bytes] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterAnswer:
    """A whole answer."""

    status: int = 200
    body: bytes = b"{}"
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterStream:
    """An answer in chunks, read in a thread as fast as the client takes them.

    Attributes
    ----------
    size_bytes
        Length of this answer (of the range, if it is one); None when it is not known beforehand.
    """

    chunks: Iterator[bytes]
    size_bytes: int | None
    status: int = 200
    media_type: str = "application/octet-stream"
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[AdapterRequest], AdapterAnswer | AdapterStream]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterRoute:
    """An address of the protocol.

    Attributes
    ----------
    path
        `{name}` stands for one part; a last part `{name:path}` for the rest with its slashes, perhaps empty.
    needs
        What the caller must hold before the handler is called. The handler's calls of services ask for more.
    upload
        The body is read by the handler, in chunks, and may be as large as an upload.
    """

    method: str
    path: str
    handle: Handler
    needs: Permission
    upload: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A protocol.

    Attributes
    ----------
    prefixes
        Beginnings of addresses that are this adapter's alone: what is wrong below them is told by `refuse`.
    refuse
        An error in the words of the protocol.
    """

    name: str
    prefixes: tuple[str, ...]
    routes: Sequence[AdapterRoute]
    refuse: Callable[[NoriaError], AdapterAnswer]
