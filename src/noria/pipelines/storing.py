"""Store values in a project's objects and load them again.

Whoever asks for a value gets a new one, made from the stored bytes: a step that changes what it was given changes
nothing for the next one, and a run that reuses results sees the same values as the run that made them.
"""

from __future__ import annotations

import functools
import json
import shutil
import tempfile
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

from noria.core.objects.checkouts import checkout
from noria.core.objects.shelf import shelf_of
from noria.core.objects.store import ObjectInfo, ObjectReader, ObjectWriter
from noria.core.objects.trees import Entry, make_manifest, put_manifest, put_tree, read_manifest
from noria.pipelines.cache_entities import StoredValue
from noria.pipelines.codecs import OutputNotStorable, decode, encode, find_codec, is_plain, is_registered
from noria.pipelines.mapped import LARGE_BYTES, mapped_form, mapped_form_of
from noria.pipelines.marks import Marks
from noria.pipelines.values import Unfingerprintable, fingerprint

KEPT_BYTES = 64 * 1024 * 1024
"""Bytes of small values that stay in memory between the step that made them and those that take them."""

_LIMIT_BYTES = 64 * 1024**3
_STRUCTURE = "value.json"
_CONTAINERS: dict[str, Callable[[list[Any]], Any]] = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
}
_VARYING = frozenset({"skops", "pickle"})
_KINDS = (dict, *_CONTAINERS.values())


class Objects(ObjectReader, ObjectWriter, Protocol):
    """Where the bytes of values are kept."""


class ValueStore:
    """Values by what they are stored as.

    Files and folders are copied out into a temporary folder that lives as long as this object.

    Parameters
    ----------
    objects
        Objects of the project.
    flushes
        Whether whoever made this calls `flush` in the end. Small values then do not wait for the disk one by one.
    marks
        The files of large values that were found right.
    """

    def __init__(self, objects: Objects, *, flushes: bool = False, marks: Marks | None = None) -> None:
        self._objects = objects
        self._flushes = flushes
        self._unflushed: set[str] = set()
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._kept_bytes = 0
        self._folder: Path | None = None
        self._own: set[str] = set()
        self.marks = Marks() if marks is None else marks

    def trust(self, stored: StoredValue) -> None:
        """Take a value for one that this user wrote: only such pickles are read back."""
        self._own.add(stored.digest)

    def trust_digests(self, digests: Iterable[str]) -> None:
        """Take the values of these digests for some that this user wrote."""
        self._own.update(digests)

    def trusts(self, stored: StoredValue) -> bool:
        """Tell whether a value is taken for one that this user wrote."""
        return stored.digest in self._own

    def kept(self, digest: str) -> bytes | None:
        """Give the bytes of an object if they are in memory."""
        return self._kept.get(digest)

    def take_in(self, data: bytes) -> None:
        """Store the bytes of a small object that another process made."""
        self._put(data)

    def put_bytes(self, data: bytes) -> ObjectInfo:
        """Store the bytes of a small object."""
        shelf = shelf_of(self._objects) if self._flushes else None
        if shelf is None:
            return self._objects.put_bytes(data)
        info = shelf.put_bytes(data)
        self._unflushed.add(info.digest)
        return info

    def save(self, value: Any) -> StoredValue:
        """Store a value.

        Raises
        ------
        OutputNotStorable
            If it has no stored form: a generator, a lambda, an open file.
        """
        stored = self._save(value)
        self.trust(stored)
        return stored

    def _save(self, value: Any) -> StoredValue:
        if isinstance(value, Path):
            return self._save_path(value)
        try:
            return self._save_tree(value) if _is_container(value) else self._save_whole(value)
        except RecursionError:
            raise OutputNotStorable(value, "it holds itself", mend="Return data without circles") from None

    def _save_whole(self, value: Any) -> StoredValue:
        large = self._save_large(value)
        if large is not None:
            return large
        encoded = encode(value)
        return StoredValue(
            codec=encoded.codec,
            digest=self._put(encoded.data),
            size_bytes=len(encoded.data),
            portable=encoded.portable,
            code=list(encoded.code),
            content=_content(value, [encoded.codec]),
        )

    def _save_large(self, value: Any) -> StoredValue | None:
        """Keep a large table or array as a file that is mapped; None if it is none, or the store is elsewhere."""
        form = mapped_form_of(value)
        shelf = shelf_of(self._objects) if form is not None and not is_registered(value) else None
        if form is None or shelf is None:
            return None
        info = shelf.put_written(functools.partial(form.write, value))
        place = shelf.place_of(info.digest)
        if place is not None:
            self.marks.note(info.digest, place)
        if self._flushes:
            self._unflushed.add(info.digest)
        return StoredValue(codec=form.codec, digest=info.digest, size_bytes=info.size_bytes)

    def flush(self, stored: Iterable[StoredValue]) -> None:
        """Have all that was saved on disk for good, and the large ones among values that other processes saved."""
        shelf = shelf_of(self._objects)
        if shelf is not None:
            large = {value.digest for value in stored if value.size_bytes >= LARGE_BYTES}
            shelf.flush(sorted(large | self._unflushed))
            self._unflushed.clear()

    def load(self, stored: StoredValue) -> Any:
        """Make a stored value anew, verified.

        Raises
        ------
        ObjectNotFound, ObjectCorrupt
            If its bytes are gone or damaged.
        PickleRefused
            If it is, or holds, a pickle of somebody else.
        CodecUnknown
            If its codec is not registered in this process.
        """
        if stored.codec in ("file", "folder"):
            return self._load_path(stored)
        if stored.codec == "tree":
            return self._load_tree(stored)
        return self._load_whole(stored.codec, stored.digest, stored.size_bytes, stored.digest in self._own)

    def _load_whole(self, codec: str, digest: str, size_bytes: int, unpickle: bool) -> Any:
        if size_bytes >= LARGE_BYTES:
            mapped = self._map(codec, digest)
            if mapped is not None:
                return mapped
        return decode(codec, self._get(digest), unpickle=unpickle)

    def _map(self, codec: str, digest: str) -> Any:
        """Map a large value, checked; None if it does not lie in a file of its own."""
        form, shelf = mapped_form(codec), shelf_of(self._objects)
        place = shelf.place_of(digest) if form is not None and shelf is not None else None
        if form is None or place is None:
            return None
        self.marks.check(digest, place)
        return form.map(place)

    def _save_path(self, path: Path) -> StoredValue:
        if not path.exists():
            raise OutputNotStorable(
                path,
                f"`{path}` does not exist",
                mend="Return the path of a file or folder that the step wrote",
            )
        tree = put_tree(self._objects, path)
        return StoredValue(
            codec="folder" if path.is_dir() else "file", digest=tree.digest, size_bytes=tree.size_bytes
        )

    def _load_path(self, stored: StoredValue) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="noria-run-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        place = Path(tempfile.mkdtemp(dir=self._folder))
        checkout(self._objects, stored.digest, place)
        return place if stored.codec == "folder" else next(iter(place.iterdir()))

    def _save_tree(self, value: Any) -> StoredValue:
        parts = _Parts(self._save_whole)
        structure = json.dumps(parts.structure_of(value)).encode()
        files = {
            _STRUCTURE: StoredValue(codec="json", digest=self._put(structure), size_bytes=len(structure))
        }
        files |= parts.files
        entries = [
            Entry(path=path, digest=part.digest, size_bytes=part.size_bytes) for path, part in files.items()
        ]
        tree = put_manifest(self, make_manifest(entries))
        return StoredValue(
            codec="tree",
            digest=tree.digest,
            size_bytes=tree.size_bytes,
            portable=all(part.portable for part in files.values()),
            code=sorted({name for part in files.values() for name in part.code}),
            content=_content(value, [part.codec for part in files.values()]),
        )

    def _load_tree(self, stored: StoredValue) -> Any:
        entries = {entry.path: entry for entry in read_manifest(self._objects, stored.digest).entries}
        structure = json.loads(self._get(entries[_STRUCTURE].digest))
        unpickle = stored.digest in self._own

        def part(codec: str, path: str) -> Any:
            return self._load_whole(codec, entries[path].digest, entries[path].size_bytes, unpickle)

        return _rebuild(structure, part)

    def _put(self, data: bytes) -> str:
        digest = self.put_bytes(data).digest
        if len(data) <= KEPT_BYTES // 8:
            self._keep(digest, data)
        return digest

    def _get(self, digest: str) -> bytes:
        kept = self._kept.get(digest)
        if kept is not None:
            self._kept.move_to_end(digest)
            return kept
        return self._objects.get(digest, limit_bytes=_LIMIT_BYTES)

    def _keep(self, digest: str, data: bytes) -> None:
        if digest not in self._kept:
            self._kept_bytes += len(data)
        self._kept[digest] = data
        while self._kept_bytes > KEPT_BYTES:
            _, dropped = self._kept.popitem(last=False)
            self._kept_bytes -= len(dropped)


class _Parts:
    """Takes a container apart into a JSON structure and the files of what JSON does not hold."""

    def __init__(self, save: Callable[[Any], StoredValue]) -> None:
        self.files: dict[str, StoredValue] = {}
        self._save = save

    def structure_of(self, value: Any) -> Any:
        kind = type(value)
        if not _is_container(value):
            if is_plain(value) and not is_registered(value):
                return {"plain": value}
            stored = self._save(value)
            path = f"{len(self.files):06d}.{stored.codec}"
            self.files[path] = stored
            return {"part": path, "codec": stored.codec}
        if kind is dict:
            items = [[self.structure_of(key), self.structure_of(item)] for key, item in value.items()]
            return {"dict": items}
        return {kind.__name__: [self.structure_of(item) for item in value]}


def _content(value: Any, codecs: list[str]) -> str | None:
    """Fingerprint a value whose stored bytes differ each time though it is the same."""
    if _VARYING.isdisjoint(codecs):
        return None
    try:
        return fingerprint(value).digest
    except Unfingerprintable:
        return None


def _rebuild(structure: dict[str, Any], read: Callable[[str, str], Any]) -> Any:
    if "plain" in structure:
        return structure["plain"]
    if "part" in structure:
        return read(structure["codec"], structure["part"])
    if "dict" in structure:
        return {_rebuild(key, read): _rebuild(item, read) for key, item in structure["dict"]}
    ((kind, items),) = structure.items()
    return _CONTAINERS[kind]([_rebuild(item, read) for item in items])


def _is_container(value: Any) -> bool:
    """Tell whether a value is stored part by part: a container that no codec takes as a whole."""
    return type(value) in _KINDS and find_codec(value) is None
