"""Rows of tables, read out of the object store as far as they are asked for."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow import fs

from noria.core.objects.store import ObjectReader
from noria.core.objects.trees import Entry
from noria.data.delta.parquet import arrow_schema

_WHOLE_BYTES = 1 << 20  # a file up to this size is fetched in one go, which also checks its digest


class ObjectFile(io.RawIOBase):
    """An object as a file that can be read anywhere.

    Parameters
    ----------
    store
        Where it lies.
    entry
        Its digest and size.
    """

    def __init__(self, store: ObjectReader, entry: Entry) -> None:
        super().__init__()
        self._store = store
        self._digest = entry.digest
        self._size = entry.size_bytes
        self._position = 0
        self._whole: bytes | None = None

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read from anywhere."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a place."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """Give the place."""
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """Read from here on."""
        rest = max(0, self._size - self._position)
        length = rest if size is None or size < 0 else min(size, rest)
        found = self._part(self._position, length) if length else b""
        self._position += len(found)
        return found

    def _part(self, start: int, length: int) -> bytes:
        if self._size > _WHOLE_BYTES:
            return b"".join(self._store.open(self._digest, start=start, length=length))
        if self._whole is None:
            self._whole = self._store.get(self._digest, limit_bytes=_WHOLE_BYTES)
        return self._whole[start : start + length]


class _ObjectFiles(fs.FileSystemHandler):  # type: ignore[misc]
    """The data files of a version, as Arrow reads files."""

    def __init__(self, store: ObjectReader, entries: Mapping[str, Entry]) -> None:
        self._store = store
        self._entries = entries

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __ne__(self, other: object) -> bool:
        return self is not other

    def get_type_name(self) -> str:
        return "noria"

    def normalize_path(self, path: str) -> str:
        return path

    def get_file_info(self, paths: Sequence[str]) -> list[fs.FileInfo]:
        return [fs.FileInfo(path, fs.FileType.File, size=self._entries[path].size_bytes) for path in paths]

    def get_file_info_selector(self, selector: fs.FileSelector) -> list[fs.FileInfo]:
        return self.get_file_info([p for p in self._entries if p.startswith(selector.base_dir)])

    def open_input_file(self, path: str) -> pa.NativeFile:
        return pa.PythonFile(ObjectFile(self._store, self._entries[path]), mode="r")

    open_input_stream = open_input_file

    def _refuse(self, *_: object) -> None:
        raise NotImplementedError("objects are never changed")

    create_dir = delete_dir = delete_dir_contents = delete_root_dir_contents = _refuse
    delete_file = move = copy_file = open_output_stream = open_append_stream = _refuse


def scan_parts(
    store: ObjectReader, entries: Mapping[str, Entry], paths: Sequence[str], schema: pl.Schema
) -> pl.LazyFrame:
    """Give the rows of data files, read when they are collected: only the columns and row groups that are needed.

    Parameters
    ----------
    entries
        Files by their path.
    paths
        Which of them, in the order of rows.
    schema
        Columns of the table; those that a file does not have are empty for its rows.
    """
    if not paths:
        return pl.LazyFrame(schema=schema)
    options = ds.ParquetFragmentScanOptions(pre_buffer=True)
    files = ds.dataset(
        list(paths),
        schema=arrow_schema(schema),
        format=ds.ParquetFileFormat(default_fragment_scan_options=options),
        filesystem=fs.PyFileSystem(_ObjectFiles(store, entries)),
    )
    return pl.scan_pyarrow_dataset(files)
