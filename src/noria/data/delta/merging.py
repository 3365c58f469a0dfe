"""Rows that are chosen by a condition or by keys."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from noria.core.errors import Invalid, near, unknown_name
from noria.data.delta.errors import MergeKeysInvalid

_MARK, _NEW = "\x00found", "\x00new"


def checked_condition(where: str | pl.Expr, schema: pl.Schema) -> pl.Expr:
    """Give a condition on columns of a table as an expression.

    Raises
    ------
    Invalid
        If it names no column of the table, is no SQL, or is neither true nor false.
    """
    shown = f"`{where}`" if isinstance(where, str) else "The condition"
    try:
        expression = pl.sql_expr(where) if isinstance(where, str) else where
        kind = pl.LazyFrame(schema=schema).select(expression.alias("is")).collect().schema["is"]
    except pl.exceptions.ColumnNotFoundError as error:
        name = str(error).split('"')[1] if '"' in str(error) else str(error).splitlines()[0]
        close = near(name, schema)
        hint = f"Did you mean {close}?" if close else f"Its columns are {', '.join(f'`{c}`' for c in schema)}"
        raise Invalid(f"{shown} names a column that the table does not have: `{name}`", hint=hint) from error
    except pl.exceptions.PolarsError as error:
        raise Invalid(f"{shown} is no condition on this table: {str(error).splitlines()[0]}") from error
    if kind != pl.Boolean():
        raise Invalid(f"{shown} gives {kind}, neither true nor false", hint="Write it such as `temp > 30`")
    return expression


def chosen_rows(rows: pl.LazyFrame, where: str | pl.Expr | slice | None, schema: pl.Schema) -> pl.LazyFrame:
    """Take the rows of which a condition is true, or a slice of row numbers.

    Raises
    ------
    Invalid
        As `checked_condition`; if a slice counts from the end, or leaves rows out between.
    """
    if where is None:
        return rows
    if not isinstance(where, slice):
        return rows.filter(checked_condition(where, schema))
    start, stop = where.start or 0, where.stop
    if start < 0 or where.step not in {None, 1} or (stop is not None and stop < 0):
        raise Invalid(f"`{where}` cannot choose rows", hint="Count from the first row, as in `slice(0, 100)`")
    return rows.slice(start, None if stop is None else max(0, stop - start))


def chosen_columns(
    rows: pl.LazyFrame, columns: Sequence[str] | None, schema: pl.Schema, *, ref: str
) -> pl.LazyFrame:
    """Take columns by name, in the order wanted.

    Raises
    ------
    NotFound
        If there is no such column.
    """
    if columns is None:
        return rows
    for column in columns:
        if column not in schema:
            raise unknown_name(f"column of `{ref}`", column, schema, see=f"noria data schema {ref}")
    return rows.select(list(columns))


def check_keys(new: pl.DataFrame, on: Sequence[str]) -> None:
    """Make sure that keys name each of the rows to merge once.

    Raises
    ------
    MergeKeysInvalid
        If a key is no column, is missing in a row, or stands in several rows.
    """
    unknown = [column for column in on if column not in new.columns]
    if unknown or not on:
        named = f"`{unknown[0]}` is no column of the table" if unknown else "No key column was named"
        raise MergeKeysInvalid(named, hint=f"Its columns are {', '.join(f'`{c}`' for c in new.columns)}")
    keys = new.select(on)
    if keys.filter(pl.any_horizontal(pl.all().is_null())).height:
        raise MergeKeysInvalid("A row to merge has no value in a key column", hint="Fill it, or leave it out")
    twice = keys.filter(keys.is_duplicated()).unique(maintain_order=True)
    if twice.height:
        shown = ", ".join(f"{column}={value!r}" for column, value in twice.row(0, named=True).items())
        raise MergeKeysInvalid(
            f"{twice.height} keys stand in several of the rows to merge, such as {shown}",
            hint="Keep one of each: `frame.unique(subset=[...], keep='last')`",
        )


def updated(old: pl.DataFrame, new: pl.DataFrame, on: Sequence[str]) -> pl.DataFrame:
    """Give the old rows, in their order, with the values of the new rows that have the same keys."""
    joined = old.join(
        new.with_columns(pl.lit(value=True).alias(_MARK)),
        on=on,
        how="left",
        maintain_order="left",
        suffix=_NEW,
    )
    return joined.select(
        pl.when(pl.col(_MARK)).then(pl.col(column + _NEW)).otherwise(pl.col(column)).alias(column)
        if column in new.columns and column not in on
        else pl.col(column)
        for column in old.columns
    )


def n_changed(old: pl.DataFrame, new: pl.DataFrame) -> int:
    """Count the rows of equal place that differ."""
    differs = [old[column].ne_missing(new[column]).alias(column) for column in old.columns]
    return pl.DataFrame(differs).select(pl.any_horizontal(pl.all()).sum()).item() if differs else 0
