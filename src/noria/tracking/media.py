"""Turn figures, tables, images and texts into files that a run keeps.

No plotting or table library is imported: what is given says by its methods what it is.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from noria.core.errors import Invalid
from noria.core.serialisation import to_json
from noria.tracking.limits import check_artifact_path, shorten
from noria.tracking.png import as_png

if TYPE_CHECKING:
    import polars as pl

_PLOTLY_FORMATS = (".json", ".html")
_MATPLOTLIB_FORMATS = (".png", ".svg", ".pdf", ".jpg", ".jpeg", ".webp")
_TABLE_FORMATS = (".parquet", ".json", ".csv")
_DOTS_PER_INCH = 150


class MadeFile(NamedTuple):
    """A file in memory, with its path in the run."""

    path: str
    data: bytes


def figure_file(name: str, figure: Any, *, step: int | None = None) -> MadeFile:
    """Draw a figure of Matplotlib (or what is built on it) or Plotly.

    Parameters
    ----------
    name
        Path in the run. Its ending chooses the format: PNG (when left out), SVG, PDF, JPEG or WebP of Matplotlib;
        JSON (when left out) or HTML of Plotly.

    Raises
    ------
    Invalid
        If it is no figure, or has no such format.
    """
    if callable(getattr(figure, "to_plotly_json", None)):
        return _plotly_file(name, figure, step)
    # An axes has its figure; a grid of seaborn draws itself.
    drawable = figure if callable(getattr(figure, "savefig", None)) else getattr(figure, "figure", None)
    if not callable(getattr(drawable, "savefig", None)):
        raise Invalid(
            f"The figure `{name}` is a `{type(figure).__name__}`",
            hint="Give a figure of Matplotlib or Plotly",
        )
    path, ending = _path(name, step, _MATPLOTLIB_FORMATS)
    target = io.BytesIO()
    drawable.savefig(target, format=ending[1:], dpi=_DOTS_PER_INCH, bbox_inches="tight")  # type: ignore[union-attr]
    return MadeFile(path, target.getvalue())


def _plotly_file(name: str, figure: Any, step: int | None) -> MadeFile:
    path, ending = _path(name, step, _PLOTLY_FORMATS)
    text = figure.to_json() if ending == ".json" else figure.to_html(include_plotlyjs=True)
    return MadeFile(path, text.encode())


def table_file(name: str, rows: Any, *, step: int | None = None) -> MadeFile:
    """Write a table.

    Parameters
    ----------
    name
        Path in the run. Its ending chooses the format: Parquet (when left out, for frames), JSON (when left out, for
        the rest) or CSV.
    rows
        A frame of Polars or pandas (or any with the Arrow stream interface), a list of mappings, or a mapping of
        columns.

    Raises
    ------
    Invalid
        If it is no table.
    """
    plain = isinstance(rows, (Mapping, list, tuple))
    formats = (".json", ".parquet", ".csv") if plain else _TABLE_FORMATS
    path, ending = _path(name, step, formats)
    if plain and ending == ".json":
        return MadeFile(path, _split_json(*_columns_of(name, rows)))
    frame = _frame(name, rows)
    if ending == ".json":
        return MadeFile(path, _split_json(frame.columns, [list(row) for row in frame.rows()]))
    target = io.BytesIO()
    if ending == ".csv":
        frame.write_csv(target)
    else:
        frame.write_parquet(target)
    return MadeFile(path, target.getvalue())


def read_table(path: str, data: bytes) -> pl.DataFrame:
    """Read what `table_file` wrote.

    Parameters
    ----------
    path
        Its ending tells the format.
    """
    import polars as pl

    ending = PurePosixPath(path).suffix.lower()
    if ending == ".parquet":
        return pl.read_parquet(io.BytesIO(data))
    if ending == ".csv":
        return pl.read_csv(io.BytesIO(data))
    if ending == ".json":
        return _read_split_json(path, data)
    raise Invalid(f"`{path}` is no table", hint=f"Tables end in {_listed(_TABLE_FORMATS)}")


def image_file(name: str, image: Any, *, step: int | None = None) -> MadeFile:
    """Encode an image: an array (see `as_png`), an image of Pillow, or the path of a file, which is kept as it is.

    Raises
    ------
    Invalid
        If it is none.
    """
    if isinstance(image, (str, Path)):
        source = Path(image)
        path, _ = _path(name, step, (source.suffix.lower() or ".png",))
        return MadeFile(path, _read(source))
    if callable(getattr(image, "save", None)) and hasattr(image, "mode"):
        path, ending = _path(name, step, (".png", ".jpg", ".jpeg", ".webp", ".gif"))
        target = io.BytesIO()
        image.save(target, format={".jpg": "jpeg"}.get(ending, ending[1:]))
        return MadeFile(path, target.getvalue())
    path, _ = _path(name, step, (".png",))
    return MadeFile(path, as_png(image))


def text_file(name: str, text: str) -> MadeFile:
    """Give a text as a file; `.txt` when the name has no ending."""
    if not isinstance(text, str):
        raise Invalid(
            f"The text `{name}` is a `{type(text).__name__}`", hint="Give a `str`, or use `run.dict()`"
        )
    path = name if PurePosixPath(check_artifact_path(name)).suffix else f"{name}.txt"
    return MadeFile(check_artifact_path(path), text.encode(errors="replace"))


def dict_file(name: str, content: Any) -> MadeFile:
    """Write a mapping or list as JSON.

    Raises
    ------
    Invalid
        If something in it has no form in JSON.
    """
    path, _ = _path(name, None, (".json",))
    try:
        return MadeFile(path, to_json(content))
    except (TypeError, ValueError) as error:
        raise Invalid(
            f"`{name}` has no form in JSON: {error}", hint="Use text, numbers, lists and dicts"
        ) from error


def _path(name: str, step: int | None, formats: Sequence[str]) -> tuple[str, str]:
    """Give path and format; without an ending that names one, the first."""
    check_artifact_path(name)
    ending = PurePosixPath(name).suffix.lower()
    if ending in formats:
        stem = name[: -len(ending)]
    elif ending in {*_MATPLOTLIB_FORMATS, *_PLOTLY_FORMATS, *_TABLE_FORMATS}:
        raise Invalid(f"`{name}` cannot be written as `{ending}`", hint=f"Use {_listed(formats)}")
    else:
        stem, ending = name, formats[0]
    numbered = stem if step is None else f"{stem}/{step:08d}"
    return check_artifact_path(f"{numbered}{ending}"), ending


def _listed(formats: Sequence[str]) -> str:
    return ", ".join(f"`{ending}`" for ending in formats)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Invalid(f"The file `{path}` cannot be read: {error.strerror}") from error


def _columns_of(name: str, rows: Any) -> tuple[list[str], list[list[Any]]]:
    if isinstance(rows, Mapping):
        columns = {str(key): _plain_list(values) for key, values in rows.items()}
        if len({len(values) for values in columns.values()}) > 1:
            lengths = ", ".join(f"`{key}`: {len(values)}" for key, values in columns.items())
            raise Invalid(f"The columns of the table `{name}` differ in length: {lengths}")
        return list(columns), [list(row) for row in zip(*columns.values(), strict=True)]
    if not all(isinstance(row, Mapping) for row in rows):
        raise _no_table(name, rows)
    keys = list(dict.fromkeys(key for row in rows for key in row))
    return [str(key) for key in keys], [[_plain(row.get(key)) for key in keys] for row in rows]


def _plain_list(values: Any) -> list[Any]:
    given = values.tolist() if callable(getattr(values, "tolist", None)) else list(values)
    return [_plain(value) for value in given]


def _plain(value: Any) -> Any:
    """Give the Python value of a foreign scalar or array."""
    given = getattr(value, "tolist", None)
    return given() if callable(given) else value


def _split_json(columns: Sequence[str], data: list[list[Any]]) -> bytes:
    # The form that `mlflow.load_table` reads too.
    try:
        return to_json({"columns": list(columns), "data": data})
    except (TypeError, ValueError) as error:
        raise Invalid(
            f"The table has a value without a form in JSON: {error}", hint="Use `.parquet`"
        ) from error


def _read_split_json(path: str, data: bytes) -> pl.DataFrame:
    import msgspec
    import polars as pl

    try:
        told = msgspec.json.decode(data, type=dict[str, list[Any]])
        columns, rows = told["columns"], told["data"]
    except (msgspec.DecodeError, KeyError) as error:
        raise Invalid(f"`{path}` is no table", hint="Read it as text") from error
    return pl.DataFrame(rows, schema=columns, orient="row", strict=False, infer_schema_length=None)


def _frame(name: str, rows: Any) -> pl.DataFrame:
    import polars as pl

    if isinstance(rows, pl.DataFrame):
        return rows
    if isinstance(rows, (list, tuple)) and not all(isinstance(row, Mapping) for row in rows):
        raise _no_table(name, rows)
    try:
        if isinstance(rows, (Mapping, list, tuple)):
            return pl.DataFrame(rows, strict=False)
        if callable(getattr(rows, "to_dict", None)):  # of pandas, whose Arrow stream needs PyArrow
            return pl.DataFrame(rows.to_dict("list"), strict=False)
        if callable(getattr(rows, "__arrow_c_stream__", None)):
            return pl.DataFrame(rows)
    except Exception as error:
        raise Invalid(
            f"The table `{name}` cannot be read: {error}", hint="Give columns of one type each"
        ) from error
    raise _no_table(name, rows)


def _no_table(name: str, rows: Any) -> Invalid:
    return Invalid(
        f"The table `{name}` is {shorten(repr(rows))} of the type `{type(rows).__name__}`",
        hint="Give a frame of Polars or pandas, a list of mappings, or a mapping of columns",
    )
