"""What a source becomes: files to store, and what can be said about its rows.

Arrays are kept as one `.npy` file per name, tables as Parquet, files and folders as they are. Nothing here is ever
unpickled.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from noria.core.errors import Invalid
from noria.core.names import check_name
from noria.data.entities import DatasetKind

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

TABLE_FILE = "table.parquet"
_TABULAR = (".csv", ".parquet")


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """A source, laid out as files.

    Attributes
    ----------
    folder
        A file or folder to store as it is, when there is one; otherwise `files` holds bytes by path.
    """

    kind: DatasetKind
    folder: Path | None = None
    files: Mapping[str, bytes] | None = None
    n_rows: int | None = None
    profile: dict[str, Any] | None = None


def read_source(source: Any, *, target: str | None = None) -> Content:
    """Lay out a path, an array, a mapping of arrays or a Polars frame.

    Parameters
    ----------
    target
        Column to be predicted: the profile of a table then tells which others give it away.

    Raises
    ------
    Invalid
        If the source is of another kind, is missing, or holds Python objects; the message names it.
    """
    if isinstance(source, (str, Path)):
        return _read_path(Path(source), target)
    if isinstance(source, Mapping):
        return _read_arrays(source, target)
    kind = f"{type(source).__module__}.{type(source).__name__}"
    if kind == "numpy.ndarray":
        return _read_arrays({"data": source})
    if kind.startswith("polars.") and hasattr(source, "write_parquet"):
        return _read_frame(source, target)
    raise Invalid(
        f"A dataset cannot be made of `{kind}`",
        hint="Give a path, a NumPy array, a mapping of names to arrays, or a Polars frame",
    )


def load_arrays(files: Iterator[tuple[str, bytes]]) -> dict[str, np.ndarray[Any, Any]]:
    """Read `.npy` files into arrays by name."""
    import numpy as np

    return {
        path.removesuffix(".npy"): np.load(io.BytesIO(content), allow_pickle=False) for path, content in files
    }


def _read_path(path: Path, target: str | None) -> Content:
    if not path.exists():
        raise Invalid(
            f"There is no file or folder `{path}`", hint="Check the path", details={"path": str(path)}
        )
    if path.suffix == ".npz":
        return _read_arrays(_load_numpy(path), target)
    if path.suffix == ".npy":
        return _read_arrays({"data": _load_numpy(path)})
    if path.suffix in _TABULAR and path.is_file():
        return _read_table_file(path, target)
    return Content(kind=DatasetKind.FILES, folder=path)


def _load_numpy(path: Path) -> Any:
    import zipfile
    import zlib

    import numpy as np

    try:
        # NumPy leaves a broken file open that it opened itself.
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            is_archive = isinstance(loaded, np.lib.npyio.NpzFile)
            if is_archive != (path.suffix == ".npz"):
                raise ValueError("an archive of arrays ends in `.npz`, a single array in `.npy`")
            return dict(loaded) if is_archive else loaded
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise Invalid(
            f"`{path}` cannot be read as NumPy arrays: {error}",
            hint="Arrays of Python objects are refused, since reading them would run code; give numbers or text",
        ) from error


def _read_table_file(path: Path, target: str | None) -> Content:
    from noria.data.profiling.files import open_table_file
    from noria.data.profiling.tables import stored_profile

    with open_table_file(path) as table:
        profile = stored_profile(table, target=_held(target, table.schema))
        return Content(kind=DatasetKind.FILES, folder=path, n_rows=table.n_rows, profile=profile)


def _read_arrays(arrays: Mapping[str, Any], target: str | None = None) -> Content:
    import numpy as np

    if not arrays:
        raise Invalid("The mapping of arrays is empty", hint='Give at least one, such as `{"x": x, "y": y}`')
    prepared = {check_name("array", name): np.asarray(value) for name, value in arrays.items()}
    files = {}
    for name, array in prepared.items():
        if array.dtype.hasobject:
            raise Invalid(
                f"The array `{name}` holds Python objects",
                hint="Convert it to numbers or to text (`astype(str)`)",
            )
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        files[f"{name}.npy"] = buffer.getvalue()
    lengths = {array.shape[0] for array in prepared.values() if array.ndim}
    n_rows = lengths.pop() if len(lengths) == 1 else None
    return Content(
        kind=DatasetKind.ARRAYS, files=files, n_rows=n_rows, profile=_array_profile(prepared, n_rows, target)
    )


def _read_frame(frame: pl.DataFrame, target: str | None) -> Content:
    from noria.data.profiling.sources import FrameTable
    from noria.data.profiling.tables import stored_profile

    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    profile = stored_profile(FrameTable(frame), target=_held(target, frame.schema))
    files = {TABLE_FILE: buffer.getvalue()}
    return Content(kind=DatasetKind.TABLE, files=files, n_rows=frame.height, profile=profile)


def _array_profile(
    arrays: Mapping[str, Any], n_rows: int | None, target: str | None
) -> dict[str, Any] | None:
    from noria.core.stats.columns import flatten_columns
    from noria.data.profiling.sources import ArraysTable
    from noria.data.profiling.tables import stored_profile

    if not n_rows:
        return None
    columns = flatten_columns({name: array for name, array in arrays.items() if array.dtype.kind in "biufUS"})
    return stored_profile(ArraysTable(columns), target=_held(target, columns))


def _held(target: str | None, columns: Collection[str]) -> str | None:
    """Leave out a target that this version has no column for: rows without labels are data too."""
    return target if target in columns else None
