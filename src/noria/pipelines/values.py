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
import enum
import math
import pickle
import struct
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, time
from functools import partial
from pathlib import Path, PurePath
from typing import Any, ParamSpec, TypeVar

import blake3
import msgspec

from noria.pipelines.authoring import Pipeline, Step
from noria.pipelines.columns import add_columns
from noria.pipelines.distributions import is_packaged
from noria.pipelines.members import (
    functions_of,
    members_of,
    runs_library_code,
    stands_by_name,
    values_of_function,
)
from noria.pipelines.outputs import Output
from noria.pipelines.paths import digest_of_path
from noria.pipelines.showing import BY_TEXT, SMALL, shown
from noria.pipelines.sources import digest_of_code

T = TypeVar("T")

_FLUSH_BYTES = 1 << 16
_CODE = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    type,
    Step,
    Pipeline,
    types.ModuleType,
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


class Fingerprint(msgspec.Struct, frozen=True):
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


def place_of(thing: object) -> str:
    """Give the module of a thing as it is called in every process: a script is `__main__` in its workers too."""
    module = module_of(thing)
    return "__main__" if module == "__mp_main__" else module


class _Walk:
    """Hashes one value, part by part."""

    def __init__(self, within: _Walk | None = None) -> None:
        self.code: list[Any] = within.code if within else []
        self.named: set[str] = within.named if within else set()
        self._hasher = blake3.blake3()
        self._pending = bytearray()
        self._open: dict[int, int] = within._open if within else {}

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
        module = place_of(thing)
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
            self.write("enum", (value.name or repr(value)).encode())
        elif not add_columns(self, value):
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
            self.add(value.__func__)
            self.add(value.__self__)
        else:
            self._add_definition(value.function if isinstance(value, (Step, Pipeline)) else value)

    def _add_definition(self, value: Any) -> None:
        """Take in a function or class: its name, and what tells it from others of that name."""
        self.name(value)
        standing = stands_by_name(value)
        if isinstance(value, types.FunctionType):
            if not standing:
                self.write("code", digest_of_code(value.__code__, with_docstring=False).encode())
            self._add_carried(value, dict(values_of_function(value)), strict=not runs_library_code(value))
        elif isinstance(value, type) and not standing and not is_packaged(value.__module__):
            functions = {f"{name}()": function for name, function in functions_of(value)}
            self._add_carried(value, {**functions, **dict(members_of(value))}, strict=False)

    def _add_carried(self, owner: Any, carried: dict[str, Any], *, strict: bool) -> None:
        """Take in what a function or class carries; what has no fingerprint and is a library's is passed over."""
        if not carried or id(owner) in self._open:
            return
        self._open[id(owner)] = len(self._open)
        try:
            for name, value in carried.items():
                self.write("carried", name.encode())
                part = _Walk(self)
                try:
                    part.add(value)
                except Unfingerprintable:
                    if strict:
                        raise
                    continue
                self.write("part", part.digest().encode())
        finally:
            del self._open[id(owner)]

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
        return _parts_of_named(value, reduced)
    parts: list[Any] = [*reduced, None, None, None][:5]
    return [*parts[:3], list(parts[3] or ()), list(parts[4] or ())]


def _parts_of_named(value: Any, name: str) -> list[Any] | None:
    if isinstance(value, (TypeVar, ParamSpec)):
        return [value.__name__, value.__bound__, getattr(value, "__constraints__", ())]
    if type(value).__module__ == "typing":
        return [repr(value)]
    try:
        home = pickle.whichmodule(value, name)  # type: ignore[attr-defined] # typeshed leaves it out
        found = getattr(sys.modules.get(home), name, None)
    except AttributeError:
        found = None
    if found is not value:
        raise Unfingerprintable(value, "is known by a name only that leads elsewhere")
    return None


def _write_int(walk: _Walk, value: int) -> None:
    walk.write("int", str(value).encode() if abs(value) < SMALL else hex(value).encode())


def _write_float(walk: _Walk, value: float) -> None:
    walk.write("float", b"nan" if math.isnan(value) else struct.pack(">d", value))


def _write_text(walk: _Walk, value: str) -> None:
    walk.write("str", value.encode("utf-8", "surrogatepass"))


def _write_bytes(walk: _Walk, value: bytes | bytearray) -> None:
    walk.write(type(value).__name__, memoryview(value))


def _write_by_text(walk: _Walk, value: object) -> None:
    walk.write(type(value).__name__, repr(value).encode())


def _write_time(walk: _Walk, value: datetime | time) -> None:
    walk.write(type(value).__name__, repr((value.replace(tzinfo=None), value.fold)).encode())
    walk.add(value.tzinfo)


def _write_slice(walk: _Walk, value: slice) -> None:
    walk.items(value, "slice", (value.start, value.stop, value.step), 3)


def _write_view(walk: _Walk, value: types.MappingProxyType[Any, Any]) -> None:
    walk.write("view")
    walk.add(dict(value))


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
    **dict.fromkeys(BY_TEXT, _write_by_text),
    datetime: _write_time,
    time: _write_time,
    slice: _write_slice,
    types.MappingProxyType: _write_view,
}
