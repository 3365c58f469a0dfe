"""What two versions of a table differ in. Pure values, read by the server too."""

from __future__ import annotations

from typing import Any, Final

import msgspec

KOLMOGOROV_SMIRNOV: Final = "kolmogorov_smirnov"
"""Of numbers and times: the largest gap between the shares of rows at or below a value."""

TOTAL_VARIATION: Final = "total_variation"
"""Of categories: half the sum of the differences of their shares."""


class TypedColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A column with its type."""

    name: str
    type: str


class RetypedColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A column whose type is another one now."""

    name: str
    before: str
    after: str


class SchemaDiff(msgspec.Struct, frozen=True, kw_only=True):
    """How the columns differ.

    Attributes
    ----------
    is_reordered
        Whether the columns that both have stand in another order.
    """

    added: tuple[TypedColumn, ...] = ()
    removed: tuple[TypedColumn, ...] = ()
    retyped: tuple[RetypedColumn, ...] = ()
    is_reordered: bool = False

    @property
    def is_empty(self) -> bool:
        """Tell whether the columns are the same."""
        return not (self.added or self.removed or self.retyped or self.is_reordered)


class CellChange(msgspec.Struct, frozen=True, kw_only=True):
    """A cell with what it held and holds; None for a missing value."""

    column: str
    before: str | None
    after: str | None


class RowExample(msgspec.Struct, frozen=True, kw_only=True):
    """A row by its key, as texts, and its changed cells."""

    key: dict[str, str | None]
    cells: tuple[CellChange, ...] = ()


class RowsDiff(msgspec.Struct, frozen=True, kw_only=True):
    """How the rows differ.

    Attributes
    ----------
    key
        Columns that name a row; empty where whole rows were compared as a bag, and then none counts as changed.
    n_changed
        Rows of both versions with at least one cell that differs, among the columns that both have.
    changed_cells
        By column; columns without a changed cell are left out.
    added, removed, changed
        The first of them.
    """

    key: tuple[str, ...]
    n_before: int
    n_after: int
    n_added: int
    n_removed: int
    n_changed: int = 0
    changed_cells: dict[str, int] = {}
    added: tuple[RowExample, ...] = ()
    removed: tuple[RowExample, ...] = ()
    changed: tuple[RowExample, ...] = ()


class ColumnDistance(msgspec.Struct, frozen=True, kw_only=True):
    """How far the distribution of a column moved.

    Attributes
    ----------
    distance
        From 0 (the same) to 1 (nothing in common) among known values; None where a version has none.
    measure
        `kolmogorov_smirnov` or `total_variation`.
    missing_before, missing_after
        Shares of rows.
    """

    column: str
    distance: float | None
    measure: str
    missing_before: float
    missing_after: float


class TableDiff(msgspec.Struct, frozen=True, kw_only=True):
    """What two versions of a table differ in.

    Attributes
    ----------
    before, after
        What was compared, as references.
    distances
        Of the columns that both have and that are no lists or records, largest first.
    """

    before: str
    after: str
    schema: SchemaDiff
    rows: RowsDiff
    distances: tuple[ColumnDistance, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Tell whether both hold the same, in whatever order."""
        rows = self.rows
        return self.schema.is_empty and not (rows.n_added or rows.n_removed or rows.n_changed)


def read_diff(stored: Any) -> TableDiff | None:
    """Read a stored comparison; None for one in another form."""
    try:
        return msgspec.convert(stored, TableDiff)
    except msgspec.ValidationError:
        return None
