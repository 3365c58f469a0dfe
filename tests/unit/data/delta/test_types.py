"""What columns a table keeps, which rows fit it, and how it grows."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.core.errors import Invalid
from noria.data.delta.errors import ColumnNotStorable, TableSchemaMismatch
from noria.data.delta.types import check_fits, conform, fits, grow, stored_schema

TABLE = pl.Schema({"day": pl.Date(), "n": pl.Int64(), "city": pl.String()})


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        (pl.UInt8(), pl.Int16()),
        (pl.UInt64(), pl.Int64()),
        (pl.Float16(), pl.Float32()),
        (pl.Categorical(), pl.String()),
        (pl.Enum(["a"]), pl.String()),
        (pl.Datetime("ns"), pl.Datetime("us")),
        (pl.Datetime("ms", "Europe/Madrid"), pl.Datetime("us", "UTC")),
        (pl.Decimal(10, 2), pl.Decimal(10, 2)),
        (pl.List(pl.UInt8()), pl.List(pl.Int16())),
        (pl.Array(pl.Float32(), 3), pl.List(pl.Float32())),
        (pl.Struct({"a": pl.UInt16(), "b": pl.String()}), pl.Struct({"a": pl.Int32(), "b": pl.String()})),
    ],
)
def test_types_that_a_table_has_not_are_kept_as_the_next_one(found: pl.DataType, kept: pl.DataType) -> None:
    """Values keep their meaning in a type that a Delta table knows."""
    assert stored_schema(pl.Schema({"x": found})) == {"x": kept}


@pytest.mark.parametrize("found", [pl.Time(), pl.Duration(), pl.Null(), pl.Object(), pl.List(pl.Time())])
def test_types_without_a_place_are_refused_by_name(found: pl.DataType) -> None:
    """The column is named, and the mend."""
    with pytest.raises(ColumnNotStorable, match="`when`") as raised:
        stored_schema(pl.Schema({"when": found}))

    assert raised.value.hint


@pytest.mark.parametrize("schema", [{}, {"": pl.Int64()}, {"Day": pl.Date(), "day": pl.Date()}])
def test_columns_that_cannot_be_told_apart_are_refused(schema: dict[str, pl.DataType]) -> None:
    """A table has columns, each with a name of its own whatever the case."""
    with pytest.raises(Invalid):
        stored_schema(pl.Schema(schema))


def test_every_column_that_does_not_fit_is_told() -> None:
    """A mismatch says column, expected and found, for programs too."""
    with pytest.raises(TableSchemaMismatch) as raised:
        check_fits("trips", TABLE, pl.Schema({"day": pl.String(), "n": pl.Int64(), "extra": pl.Int8()}))

    assert raised.value.details["columns"] == [
        {"column": "day", "expected": "Date", "found": "String"},
        {"column": "city", "expected": "String", "found": "nothing"},
        {"column": "extra", "expected": "nothing", "found": "Int8"},
    ]
    assert "`day`: expected Date, found String" in raised.value.message


def test_the_order_of_columns_does_not_matter() -> None:
    """Columns are found by name."""
    check_fits("trips", TABLE, pl.Schema(dict(reversed(TABLE.items()))))


def test_a_table_grows_by_columns_and_by_width() -> None:
    """New columns stand at the end; a type becomes wider; a missing column stays."""
    growth = grow("t", TABLE, pl.Schema({"n": pl.Float64(), "day": pl.Date(), "new": pl.Boolean()}))

    assert list(growth.schema) == ["day", "n", "city", "new"]
    assert growth.schema["n"] == pl.Float64()
    assert (growth.added, growth.widened) == (("new",), ("n",))


def test_a_table_does_not_grow_to_take_another_kind() -> None:
    """Text does not become numbers by growing."""
    with pytest.raises(TableSchemaMismatch, match="`n`: expected Int64, found String"):
        grow("t", TABLE, pl.Schema({"n": pl.String()}))


@pytest.mark.parametrize(
    ("found", "expected", "answer"),
    [
        (pl.Int8(), pl.Int64(), True),
        (pl.Int64(), pl.Int8(), False),
        (pl.Int64(), pl.Float64(), True),
        (pl.Float64(), pl.Int64(), False),
        (pl.Date(), pl.Datetime("us"), True),
        (pl.Datetime("us"), pl.Date(), False),
        (pl.Boolean(), pl.Int64(), False),
        (pl.Decimal(10, 2), pl.Decimal(12, 4), True),
        (pl.Decimal(10, 2), pl.Decimal(10, 4), False),
        (pl.Null(), pl.Struct({"a": pl.Int8()}), True),
        (pl.List(pl.Int8()), pl.List(pl.Int16()), True),
        (pl.Struct({"a": pl.Int8()}), pl.Struct({"a": pl.Int64()}), True),
        (pl.Struct({"a": pl.Int8()}), pl.Struct({"b": pl.Int8()}), False),
    ],
)
def test_which_types_have_a_place_in_which(found: pl.DataType, expected: pl.DataType, answer: bool) -> None:
    """Only where each value keeps its meaning."""
    assert fits(found, expected) is answer


def test_integers_that_a_float_does_not_keep_are_refused() -> None:
    """Beyond 2^53 a float has gaps, so a number would change unseen."""
    frame = pl.DataFrame({"x": [2**53 + 1]})
    with pytest.raises(Invalid, match="`x` has integers beyond"):
        conform(frame, pl.Schema({"x": pl.Float64()}))


@given(values=st.lists(st.one_of(st.none(), st.integers(-(2**53), 2**53))))
def test_integers_up_to_2_53_are_the_same_as_floats(values: list[int | None]) -> None:
    """What is let through has changed nothing."""
    frame = pl.DataFrame({"x": values}, schema={"x": pl.Int64()})
    kept = conform(frame, pl.Schema({"x": pl.Float64(), "gone": pl.String()}))

    assert kept["x"].cast(pl.Int64).to_list() == values
    assert kept["gone"].null_count() == len(values)


def test_values_out_of_range_are_refused_by_column() -> None:
    """An unsigned number beyond the signed ones has no place."""
    frame = pl.DataFrame({"big": [2**63]}, schema={"big": pl.UInt64()})
    with pytest.raises(Invalid, match="`big`"):
        conform(frame, stored_schema(frame.schema))
