"""Pack the arguments of a step for another process: by digest, small ones with their bytes."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noria.core.errors import Invalid
from noria.core.objects.digests import hash_bytes
from noria.core.objects.shelf import Shelf, shelf_of
from noria.core.objects.store import ObjectInfo
from noria.pipelines.cache_entities import StoredValue
from noria.pipelines.codecs import OutputNotStorable
from noria.pipelines.executors.work import Packed, Work
from noria.pipelines.marks import FileMark
from noria.pipelines.outputs import Output
from noria.pipelines.storing import Objects, ValueStore

if TYPE_CHECKING:
    from noria.pipelines.executors.calls import Call

CARRIED_BYTES = 64 * 1024
"""Objects up to this size travel with the message; larger ones through the object store."""


class ArgumentNotSendable(Invalid):
    """An argument of a step cannot be given to another process."""

    code = "argument_not_sendable"


class CarriedObjects:
    """Small objects in memory, in front of a store for the rest.

    Parameters
    ----------
    open_store
        Opens the store when it is first needed.

    Attributes
    ----------
    carried
        Small objects that were put here, or were given.
    brought
        What was put into the store.
    """

    def __init__(self, open_store: Callable[[], Objects], given: Mapping[str, bytes] | None = None) -> None:
        self._open = open_store
        self._store: Objects | None = None
        self._given = dict(given or {})
        self.carried: dict[str, bytes] = {}
        self.brought: dict[str, ObjectInfo] = {}

    def give(self, objects: Mapping[str, bytes]) -> None:
        """Take in small objects of the other side; those of before are forgotten."""
        self._given = dict(objects)
        self.carried = {}
        self.brought = {}

    def put_bytes(self, data: bytes, *, expected: str | None = None) -> ObjectInfo:
        """Keep bytes: small ones in memory."""
        if len(data) > CARRIED_BYTES or expected is not None:
            return self._noted(self.store.put_bytes(data, expected=expected))
        digest = hash_bytes(data)
        self.carried[digest] = bytes(data)
        return ObjectInfo(digest=digest, size_bytes=len(data))

    def put(self, chunks: Any, *, expected: str | None = None, limit_bytes: int | None = None) -> ObjectInfo:
        """Put a stream into the store."""
        return self._noted(self.store.put(chunks, expected=expected, limit_bytes=limit_bytes))

    def put_file(self, path: Path) -> ObjectInfo:
        """Put a file into the store."""
        return self._noted(self.store.put_file(path))

    def put_files(self, paths: Sequence[str | Path], *, progress: Any = None) -> list[ObjectInfo]:
        """Put files into the store."""
        return [self._noted(info) for info in self.store.put_files(paths, progress=progress)]

    def get(self, digest: str, *, limit_bytes: int) -> bytes:
        """Give all bytes of an object."""
        known = self._given.get(digest) or self.carried.get(digest)
        return self.store.get(digest, limit_bytes=limit_bytes) if known is None else known

    def shelf(self) -> Shelf | None:
        """Give the shelf of the store, where large tables lie as files."""
        inner = shelf_of(self.store)
        return None if inner is None else inner.within(took_in=self._note)

    @property
    def store(self) -> Objects:
        """The store for what is not small."""
        if self._store is None:
            self._store = self._open()
        return self._store

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def _noted(self, info: ObjectInfo) -> ObjectInfo:
        self._note(info)
        return info

    def _note(self, info: ObjectInfo) -> None:
        self.brought[info.digest] = info


class Packer:
    """Packs arguments.

    Parameters
    ----------
    values
        Of the run.
    objects
        Its objects.
    shares_files
        Whether the other side sees the files of this machine. If not, paths travel by content.
    """

    def __init__(self, values: ValueStore, objects: Objects, *, shares_files: bool) -> None:
        self._values = values
        self._shares_files = shares_files
        self._objects = CarriedObjects(lambda: objects)
        self._plain = ValueStore(self._objects)
        self._trusted: set[str] = set()
        self._carried: dict[str, bytes] = {}
        self._marks: dict[str, FileMark] = {}

    def pack(
        self, step: str, arguments: Mapping[str, Any]
    ) -> tuple[dict[str, Packed], dict[str, bytes], list[str], dict[str, FileMark]]:
        """Give the arguments, the small objects among them, the digests that may be unpickled, and marks of files.

        Raises
        ------
        ArgumentNotSendable
            If one has no stored form.
        """
        self._trusted, self._carried, self._marks = set(), {}, {}
        self._objects.give({})
        packed = {}
        for name, value in arguments.items():
            try:
                packed[name] = self._packed(value)
            except OutputNotStorable as error:
                raise ArgumentNotSendable(
                    f"The argument `{name}` of the step `{step}` cannot be given to another process: "
                    f"{error.message}",
                    hint="Make it in the step itself, or run without workers",
                ) from error
        carried = {**self._carried, **self._objects.carried}
        return packed, carried, sorted(self._trusted), self._marks

    def _packed(self, value: Any) -> Packed:
        kind = type(value)
        if kind is Output:
            return Packed("output", self._sent(value.stored))
        if not _is_taken_apart(value):
            return self._plain_packed(value)
        if kind is dict:
            return Packed("dict", items=[self._packed(part) for pair in value.items() for part in pair])
        items = [self._packed(item) for item in value]
        if hasattr(kind, "_fields"):
            return Packed("named", text=f"{kind.__module__}:{kind.__qualname__}", items=items)
        return Packed("list" if kind is list else "tuple", items=items)

    def _plain_packed(self, value: Any) -> Packed:
        if isinstance(value, Path):
            if self._shares_files:
                return Packed("path", text=str(value))
            return Packed("output", self._sent(self._values.save(value)))
        stored = self._plain.save(value)
        self._trusted.add(stored.digest)
        return Packed("value", stored)

    def _sent(self, stored: StoredValue) -> StoredValue:
        if self._values.trusts(stored):
            self._trusted.add(stored.digest)
        kept = self._values.kept(stored.digest)
        if kept is not None and len(kept) <= CARRIED_BYTES:
            self._carried[stored.digest] = kept
        self._marks.update(self._values.marks.of([stored.digest]))
        return stored


def work_of(call: Call, packer: Packer, inputs_read: Sequence[str]) -> Work:
    """Make an attempt at a call, for another process.

    Raises
    ------
    ArgumentNotSendable
        If an argument has no stored form.
    """
    step, function = call.step, call.step.function
    arguments, carried, trusted, marks = packer.pack(step.name, call.arguments)
    return Work(
        number=call.position,
        step=step.name,
        module=function.__module__ or "",
        name=function.__qualname__,
        arguments=arguments,
        carried=carried,
        trusted=trusted,
        marks=marks,
        parts=call.parts,
        keyed=call.key is not None,
        inputs_read=list(inputs_read),
        resources=step.resources,
        timeout_s=step.timeout_s,
    )


def unpacked(packed: Packed, values: ValueStore) -> Any:
    """Give an argument as the body gave it, outputs as handles."""
    if packed.kind == "path":
        return Path(packed.text)
    if packed.stored is not None:
        return Output(packed.stored, values.load) if packed.kind == "output" else values.load(packed.stored)
    items = [unpacked(item, values) for item in packed.items]
    if packed.kind == "dict":
        return dict(zip(items[::2], items[1::2], strict=True))
    if packed.kind == "named":
        return _named(packed.text)(*items)
    return items if packed.kind == "list" else tuple(items)


def _is_taken_apart(value: Any) -> bool:
    """Tell whether a value is a container with a handle or a path inside."""
    kind = type(value)
    if kind is dict:
        return any(map(_travels_apart, value.values()))
    return (kind is list or isinstance(value, tuple)) and any(map(_travels_apart, value))


def _travels_apart(value: Any) -> bool:
    return type(value) is Output or isinstance(value, Path) or _is_taken_apart(value)


def _named(text: str) -> Any:
    module, _, name = text.partition(":")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found
