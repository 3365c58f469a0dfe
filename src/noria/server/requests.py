"""Turn a request into an operation's arguments, each checked against its declared type."""

from __future__ import annotations

import asyncio
import math
import re
import typing
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec

from noria.core.errors import Invalid, TooLarge, Unavailable, near
from noria.core.gate import ContentTypeRefused
from noria.core.http_errors import header
from noria.core.operations import Operation

if TYPE_CHECKING:
    from litestar.types import Receive

HIDDEN_SLASH = "\x1f"
"""Stands for a `/` inside a path parameter while the path is routed; the gate lets no such character in."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_UNKNOWN_FIELD = re.compile(r"unknown field `([^`]*)`(?! - at)")
_SINGLE = frozenset({int, float, str, bytes, bool, type(None), datetime})
_MAX_QUERY_PAIRS = 200
_UPLOAD_HOP_BYTES = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a request may hold.

    Attributes
    ----------
    body_bytes, upload_bytes
        Sizes of a JSON body and of an upload.
    idle_s
        How long an upload may send nothing.
    """

    body_bytes: int
    upload_bytes: int
    idle_s: float


def path_arguments(operation: Operation, found: dict[str, Any]) -> dict[str, Any]:
    """Read the parameters in the path."""
    return {
        name: _plain(
            str(found[name]).replace(HIDDEN_SLASH, "/"), operation.parameters[name].annotation, f"`{name}`"
        )
        for name in operation.path_parameters
    }


def query_arguments(operation: Operation, query: bytes) -> dict[str, Any]:
    """Read the parameters in the query.

    Raises
    ------
    Invalid
        If one is unknown, given twice, or not of its type.
    """
    texts = _query_texts(operation, query)
    return {
        name: _plain(
            values if _takes_list(operation, name) else values[0],
            operation.parameters[name].annotation,
            f"the query parameter `{name}`",
        )
        for name, values in texts.items()
    }


def _query_texts(operation: Operation, query: bytes) -> dict[str, list[str]]:
    texts: dict[str, list[str]] = {}
    for name, value in _pairs(query):
        if name not in operation.query_parameters:
            raise _unknown_parameter(operation, name)
        if name in texts and not _takes_list(operation, name):
            raise Invalid(f"The query parameter `{name}` is given twice", hint="Give it once")
        if _CONTROL.search(value):
            raise Invalid(f"The query parameter `{name}` holds a control character")
        texts.setdefault(name, []).append(value)
    return texts


def _pairs(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(query),
            errors="strict",
            max_num_fields=_MAX_QUERY_PAIRS,
        )
    except ValueError as error:
        raise Invalid(f"The query cannot be read: {error}", hint="Write `?name=value&other=value`") from error


def _unknown_parameter(operation: Operation, name: str) -> Invalid:
    known = operation.query_parameters
    close = near(name, known)
    listed = ", ".join(f"`{each}`" for each in known)
    hint = f"Did you mean `{close}`?" if close else f"Known: {listed}" if known else "It takes none"
    return Invalid(
        f"`{operation.id}` has no query parameter `{name[:100]}`",
        hint=hint,
        details={"parameter": name[:100]},
    )


def _takes_list(operation: Operation, name: str) -> bool:
    annotation = operation.parameters[name].annotation
    return any(typing.get_origin(each) is list for each in (annotation, *typing.get_args(annotation)))


def _plain(value: str | list[str], annotation: Any, what: str) -> Any:
    try:
        converted = msgspec.convert(value, annotation, strict=False)
    except msgspec.ValidationError as error:
        raise Invalid(f"{what[0].upper()}{what[1:]} has a wrong value: {error}") from error
    if type(converted) is int and not _fits(converted):
        raise Invalid(f"{what[0].upper()}{what[1:]} is larger than 64 bits hold")
    if isinstance(converted, float) and not math.isfinite(converted):
        raise Invalid(f"{what[0].upper()}{what[1:]} must be a finite number, not `{value}`")
    if isinstance(converted, datetime) and converted.tzinfo is None:
        raise Invalid(f"{what[0].upper()}{what[1:]} has no time zone", hint=f"Write `{value}Z` for UTC")
    return converted


def json_decoder(type_: Any) -> Callable[[bytes], Any]:
    """Make the function that reads a JSON body of a type.

    The function raises `Invalid` for what is not JSON or does not fit; the message names the field.
    """
    decode = msgspec.json.Decoder(type_).decode

    def read(body: bytes) -> Any:
        if not body:
            raise Invalid("The request has no body", hint="Send a JSON body")
        try:
            decoded = decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Invalid(
                f"The body does not have the right form: {error}", hint=_hint(str(error), type_)
            ) from error
        check_numbers(decoded)
        return decoded

    return read


def check_numbers(decoded: Any) -> None:
    """Refuse a request with a whole number that neither database nor other programs hold.

    Looks at what was decoded rather than at the bytes: a column of a hundred thousand numbers is read at once then.

    Raises
    ------
    Invalid
        If there is one outside the 64 bits with sign.
    """
    waiting: list[Collection[Any]] = [(decoded,)]
    while waiting:
        values = waiting.pop()
        kinds = set(map(type, values))
        if int in kinds:
            try:
                array("q", values if len(kinds) == 1 else [value for value in values if type(value) is int])
            except OverflowError as error:
                raise Invalid("The body holds a number that is larger than 64 bits hold") from error
        if not kinds <= _SINGLE:
            waiting.extend(found for found in map(_parts, values) if found)


def _parts(value: Any) -> Collection[Any]:
    if isinstance(value, (list, tuple, set, frozenset)):
        return value
    if isinstance(value, dict):
        return [*value, *value.values()]
    if isinstance(value, msgspec.Struct):
        return [getattr(value, name) for name in value.__struct_fields__]
    return ()


def _fits(number: int) -> bool:
    return -(1 << 63) <= number < 1 << 63


def _hint(message: str, type_: Any) -> str | None:
    unknown = _UNKNOWN_FIELD.search(message)
    if unknown is None or not (isinstance(type_, type) and issubclass(type_, msgspec.Struct)):
        return None
    fields = [field.encode_name for field in msgspec.structs.fields(type_)]
    close = near(unknown[1], fields)
    return f"Did you mean `{close}`?" if close else "Known: " + ", ".join(f"`{each}`" for each in fields)


def check_length(headers: Iterable[tuple[bytes, bytes]], limit_bytes: int) -> None:
    """Refuse a body that says beforehand that it is too large.

    Raises
    ------
    TooLarge
        If `Content-Length` is above the limit.
    """
    length = header(headers, b"content-length")
    if length is not None and length.isdigit() and int(length) > limit_bytes:
        raise _too_large(limit_bytes)


def check_content_type(headers: Iterable[tuple[bytes, bytes]], wanted: str) -> None:
    """Refuse a body of another kind than the operation takes.

    Raises
    ------
    ContentTypeRefused
        If `Content-Type` is another.
    """
    kind = (header(headers, b"content-type") or "").partition(";")[0].strip().lower()
    if kind != wanted:
        raise ContentTypeRefused(f"This takes a body of the type `{wanted}`, not `{kind[:100]}`")


async def read_body(receive: Receive, limit_bytes: int) -> bytes:
    """Gather a body.

    Raises
    ------
    TooLarge
        As soon as it passes the limit.
    """
    whole, more = await _next_chunk(receive)
    if len(whole) > limit_bytes:
        raise _too_large(limit_bytes)
    if not more:
        return whole
    gathered = bytearray(whole)
    while more:
        chunk, more = await _next_chunk(receive)
        gathered += chunk
        if len(gathered) > limit_bytes:
            raise _too_large(limit_bytes)
    return bytes(gathered)


class UploadBody:
    """A body that a thread reads while the event loop receives it; read once.

    Nothing is gathered beyond one hop between the two, so memory does not grow with the body.
    """

    def __init__(self, receive: Receive, loop: asyncio.AbstractEventLoop, limits: Limits) -> None:
        self._receive = receive
        self._loop = loop
        self._limits = limits
        self._size_bytes = 0
        self._more = True

    def __iter__(self) -> Iterator[bytes]:
        """Give the chunks, from a thread.

        Raises
        ------
        TooLarge
            As soon as the body passes the limit.
        Unavailable
            If the sender leaves or stops sending.
        """
        while self._more:
            chunk = asyncio.run_coroutine_threadsafe(self._hop(), self._loop).result()
            self._size_bytes += len(chunk)
            if self._size_bytes > self._limits.upload_bytes:
                raise _too_large(self._limits.upload_bytes)
            if chunk:
                yield chunk

    async def _hop(self) -> bytes:
        gathered = bytearray()
        while self._more and len(gathered) < _UPLOAD_HOP_BYTES:
            try:
                async with asyncio.timeout(self._limits.idle_s):
                    chunk, self._more = await _next_chunk(self._receive)
            except TimeoutError as error:
                raise Unavailable(
                    f"The upload sent nothing for {self._limits.idle_s:g} s", hint="Send it again"
                ) from error
            gathered += chunk
        return bytes(gathered)


async def _next_chunk(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Unavailable("The sender left before the body was complete", hint="Send it again")
    return message.get("body", b""), bool(message.get("more_body", False))  # type: ignore[return-value]


def _too_large(limit_bytes: int) -> TooLarge:
    return TooLarge(
        f"The body is larger than {limit_bytes} bytes",
        hint="Send less at once, or raise the limit under `[server]` in `noria.toml`",
        details={"limit_bytes": limit_bytes},
    )
