"""Fingerprints of values: equal content gives equal digests, and unequal content never does.

A value is turned into bytes that can be read back in one way only (every part carries its type and length) and hashed
with BLAKE3. Known to it are None, bool, int, float, complex, str, bytes, dates and times, decimals, ranges, tuples,
lists, sets, dicts (in their order, since a step can see it), enums, dataclasses, `msgspec` structs, NumPy arrays and
numbers, Polars frames, paths (the content of the file or folder and its last name), functions and classes (by their
code), and whatever pickle could take apart: the parts are hashed instead of pickled, so nothing runs but the value's
own `__reduce_ex__`.

What cannot be taken apart has no fingerprint, and a step that depends on it runs each time.
"""

from __future__ import annotations

import copyreg
import dataclasses
import enum
import math
import struct
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import partial
from pathlib import Path, PurePath
from typing import Any, TypeVar
from uuid import UUID

import blake3

from noria.core.errors import NotFound
from noria.pipelines.authoring import Pipeline, Step
from noria.pipelines.outputs import Output

T = TypeVar("T")

_FLUSH_BYTES = 1 << 16
_TEXT_LENGTH = 80
_SMALL = 1 << 64  # beyond, Python limits the conversion to decimal text
_BY_TEXT = (datetime, date, time, timedelta, Decimal, Fraction, UUID, range, slice, complex)
_CODE = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    type,
    Step,
    Pipeline,
    types.ModuleType,
)


class InputMissing(NotFound):
    """A path that a step takes leads to no file and no folder."""

    code = "input_missing"

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(
            f"The input `{path}` does not exist", hint="Check the path; it is read from the working folder"
        )


class Unfingerprintable(Exception):
    """A value whose content cannot be read off.

    Attributes
    ----------
    kind
        Name of its type.
    because
        Why, in words.
    """

    def __init__(self, value: object, because: str) -> None:
        self.kind = type(value).__qualname__
        self.because = because
        super().__init__(f"a `{self.kind}` {because}")


@dataclasses.dataclass(frozen=True, slots=True)
class Fingerprint:
    """What identifies a value.

    Attributes
    ----------
    digest
        BLAKE3, 64 hex digits.
    text
        Short form for messages.
    code
        Functions, classes and modules met inside, whose code belongs to the value.
    named
        `module:name` of what stored outputs met inside refer to.
    """

    digest: str
    text: str
    code: tuple[Any, ...] = ()
    named: tuple[str, ...] = ()


_registered: dict[type, Callable[[Any], Any]] = {}


def register_fingerprint(kind: type[T], content: Callable[[T], Any]) -> None:
    """Say what the content of values of a type is.

    Parameters
    ----------
    kind
        The type; subclasses too, unless they are registered themselves.
    content
        Gives a value that has a fingerprint and differs whenever the original differs in what steps can see.

    Examples
    --------
    >>> class Handle:
    ...     def __init__(self, table: str) -> None:
    ...         self.table = table
    >>> register_fingerprint(Handle, lambda handle: handle.table)
    >>> fingerprint(Handle("a")).digest == fingerprint(Handle("a")).digest
    True
    """
    _registered[kind] = content


def fingerprint(value: object) -> Fingerprint:
    """Give the fingerprint of a value.

    Raises
    ------
    Unfingerprintable
        If its content cannot be read off.
    InputMissing
        If it is, or holds, a path that leads nowhere.
    """
    walk = _Walk()
    try:
        walk.add(value)
    except RecursionError:
        raise Unfingerprintable(value, "is nested too deeply") from None
    return Fingerprint(walk.digest(), shown(value), tuple(walk.code), tuple(sorted(walk.named)))


def module_of(thing: object) -> str:
    """Give the name of the module that a function, class or named object says it lives in."""
    return str(getattr(thing, "__module__", None) or type(thing).__module__)


def shown(value: object, *, depth: int = 2) -> str:
    """Give a short text for a message: the value itself where it is short, its type otherwise."""
    if type(value) is Output:
        text = repr(value)  # asking a handle for its class would load it
    elif isinstance(value, (str, bytes)):
        text = repr(value[: _TEXT_LENGTH + 1])
    elif value is None or isinstance(value, (bool, float, *_BY_TEXT)):
        text = repr(value)
    elif isinstance(value, int):
        text = repr(value) if abs(value) < _SMALL else hex(value)[:_TEXT_LENGTH]
    elif isinstance(value, PurePath):
        text = f"'{value}'"
    elif isinstance(value, (list, tuple, dict, set, frozenset)) and len(value) <= 8:
        text = _shown_items(value, depth - 1) if depth else "…"
    else:
        text = f"<{type(value).__name__}>"
    return text if len(text) <= _TEXT_LENGTH else f"{text[: _TEXT_LENGTH - 1]}…"


def _shown_items(value: Any, depth: int) -> str:
    if isinstance(value, dict):
        pairs = (f"{shown(key, depth=depth)}: {shown(item, depth=depth)}" for key, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    opening, closing = "[]" if isinstance(value, list) else "()" if isinstance(value, tuple) else "{}"
    return opening + ", ".join(shown(item, depth=depth) for item in value) + closing


def digest_of_path(path: Path) -> str:
    """Hash the content of a file, or the names and contents of all files under a folder.

    Raises
    ------
    InputMissing
        If there is neither.
    """
    if path.is_file():
        return _digest_of_file(path)
    if not path.is_dir():
        raise InputMissing(path)
    hasher = blake3.blake3()
    for found in sorted(file for file in path.rglob("*") if file.is_file()):
        hasher.update(f"{found.relative_to(path).as_posix()}\0{_digest_of_file(found)}\n".encode())
    return hasher.hexdigest()


def _digest_of_file(path: Path) -> str:
    return blake3.blake3(max_threads=blake3.blake3.AUTO).update_mmap(path).hexdigest()


class _Walk:
    """Hashes one value, part by part."""

    def __init__(self) -> None:
        self.code: list[Any] = []
        self.named: set[str] = set()
        self._hasher = blake3.blake3()
        self._pending = bytearray()
        self._open: dict[int, int] = {}

    def digest(self) -> str:
        self._hasher.update(self._pending)
        self._pending.clear()
        return self._hasher.hexdigest()

    def add(self, value: Any) -> None:
        writer = _WRITERS.get(type(value))
        if writer is not None:
            writer(self, value)
        else:
            self._add_other(value)

    def write(self, tag: str, payload: bytes | memoryview = b"") -> None:
        """Take in a part: its kind, its length and its bytes, so that parts cannot run into one another."""
        size = payload.nbytes if isinstance(payload, memoryview) else len(payload)
        self._pending += f"{tag}:{size}:".encode()
        if size <= _FLUSH_BYTES:
            self._pending += payload
        if size > _FLUSH_BYTES or len(self._pending) > _FLUSH_BYTES:
            self._hasher.update(self._pending)
            self._pending.clear()
        if size > _FLUSH_BYTES:
            self._hasher.update(payload)

    def items(self, value: object, tag: str, items: Iterable[Any], n_items: int) -> None:
        """Take in a container; one that holds itself is told by how far up it stands."""
        if id(value) in self._open:
            self.write("up", str(len(self._open) - self._open[id(value)]).encode())
            return
        self._open[id(value)] = len(self._open)
        try:
            self.write(tag, str(n_items).encode())
            for item in items:
                self.add(item)
        finally:
            del self._open[id(value)]

    def name(self, thing: Any) -> None:
        """Take in a class or function by name, and keep it for its code."""
        self.code.append(thing)
        module = module_of(thing)
        self.write("name", f"{module}:{getattr(thing, '__qualname__', type(thing).__name__)}".encode())

    def _add_other(self, value: Any) -> None:
        kind = type(value)
        content = _content_of(kind)
        if content is not None:
            self.name(kind)
            self.items(value, "registered", (content(value),), 1)
        elif isinstance(value, PurePath):
            self._add_path(value)
        elif isinstance(value, _CODE):
            self._add_code(value)
        elif isinstance(value, enum.Enum):
            self.name(kind)
            self.write("enum", value.name.encode() if value.name else repr(value).encode())
        elif kind.__module__.startswith(("numpy", "polars")) and self._add_columns(value):
            return
        else:
            self._add_reduced(value)

    def _add_path(self, value: PurePath) -> None:
        self.write("path", value.name.encode("utf-8", "surrogateescape"))
        if isinstance(value, Path):
            self.write("content", digest_of_path(value).encode())

    def _add_code(self, value: Any) -> None:
        if isinstance(value, types.ModuleType):
            self.code.append(value)
            self.write("module", value.__name__.encode())
        elif isinstance(value, types.BuiltinFunctionType) and not isinstance(
            value.__self__, (types.ModuleType, type(None))
        ):
            self.write("method", value.__name__.encode())
            self.add(value.__self__)
        elif isinstance(value, types.MethodType):
            self.name(value.__func__)
            self.add(value.__self__)
        else:
            self.name(value.function if isinstance(value, (Step, Pipeline)) else value)

    def _add_columns(self, value: Any) -> bool:
        numpy, polars = sys.modules.get("numpy"), sys.modules.get("polars")
        if numpy is not None and type(value) is numpy.ndarray:
            self._add_array(value)
        elif numpy is not None and isinstance(value, numpy.generic) and not _points_elsewhere(value.dtype):
            self.write("number", value.dtype.str.encode())
            self.write("bytes", value.tobytes())
        elif polars is not None and isinstance(value, (polars.DataFrame, polars.Series)):
            columns = value.get_columns() if isinstance(value, polars.DataFrame) else [value]
            self.write(type(value).__name__, str((len(columns), len(value))).encode())
            for column in columns:
                self._add_column(column)
        else:
            return False
        return True

    def _add_column(self, column: Any) -> None:
        """Take in a column by its values: how it lies in memory differs between equal columns."""
        kind = column.dtype
        self.write("column", f"{column.name}\0{kind!r}".encode())
        if (kind.is_numeric() or kind.is_temporal()) and not kind.is_decimal():
            self._add_array(column.is_null().to_numpy())
            self._add_array(column.to_physical().fill_null(0).to_numpy())
        else:
            self.add(column.to_list())

    def _add_array(self, value: Any) -> None:
        if _points_elsewhere(value.dtype):
            self.write("objects", repr((value.shape, value.dtype.descr)).encode())
            self.items(value, "items", value.ravel().tolist(), value.size)
            return
        self.write("array", repr((value.shape, value.dtype.descr)).encode())
        contiguous = value if value.flags.c_contiguous else value.copy(order="C")
        # Dates and structures have no buffer of their own, but their bytes do.
        self.write("bytes", memoryview(contiguous.reshape(-1).view("u1")) if value.size else b"")

    def _add_reduced(self, value: Any) -> None:
        parts = _taken_apart(value)
        if parts is None:
            self.name(value)
        else:
            self.name(type(value))
            self.items(value, "reduced", parts, len(parts))


def _content_of(kind: type) -> Callable[[Any], Any] | None:
    if not _registered:
        return None
    return next((_registered[base] for base in kind.__mro__ if base in _registered), None)


def _points_elsewhere(dtype: Any) -> bool:
    """Tell whether an array's own bytes are pointers: objects, and strings of variable length."""
    return bool(dtype.hasobject) or dtype.kind == "T"


def _taken_apart(value: Any) -> list[Any] | None:
    """Give what pickle would keep: maker, arguments, state and items; None for what is known by its name."""
    if isinstance(value, Iterator):
        raise Unfingerprintable(value, "can be read only once")
    try:
        reducer = copyreg.dispatch_table.get(type(value))
        reduced = reducer(value) if reducer else value.__reduce_ex__(4)
    except Exception as error:
        raise Unfingerprintable(value, f"has no content that can be read off ({error})") from error
    if isinstance(reduced, str):
        return [repr(value)] if type(value).__module__ == "typing" else None
    parts: list[Any] = [*reduced, None, None, None][:5]
    return [*parts[:3], list(parts[3] or ()), list(parts[4] or ())]


def _write_int(walk: _Walk, value: int) -> None:
    walk.write("int", str(value).encode() if abs(value) < _SMALL else hex(value).encode())


def _write_float(walk: _Walk, value: float) -> None:
    walk.write("float", b"nan" if math.isnan(value) else struct.pack(">d", value))


def _write_text(walk: _Walk, value: str) -> None:
    walk.write("str", value.encode("utf-8", "surrogatepass"))


def _write_bytes(walk: _Walk, value: bytes | bytearray) -> None:
    walk.write(type(value).__name__, memoryview(value))


def _write_by_text(walk: _Walk, value: object) -> None:
    walk.write(type(value).__name__, repr(value).encode())


def _write_list(walk: _Walk, value: list[Any] | tuple[Any, ...]) -> None:
    walk.items(value, type(value).__name__, value, len(value))


def _write_dict(walk: _Walk, value: Mapping[Any, Any]) -> None:
    walk.items(value, "dict", (part for pair in value.items() for part in pair), len(value))


def _write_set(walk: _Walk, value: set[Any] | frozenset[Any]) -> None:
    members = []
    for member in value:
        found = fingerprint(member)
        walk.code.extend(found.code)
        walk.named.update(found.named)
        members.append(found.digest)
    walk.write(type(value).__name__, "".join(sorted(members)).encode())


def _write_partial(walk: _Walk, value: partial[Any]) -> None:
    walk.items(value, "partial", (value.func, value.args, value.keywords), 3)


def _write_output(walk: _Walk, value: Output) -> None:
    walk.named.update(value.stored.code)
    walk.write("output", (value.stored.content or value.digest).encode())


_WRITERS: dict[type, Callable[[_Walk, Any], None]] = {
    type(None): lambda walk, _: walk.write("none"),
    bool: lambda walk, value: walk.write("bool", b"1" if value else b"0"),
    int: _write_int,
    float: _write_float,
    str: _write_text,
    bytes: _write_bytes,
    bytearray: _write_bytes,
    list: _write_list,
    tuple: _write_list,
    dict: _write_dict,
    set: _write_set,
    frozenset: _write_set,
    partial: _write_partial,
    Output: _write_output,
    **dict.fromkeys(_BY_TEXT, _write_by_text),
}
