"""What rows are read from, brought into a form that does not change while they are predicted.

A Parquet file is read where it lies, held to its digest. A version of a dataset, which never changes, and all that
can only be read from its beginning (CSV, JSON, Arrow, the answer of a database) is copied once into the run's folder.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from blake3 import blake3

from noria.core.errors import Conflict, Invalid, NotFound
from noria.core.workspace import Workspace
from noria.data.client import dataset
from noria.data.delta.errors import SourceUnreadable
from noria.data.delta.sources import SqlQuery, naming, rows_of
from noria.data.entities import DatasetKind
from noria.serving.batch.rows import ArrayRows, Rows, TableRows, stamp_of, table_rows

FILES = (".parquet", ".csv", ".tsv", ".json", ".ndjson", ".jsonl", ".arrow", ".feather", ".gz")
_SQL = re.compile(r"\s*(select|with|table|values)\s", re.IGNORECASE)
_STAGED = "input.parquet"
_STAGED_GROUP_ROWS = 50_000
_DIGEST_BYTES = 1 << 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """An input that was found.

    Attributes
    ----------
    name
        As it is put on record.
    kind
        `dataset`, `file` or `sql`.
    source
        A reference, a path or a statement.
    digest
        Of its content; None where only reading it tells.
    stamp
        Of a file, taken before its content was read.
    url
        Of the database that a statement is for. Never put on record.
    """

    name: str
    kind: str
    source: str
    digest: str | None = None
    stamp: tuple[int, int] | None = None
    url: str | None = None


def find_input(workspace: Workspace, text: str, *, url: str | None = None) -> Input:
    """Find what an input names: a statement of SQL, a file, or a dataset.

    Parameters
    ----------
    url
        Of the database that a statement is for, as SQLAlchemy writes it.

    Raises
    ------
    NotFound
        If there is no such file or dataset.
    Invalid
        If a statement comes without a database, or the file is of no kind that is read.
    """
    if _SQL.match(text):
        return _statement(text, url)
    path = Path(text).expanduser()
    if path.exists() or "/" in text or path.suffix.lower() in FILES:
        return _file(path)
    version = dataset(text, workspace=workspace).current
    return Input(name=version.ref, kind="dataset", source=version.ref, digest=version.digest)


def _statement(text: str, url: str | None) -> Input:
    if url is None:
        raise Invalid(
            "The statement has no database to be asked of",
            hint="Give `--input-url sqlite:///shop.db`, or another address as SQLAlchemy writes it",
        )
    return Input(name=" ".join(text.split()), kind="sql", source=text, url=url)


def _file(path: Path) -> Input:
    if not path.exists():
        raise NotFound(f"There is no file `{path}`", hint="Check the path", details={"path": str(path)})
    place = path.resolve()
    stamp = stamp_of(place)
    return Input(name=str(place), kind="file", source=str(place), digest=_digest_of(place), stamp=stamp)


def _digest_of(path: Path) -> str | None:
    if path.is_dir():
        return None
    hasher = blake3()
    with path.open("rb") as file:
        while block := file.read(_DIGEST_BYTES):
            hasher.update(block)
    return f"blake3:{hasher.hexdigest()}"


def stage_input(workspace: Workspace, found: Input, folder: Path) -> tuple[Rows, Mapping[str, pl.DataType]]:
    """Bring an input into a form that can be read from anywhere; give it with its columns.

    An attempt after the first one takes what the first one copied.
    """
    if found.kind == "dataset":
        version = dataset(found.source, workspace=workspace)
        if version.current.kind is DatasetKind.ARRAYS:
            arrays = _stage_arrays(version.arrays(), folder)
            return arrays, _schema_of(arrays)
    place = Path(found.source)
    if found.kind == "file" and place.suffix == ".parquet" and place.is_file():
        rows = _readable(place)
    else:
        rows = _staged(workspace, found, folder / _STAGED)
    if found.stamp is not None and found.stamp != stamp_of(place):
        raise Conflict(f"`{found.source}` was changed while it was read", hint="Run it again")
    return rows, pl.scan_parquet(rows.path, glob=False).collect_schema()


def _readable(path: Path) -> TableRows:
    try:
        return table_rows(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SourceUnreadable(f"`{path}` cannot be read as a table: {first}") from error


def read_all(workspace: Workspace, found: Input) -> pl.LazyFrame:
    """Give the rows of an input that is a table.

    Raises
    ------
    SourceUnreadable
        If it is none.
    """
    with naming(f"`{found.name}`", Path(found.source) if found.kind == "file" else None):
        try:
            return _lazy(workspace, found, thorough=False).collect().lazy()
        except pl.exceptions.PolarsError:
            return _lazy(workspace, found, thorough=True).collect().lazy()


def _staged(workspace: Workspace, found: Input, target: Path) -> TableRows:
    if not target.exists():
        part = target.with_suffix(".part")
        # Without the package that tables need, there is none of several files.
        if found.kind == "dataset" and importlib.util.find_spec("pyarrow") is not None:
            _copy(dataset(found.source, workspace=workspace).frames(), part)
            part.rename(target)
            return table_rows(target)
        try:
            _lazy(workspace, found, thorough=False).sink_parquet(part, row_group_size=_STAGED_GROUP_ROWS)
        except pl.exceptions.PolarsError:
            # The first rows of a text file did not tell the types of all.
            with naming(f"`{found.name}`", Path(found.source) if found.kind == "file" else None):
                _lazy(workspace, found, thorough=True).sink_parquet(part, row_group_size=_STAGED_GROUP_ROWS)
        part.rename(target)
    return table_rows(target)


def _copy(frames: Iterator[pl.DataFrame], target: Path) -> None:
    """Write frames of the same columns to one file, each as it comes."""
    import pyarrow.parquet as pq

    writer: pq.ParquetWriter | None = None
    try:
        for frame in frames:
            rows = frame.to_arrow()
            if writer is None:
                writer = pq.ParquetWriter(target, rows.schema, compression="lz4")
            writer.write_table(rows.cast(writer.schema), row_group_size=_STAGED_GROUP_ROWS)
    finally:
        if writer is not None:
            writer.close()


def _lazy(workspace: Workspace, found: Input, *, thorough: bool) -> pl.LazyFrame:
    if found.kind == "dataset":
        return dataset(found.source, workspace=workspace).scan()
    if found.kind == "sql":
        return rows_of(SqlQuery(query=found.source, url=found.url or ""))(None)
    rows = rows_of(found.source)
    return (rows.looked_through() if thorough else rows)(None)


def _stage_arrays(arrays: Mapping[str, Any], folder: Path) -> ArrayRows:
    lengths = {name: len(array) for name, array in arrays.items() if array.ndim}
    if len(set(lengths.values())) != 1 or len(lengths) != len(arrays):
        listed = ", ".join(f"`{name}` {lengths.get(name, 'none')}" for name in arrays)
        raise Invalid(f"The arrays have different numbers of rows: {listed}")
    paths = {}
    for index, (name, array) in enumerate(arrays.items()):
        place = folder / f"input-{index}.npy"
        part = folder / f"input-{index}.part.npy"
        np.save(part, array, allow_pickle=False)
        part.rename(place)
        paths[name] = str(place)
    return ArrayRows(paths=paths, n_rows=next(iter(lengths.values())))


def _schema_of(rows: ArrayRows) -> dict[str, pl.DataType]:
    """Give columns for arrays; one of several dimensions is a nested one."""
    return {
        name: pl.Series(array[:1]).dtype if array.ndim == 1 else pl.Array(pl.Float64, array.shape[1:])
        for name, array in rows.arrays.items()
    }


def count_duplicates(rows: Rows, key: tuple[str, ...]) -> tuple[int, list[Any]]:
    """Count input rows whose key an earlier row has, and give some of these keys."""
    if isinstance(rows, TableRows):
        keys = pl.scan_parquet(rows.path, glob=False).select(key)
    else:
        keys = rows.frame(0, rows.n_rows, list(key)).lazy()
    counted = keys.group_by(key).len(name="\0n").filter(pl.col("\0n") > 1)
    found = counted.select(pl.sum("\0n") - pl.len(), pl.len()).collect(engine="streaming")
    n_more = int(found.item(0, 0) or 0)
    shown = counted.sort(key).head(3).collect(engine="streaming").drop("\0n") if n_more else None
    return n_more, [] if shown is None else [dict(row) for row in shown.iter_rows(named=True)]
