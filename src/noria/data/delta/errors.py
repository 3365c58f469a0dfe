"""What can be wrong with rows that are to enter a table."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from noria.core.errors import ConfigInvalid, Corrupt, Invalid

_SHOWN = 3


class ColumnMismatch(msgspec.Struct, frozen=True, kw_only=True):
    """One column that does not fit.

    Attributes
    ----------
    expected, found
        Types as Polars writes them; `nothing` for a column that should not be there, or is not.
    """

    column: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"`{self.column}`: expected {self.expected}, found {self.found}"


class TableSchemaMismatch(Invalid):
    """The columns of new rows are not those of the table."""

    code = "table_schema_mismatch"

    def __init__(self, name: str, columns: Sequence[ColumnMismatch], *, hint: str) -> None:
        shown = "; ".join(str(column) for column in columns[:_SHOWN])
        more = f"; and {len(columns) - _SHOWN} more" if len(columns) > _SHOWN else ""
        super().__init__(
            f"The rows do not fit the table `{name}`. {shown}{more}",
            hint=hint,
            details={"name": name, "columns": [msgspec.to_builtins(column) for column in columns]},
        )


class ColumnNotStorable(Invalid):
    """A table has no type for the values of a column."""

    code = "column_not_storable"

    def __init__(self, column: str, found: str, *, hint: str) -> None:
        super().__init__(
            f"The column `{column}` holds {found}, which a table cannot keep",
            hint=hint,
            details={"column": column, "found": found},
        )


class MergeKeysInvalid(Invalid):
    """The keys of rows to merge do not name each row once."""

    code = "merge_keys_invalid"


class SourceUnreadable(Invalid):
    """A source holds no rows that can be read, or other values than its first ones."""

    code = "source_unreadable"


class NotATable(Invalid):
    """The version holds files or arrays that are not one table."""

    code = "not_a_table"


class TableDamaged(Corrupt):
    """The log of a table does not belong to the files of its version."""

    code = "table_damaged"

    def __init__(self, ref: str, why: str) -> None:
        super().__init__(
            f"The table `{ref}` cannot be opened: {why}",
            hint="Another program wrote it; read an older version, or overwrite it with its rows",
            details={"ref": ref},
        )


def extra_missing(error: ImportError) -> ConfigInvalid:
    """Give what is said when the packages for tables are not installed."""
    return ConfigInvalid(
        f"Tables need the package `{error.name or 'deltalake'}`", hint="pip install 'noria[tables]'"
    )
