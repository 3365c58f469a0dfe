"""The rules of datasets in `noria.toml`."""

from __future__ import annotations

from typing import Annotated

import msgspec

from noria.core.config import Section

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Bound = int | float | str
Value = bool | int | float | str


class ColumnRules(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[data.checks.NAME.columns.COLUMN]`: what a column must keep. A missing value breaks `max_missing` alone.

    Attributes
    ----------
    type
        `integer`, `float`, `number`, `text`, `boolean`, `date`, `time` (an instant), or a type of Polars.
    min, max
        Bounds, both inside; times as text in ISO 8601.
    max_missing
        Share of rows without a value, NaN being none.
    unique
        Whether every value stands in one row only.
    values
        The only values that there may be.
    pattern
        Regular expression (of Rust's `regex`) that the whole text must match.
    max_drift
        Greatest distance, from 0 to 1, from the distribution in the version that `against` names:
        Kolmogorov-Smirnov for numbers and times, total variation for others.
    """

    type: str | None = None
    min: Bound | None = None
    max: Bound | None = None
    max_missing: Share | None = None
    unique: bool = False
    values: tuple[Value, ...] | None = None
    pattern: str | None = None
    max_drift: Share | None = None


class Freshness(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[data.checks.NAME.fresh]`: how old the latest time in a column may be at the time of the check.

    Attributes
    ----------
    column
        A column of times; without a zone they are taken to be UTC.
    max_age_h
        Hours.
    """

    column: str
    max_age_h: Annotated[float, msgspec.Meta(ge=0)]


class RowRule(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[data.checks.NAME.rows]]`: a condition that each row keeps.

    Attributes
    ----------
    name
        What is told when it is broken.
    keep
        SQL over the columns: `net <= gross`. A row breaks it where it is false; where it is unknown, as with a missing
        value, it does not.
    """

    name: str
    keep: str


class DatasetRules(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[data.checks.NAME]`: what every version of a dataset must keep.

    Attributes
    ----------
    min_rows, max_rows
        Bounds of the number of rows, both inside.
    key
        Columns that together name each row once. Broken rows are told by them too.
    only_columns
        Whether columns without rules of their own are refused.
    against
        The version that distributions are compared with: `orders@1`, or a tag.
    required
        Whether runs and steps refuse a version that was never checked, as they refuse one that failed.
    target
        Column to be predicted: profiles tell which columns give it away.
    """

    min_rows: Count | None = None
    max_rows: Count | None = None
    key: tuple[str, ...] = ()
    only_columns: bool = False
    against: str | None = None
    required: bool = False
    target: str | None = None
    fresh: Freshness | None = None
    columns: dict[str, ColumnRules] = msgspec.field(default_factory=dict)
    rows: tuple[RowRule, ...] = ()


class DataSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[data]`: datasets and what they must keep.

    Attributes
    ----------
    checks
        Rules by the name of the dataset; `noria data check` reads them, `noria data check --suggest` proposes them.
    """

    checks: dict[str, DatasetRules] = msgspec.field(default_factory=dict)
