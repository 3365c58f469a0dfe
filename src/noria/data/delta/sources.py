"""What rows can come from: frames, Arrow, files of many kinds, and SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from noria.core.errors import Invalid, NotFound
from noria.data.delta.errors import SourceUnreadable
from noria.data.faults import why_unreadable

_TEXT = (pl.String(),)
_PLAIN = (
    *_TEXT,
    pl.Boolean(),
    pl.Int8(),
    pl.Int16(),
    pl.Int32(),
    pl.Int64(),
    pl.Float32(),
    pl.Float64(),
)

_FIRST_ROWS = 1_000
"""Rows of a text file whose values tell its types; where a later one is another, all of them are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlQuery:
    """Rows that a database answers with.

    Attributes
    ----------
    query
        The statement.
    url
        As SQLAlchemy writes them: `sqlite:///shop.db`, `postgresql+psycopg://user@host/shop`. Never kept.
    """

    query: str
    url: str

    def __repr__(self) -> str:
        return f"SqlQuery(query={self.query!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows that can be read more than once.

    Attributes
    ----------
    read
        Gives them; told the types of columns for a source that does not say them, and whether to look through it.
    path
        The file that they stand in; None if it is none.
    thorough
        Whether the types of such a source are found in all of its rows instead, which takes much longer.
    """

    read: Callable[[pl.Schema | None, bool], pl.LazyFrame]
    path: Path | None = None
    thorough: bool = False

    def __call__(self, expected: pl.Schema | None) -> pl.LazyFrame:
        """Give the rows.

        Parameters
        ----------
        expected
            Types of columns for a source that does not say them.
        """
        return self.read(expected, self.thorough)

    def looked_through(self) -> Rows:
        """Give the same rows with the types that all of them have."""
        return replace(self, thorough=True)

    def naming(self) -> AbstractContextManager[None]:
        """Say which source could not be read, if that is so, and where it is wrong once all of it was looked at."""
        return naming(
            "The source" if self.path is None else f"`{self.path}`", self.path if self.thorough else None
        )


Reader = Callable[[Path, pl.Schema | None, bool], pl.LazyFrame]


def rows_of(source: Any) -> Rows:
    """Give the rows of a source.

    Parameters
    ----------
    source
        A Polars or pandas frame, anything that speaks Arrow (a table, a batch, a reader), a mapping of names to
        columns, a list of dicts, a `SqlQuery`, or the path of a CSV, TSV, JSON, NDJSON, Parquet or Arrow file, or of
        a folder with a Delta table.

    Raises
    ------
    Invalid
        If it is of another kind, or cannot be read.
    NotFound
        If there is no such file.
    """
    if isinstance(source, (str, Path)):
        return _rows_of_path(Path(source))
    if isinstance(source, pl.LazyFrame):
        return _settled(source)
    if isinstance(source, SqlQuery):
        return _settled(_ask(source).lazy())
    if type(source).__module__.startswith("pandas."):
        return _settled(_from_pandas(source).lazy())
    if isinstance(source, list):
        return _settled(_from_dicts(source).lazy())
    return _settled(_from_columns(source).lazy())


@contextmanager
def naming(what: str, path: Path | None = None) -> Iterator[None]:
    """Say which source could not be read, and at which line of a file."""
    try:
        yield
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        why = first if path is None else why_unreadable(path, error)
        raise SourceUnreadable(f"{what} cannot be read as a table: {why}") from error


def _settled(rows: pl.LazyFrame, *, path: Path | None = None) -> Rows:
    """Take rows that know their types."""
    return Rows(read=lambda _expected, _thorough: rows, path=path)


def _from_pandas(source: Any) -> pl.DataFrame:
    # An index with a name is data, one without counts rows.
    named = any(name is not None for name in source.index.names)
    with naming("The pandas frame"):
        return pl.from_pandas(source, include_index=named)


def _from_dicts(source: list[Any]) -> pl.DataFrame:
    if not all(isinstance(row, Mapping) for row in source):
        raise Invalid("A list of rows must hold dicts", hint='Such as `[{"day": 1, "n": 3}]`')
    with naming("The list of dicts"):
        return pl.from_dicts(source, infer_schema_length=None)


def _from_columns(source: Any) -> pl.DataFrame:
    if isinstance(source, pl.DataFrame):
        return source
    if isinstance(source, Mapping):
        with naming("The mapping of columns"):
            return pl.DataFrame(dict(source))
    if hasattr(source, "__arrow_c_stream__") or hasattr(source, "__arrow_c_array__"):
        with naming("The Arrow data"):
            return pl.DataFrame(source)
    kind = f"{type(source).__module__}.{type(source).__name__}"
    raise Invalid(
        f"A table cannot be made of `{kind}`",
        hint="Give a path, a frame, Arrow data, a mapping of names to columns, a list of dicts, or a `SqlQuery`",
    )


def _ask(source: SqlQuery) -> pl.DataFrame:
    import sqlalchemy as sa

    try:
        engine = sa.create_engine(source.url)
    except (sa.exc.ArgumentError, ImportError):
        # The message of the error may hold the address, and that a password.
        raise Invalid(
            "The address of the database cannot be used",
            hint="Write it as SQLAlchemy does, such as `sqlite:///shop.db`, and install the driver it names",
        ) from None
    shown = engine.url.render_as_string(hide_password=True)
    try:
        with engine.connect() as connection:
            return pl.read_database(source.query, connection, infer_schema_length=None)
    except sa.exc.DBAPIError as error:
        raise Invalid(f"`{shown}` does not answer the query: {error.orig}") from None
    finally:
        engine.dispose()


def _rows_of_path(path: Path) -> Rows:
    if not path.exists():
        raise NotFound(f"There is no file `{path}`", hint="Check the path", details={"path": str(path)})
    if path.is_dir():
        return _rows_of_folder(path)
    kinds: Mapping[str, Reader] = {
        ".csv": partial(_separated, ","),
        ".tsv": partial(_separated, "\t"),
        ".json": lambda found, *_: pl.read_json(found, infer_schema_length=None).lazy(),
        ".ndjson": lambda found, *_: pl.scan_ndjson(found, infer_schema_length=None),
        ".jsonl": lambda found, *_: pl.scan_ndjson(found, infer_schema_length=None),
        ".parquet": lambda found, *_: pl.scan_parquet(found, glob=False),
        ".arrow": lambda found, *_: pl.scan_ipc(found, glob=False),
        ".feather": lambda found, *_: pl.scan_ipc(found, glob=False),
    }
    read = kinds.get(Path(path.name.removesuffix(".gz")).suffix.lower())
    if read is None:
        raise Invalid(
            f"`{path}` is of no kind that tables are read from",
            hint=f"Its name should end in {', '.join(f'`{kind}`' for kind in kinds)}",
        )

    def give(expected: pl.Schema | None, thorough: bool) -> pl.LazyFrame:
        with naming(f"`{path}`", path if thorough else None):
            return read(path, expected, thorough)

    return Rows(read=give, path=path)


def _rows_of_folder(path: Path) -> Rows:
    from deltalake import DeltaTable

    if not (path / "_delta_log").is_dir():
        raise Invalid(f"The folder `{path}` holds no Delta table", hint="Give a file, or each file in turn")
    with naming(f"`{path}`"):
        return _settled(pl.DataFrame(DeltaTable(path).scan()).lazy(), path=path)


def _separated(separator: str, path: Path, expected: pl.Schema | None, thorough: bool) -> pl.LazyFrame:
    def scan(**more: Any) -> pl.LazyFrame:
        return pl.scan_csv(path, separator=separator, try_parse_dates=True, glob=False, **more)

    names = scan(infer_schema_length=0).collect_schema()
    kinds = _TEXT if thorough else _PLAIN
    known = {name: kind for name, kind in (expected or {}).items() if name in names and kind in kinds}
    return scan(infer_schema_length=None if thorough else _FIRST_ROWS, schema_overrides=known)
