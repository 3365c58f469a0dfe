"""One declaration per operation.

A capability's service class is the only place where an operation is written. `noria.server` makes each into an HTTP
route with OpenAPI, `noria.core.remote` makes the same declaration into a client, and in process the method itself is
called::

    class Runs(Service):
        @operation("POST", "/projects/{project}/runs", needs=WRITE_RUNS)
        def create(self, project: str, new: NewRun) -> Run: ...

Rules of a declaration, checked when the class is made:

- parameters named in the path are `str` or `int` and come from the path;
- one parameter annotated with a `msgspec.Struct` (or a list of them) is the JSON body; one annotated `Upload` is the
  raw request body; only POST, PUT and PATCH have one;
- every other parameter has a default and travels in the query: `str`, `int`, `float`, `bool`, an enum, a datetime,
  a list of `str`, or None;
- it returns a Struct, a list or dict of plain values, a `Download`, or None (answer 204).
"""

from __future__ import annotations

import enum
import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, Literal, ParamSpec, TypeVar

import msgspec

from noria.core.permissions import Permission

if typing.TYPE_CHECKING:
    from noria.core.context import Context

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="Service")

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Upload = Iterable[bytes]
"""A raw request body, in chunks; read once."""

_PATH_PARAM = re.compile(r"\{([a-z_]+)\}")


class Download(msgspec.Struct, kw_only=True):
    """A raw answer, in chunks.

    Attributes
    ----------
    chunks
        Read once, by the transport.
    size_bytes
        Length when it is known beforehand.
    """

    chunks: Iterator[bytes]
    size_bytes: int | None = None
    media_type: str = "application/octet-stream"
    filename: str | None = None
    headers: dict[str, str] = msgspec.field(default_factory=dict)

    def read(self, *, limit_bytes: int = 1 << 30) -> bytes:
        """Gather the chunks.

        Raises
        ------
        TooLarge
            If there is more than `limit_bytes`.
        """
        from noria.core.errors import TooLarge

        gathered = bytearray()
        for chunk in self.chunks:
            gathered += chunk
            if len(gathered) > limit_bytes:
                raise TooLarge(f"The answer is larger than {limit_bytes} bytes", hint="Read it in ranges")
        return bytes(gathered)


class Declaration(msgspec.Struct, frozen=True, kw_only=True):
    """What the decorator was given."""

    method: Method
    path: str
    needs: Permission
    status: int


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """A declaration with its types resolved, ready to become a route or a client method."""

    service: str
    name: str
    declaration: Declaration
    parameters: dict[str, inspect.Parameter]
    path_parameters: tuple[str, ...]
    query_parameters: tuple[str, ...]
    body_parameter: str | None
    upload_parameter: str | None
    returns: Any
    doc: str

    @property
    def id(self) -> str:
        """Name on the wire: `runs.create`."""
        return f"{self.service}.{self.name}"


def operation(
    method: Method, path: str, *, needs: Permission, status: int | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declare a method of a `Service` as an operation.

    Parameters
    ----------
    path
        Below `/api/v1`; `{name}` parts are parameters. A `{project}` part is what the gate checks the role in.
    needs
        The permission without which the gate refuses.
    status
        HTTP status of success; by default 201 for POST, 200 otherwise (204 when the method returns None).
    """

    def mark(function: Callable[P, R]) -> Callable[P, R]:
        declared = Declaration(
            method=method, path=path, needs=needs, status=status or (201 if method == "POST" else 200)
        )
        function.__operation__ = declared  # type: ignore[attr-defined]
        return function

    return mark


class Service:
    """Base of the classes that hold a capability's operations.

    A service object lives for one request (or one call in process) and holds nothing but its context.
    """

    def __init__(self, context: Context) -> None:
        self.context = context

    def sibling(self, cls: type[S]) -> S:
        """Give another service on behalf of the same caller, in the same process."""
        return cls(self.context)


def operations_of(cls: type[Service]) -> tuple[Operation, ...]:
    """List the operations that a service class declares, in the order of their writing.

    Raises
    ------
    TypeError
        If a declaration breaks the rules in this module's docstring.
    """
    key: Any = (
        cls  # mypy takes a class for one that cannot be hashed, since its instances' `__hash__` needs `self`
    )
    return _operations_of(key)


@functools.cache
def _operations_of(cls: type[Service]) -> tuple[Operation, ...]:
    found = []
    for name, function in vars(cls).items():
        declaration = getattr(function, "__operation__", None)
        if declaration is not None:
            found.append(_resolve(cls, name, function, declaration))
    return tuple(found)


def _resolve(cls: type[Service], name: str, function: Callable[..., Any], declared: Declaration) -> Operation:
    hints = typing.get_type_hints(function, include_extras=True)
    parameters = {
        key: parameter.replace(annotation=hints[key])
        for key, parameter in inspect.signature(function).parameters.items()
        if key != "self"
    }
    in_path = tuple(_PATH_PARAM.findall(declared.path))
    rest = [key for key in parameters if key not in in_path]
    uploads = [key for key in rest if hints[key] == Upload]
    bodies = [key for key in rest if _is_body(hints[key])]
    query = tuple(key for key in rest if key not in uploads and key not in bodies)
    where = f"{cls.__name__}.{name}"
    _check_declaration(where, declared, parameters, in_path, query, [*uploads, *bodies])
    return Operation(
        service=_service_name(cls),
        name=name,
        declaration=declared,
        parameters=parameters,
        path_parameters=in_path,
        query_parameters=query,
        body_parameter=bodies[0] if bodies else None,
        upload_parameter=uploads[0] if uploads else None,
        returns=hints.get("return", None),
        doc=inspect.cleandoc(function.__doc__ or ""),
    )


def _check_declaration(
    where: str,
    declared: Declaration,
    parameters: dict[str, inspect.Parameter],
    in_path: tuple[str, ...],
    query: tuple[str, ...],
    bodies: list[str],
) -> None:
    missing = [key for key in in_path if key not in parameters]
    if missing:
        raise TypeError(f"{where}: the path names `{missing[0]}`, which is not a parameter")
    if len(bodies) > 1:
        raise TypeError(f"{where}: only one of {', '.join(bodies)} can be the body")
    if bodies and declared.method not in ("POST", "PUT", "PATCH"):
        raise TypeError(f"{where}: {declared.method} has no body, but `{bodies[0]}` is one")
    bare = [key for key in query if parameters[key].default is inspect.Parameter.empty]
    if bare:
        raise TypeError(f"{where}: the query parameter `{bare[0]}` has no default")
    for key in in_path:
        if parameters[key].annotation not in (str, int):
            raise TypeError(f"{where}: the path parameter `{key}` is neither `str` nor `int`")
    for key in query:
        if not _travels_in_query(parameters[key].annotation):
            raise TypeError(f"{where}: `{key}` has a type that cannot travel in the query")


def _travels_in_query(annotation: Any) -> bool:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return all(_travels_in_query(inner) for inner in typing.get_args(annotation))
    if annotation == list[str] or annotation in (str, int, float, bool, datetime, types.NoneType):
        return True
    return isinstance(annotation, type) and issubclass(annotation, enum.Enum)


def _is_body(annotation: Any) -> bool:
    if typing.get_origin(annotation) is list:
        (inner,) = typing.get_args(annotation)
        return _is_body(inner)
    return isinstance(annotation, type) and issubclass(annotation, msgspec.Struct)


def _service_name(cls: type[Service]) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()
