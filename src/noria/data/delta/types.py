"""Types of columns: what a table can keep, whether rows fit it, and how it grows to take them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from noria.core.errors import Invalid
from noria.data.delta.errors import ColumnMismatch, ColumnNotStorable, TableSchemaMismatch

_NOTHING = "nothing"
_KEPT_AS: dict[pl.DataType, pl.DataType] = {
    pl.UInt8(): pl.Int16(),
    pl.UInt16(): pl.Int32(),
    pl.UInt32(): pl.Int64(),
    pl.UInt64(): pl.Int64(),
    pl.Float16(): pl.Float32(),
}
_SAME = {
    pl.Int8(), pl.Int16(), pl.Int32(), pl.Int64(), pl.Float32(), pl.Float64(),
    pl.Boolean(), pl.String(), pl.Binary(), pl.Date(),
}  # fmt: skip
_WIDER: Mapping[pl.DataType, tuple[pl.DataType, ...]] = {
    pl.Int8(): (pl.Int16(), pl.Int32(), pl.Int64(), pl.Float32(), pl.Float64()),
    pl.Int16(): (pl.Int32(), pl.Int64(), pl.Float32(), pl.Float64()),
    pl.Int32(): (pl.Int64(), pl.Float64()),
    pl.Int64(): (pl.Float64(),),  # each value is looked at when it is cast
    pl.Float32(): (pl.Float64(),),
    pl.Date(): (pl.Datetime("us"), pl.Datetime("us", "UTC")),
}
_MAX_PRECISION = 38


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """What a table's columns become when rows of other columns enter.

    Attributes
    ----------
    schema
        Columns afterwards.
    added
        Columns that are new at the end.
    widened
        Columns whose values get a wider type, so that the files of the table are written anew.
    """

    schema: pl.Schema
    added: tuple[str, ...] = ()
    widened: tuple[str, ...] = ()


def stored_schema(found: pl.Schema) -> pl.Schema:
    """Give the types as which columns are kept.

    Unsigned integers become the next wider signed ones, categories become text, times have microseconds and, where
    they know a zone, are kept in UTC.

    Raises
    ------
    ColumnNotStorable
        If a column has a type that a table has no place for.
    Invalid
        If there is no column, or two have names that differ by case only.
    """
    if not found:
        raise Invalid("A table needs at least one column")
    folded: dict[str, str] = {}
    for name in found:
        if not name:
            raise Invalid("A column of a table has no name", hint="Rename it: `frame.rename({'': 'index'})`")
        other = folded.setdefault(name.casefold(), name)
        if other != name:
            raise Invalid(
                f"The columns `{other}` and `{name}` differ by case only, which a table cannot tell apart",
                hint="Rename one of them",
            )
    return pl.Schema({name: _stored(kind, name) for name, kind in found.items()})


def check_fits(name: str, table: pl.Schema, found: pl.Schema) -> None:
    """Make sure that rows of the columns `found` can enter the table `name` as it is.

    Raises
    ------
    TableSchemaMismatch
        With each column that does not fit: what was expected, and what was found.
    """
    wrong = [
        ColumnMismatch(column=column, expected=str(kind), found=str(found.get(column, _NOTHING)))
        for column, kind in table.items()
        if column not in found or not fits(found[column], kind)
    ]
    wrong += [
        ColumnMismatch(column=column, expected=_NOTHING, found=str(kind))
        for column, kind in found.items()
        if column not in table
    ]
    if wrong:
        raise TableSchemaMismatch(
            name, wrong, hint="Change the rows, or let the table grow with `evolve=True` (`--evolve`)"
        )


def grow(name: str, table: pl.Schema, found: pl.Schema, *, stored: bool = True) -> Growth:
    """Give what the table becomes to take rows of the columns `found`.

    Columns that are new are added, columns that the rows do not have stay empty for them, and a type becomes wider
    where every value keeps its meaning.

    Parameters
    ----------
    stored
        Whether the types are those of a table, or those of rows that wait for one.

    Raises
    ------
    TableSchemaMismatch
        If a column has values of another kind.
    """
    widened = tuple(c for c, kind in table.items() if c in found and not fits(found[c], kind))
    wrong = [
        ColumnMismatch(column=column, expected=str(table[column]), found=str(found[column]))
        for column in widened
        if not fits(table[column], found[column])
    ]
    if wrong:
        raise TableSchemaMismatch(
            name, wrong, hint="Change the type of these rows, or replace the table with `overwrite`"
        )
    added = tuple(column for column in found if column not in table)
    columns = {c: (found[c] if c in widened else kind) for c, kind in table.items()}
    columns |= {column: found[column] for column in added}
    schema = pl.Schema(columns)
    return Growth(schema=stored_schema(schema) if stored else schema, added=added, widened=widened)


def fits(found: pl.DataType, expected: pl.DataType) -> bool:
    """Tell whether all values of one type have a place in the other, unchanged.

    Examples
    --------
    >>> fits(pl.Int32(), pl.Int64()), fits(pl.Float64(), pl.Int64()), fits(pl.Null(), pl.String())
    (True, False, True)
    """
    if found == expected or found == pl.Null() or expected in _WIDER.get(found, ()):
        return True
    if isinstance(found, pl.Decimal) and isinstance(expected, pl.Decimal):
        more = expected.scale - found.scale
        return more >= 0 and (expected.precision or 0) - (found.precision or 0) >= more
    if isinstance(found, pl.List) and isinstance(expected, pl.List):
        return fits(_instance(found.inner), _instance(expected.inner))
    if isinstance(found, pl.Struct) and isinstance(expected, pl.Struct):
        ours, theirs = _fields(expected), _fields(found)
        return set(ours) == set(theirs) and all(fits(theirs[field], ours[field]) for field in ours)
    return False


def conform(frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """Give the rows with the columns of a table, in its order and types; columns that are not there are empty.

    Raises
    ------
    Invalid
        If a value has no place in the type of its column.
    """
    columns = []
    for name, kind in schema.items():
        if name not in frame.columns:
            columns.append(pl.Series(name, [None], dtype=kind).new_from_index(0, frame.height))
        else:
            columns.append(_cast(frame[name], kind))
    return pl.DataFrame(columns)


def _cast(column: pl.Series, kind: pl.DataType) -> pl.Series:
    if column.dtype == kind:
        return column
    try:
        cast = column.cast(kind)
    except pl.exceptions.PolarsError as error:
        raise Invalid(
            f"The column `{column.name}` has values that are not {kind}: {str(error).splitlines()[0]}",
            hint="Change the column's type before",
            details={"column": column.name, "expected": str(kind), "found": str(column.dtype)},
        ) from error
    if column.dtype == pl.Int64() and kind == pl.Float64() and not cast.cast(pl.Int64()).equals(column):
        raise Invalid(
            f"The column `{column.name}` has integers beyond 2^53, which {kind} does not keep exactly",
            hint="Keep them as text, or keep the table's column as Int64",
            details={"column": column.name, "expected": str(kind), "found": str(column.dtype)},
        )
    return cast


def _stored(kind: pl.DataType, column: str) -> pl.DataType:
    if kind in _SAME:
        return kind
    kept = _KEPT_AS.get(kind) or _kept_by_family(kind, column)
    if kept is not None:
        return kept
    if kind == pl.Null():
        raise ColumnNotStorable(
            column, "no value at all", hint=f"Give it a type, such as `pl.col({column!r}).cast(pl.String)`"
        )
    raise ColumnNotStorable(
        column, str(kind), hint="Convert it to numbers, text or a date and time before it is added"
    )


def _kept_by_family(kind: pl.DataType, column: str) -> pl.DataType | None:
    match kind:
        case pl.Datetime():
            return pl.Datetime("us", "UTC" if kind.time_zone else None)
        case pl.Categorical() | pl.Enum():
            return pl.String()
        case pl.Decimal():
            return pl.Decimal(kind.precision or _MAX_PRECISION, kind.scale)
        case pl.List() | pl.Array():
            return pl.List(_stored(_instance(kind.inner), column))
        case pl.Struct():
            return pl.Struct({f: _stored(_instance(inner), column) for f, inner in _fields(kind).items()})
    return None


def _fields(kind: pl.Struct) -> dict[str, pl.DataType]:
    return {field.name: _instance(field.dtype) for field in kind.fields}


def _instance(kind: Any) -> pl.DataType:
    found: pl.DataType = kind() if isinstance(kind, type) else kind
    return found
