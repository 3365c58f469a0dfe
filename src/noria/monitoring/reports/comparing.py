"""Compare two tables column by column; of each only one column at a time is held."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from noria.core.errors import Invalid
from noria.core.stats.multiplicity import benjamini_hochberg
from noria.monitoring.reports.categories import Categories, compare_categories
from noria.monitoring.reports.columns import Side, read_side
from noria.monitoring.reports.entities import ColumnReport, DriftComparison, NotCompared
from noria.monitoring.reports.numbers import Numbers, compare_numbers, distinct_values, is_counted
from noria.monitoring.reports.vectors import compare_vector_columns, is_vector

if TYPE_CHECKING:
    from noria.data.profiling.sources import Table

LEVEL: Final = 0.01
LEAST_PSI: Final = 0.1
FEWEST_ROWS: Final = 20
_MANY_LABELS: Final = 1000
_MOST_THREADS: Final = 4


def compare_tables(
    reference: Table,
    current: Table,
    *,
    names: tuple[str, str] = ("reference", "current"),
    columns: Sequence[str] | None = None,
    level: float = LEVEL,
    least_psi: float = LEAST_PSI,
    n_threads: int | None = None,
) -> DriftComparison:
    """Compare two tables, every row of every column that both have.

    Parameters
    ----------
    columns
        Those to compare; all when left out.
    level
        Expected share of false discoveries among the columns that are said to differ, in (0, 1).
    least_psi
        PSI from which a difference counts as drift, in nats, at least 0.
    n_threads
        Columns worked on at once; as many as there are processors, four at most, when left out.

    Raises
    ------
    Invalid
        If a table has no rows, they have no column in common, or a setting is out of its range.

    Notes
    -----
    Tests suppose rows that do not depend on each other. Rows of a time series do: there a difference may only tell
    that time has passed.
    """
    _check(reference, current, names, level, least_psi)
    wanted = [name for name in reference.schema if columns is None or name in columns]
    common = [name for name in wanted if name in current.schema]
    if not common:
        raise Invalid(f"`{names[0]}` and `{names[1]}` have no column in common")

    def compared(name: str) -> ColumnReport | NotCompared:
        return compare_sides(name, read_side(reference, name), read_side(current, name))

    arrays = [
        name for name in common if is_vector(reference.schema[name]) and is_vector(current.schema[name])
    ]
    vectors, refused = compare_vector_columns(reference, current, arrays, level=level)
    common = [name for name in common if name not in arrays]
    with ThreadPoolExecutor(n_threads or min(_MOST_THREADS, os.cpu_count() or 1)) as pool:
        found = list(pool.map(compared, common))
    judged = judge([column for column in found if isinstance(column, ColumnReport)], level, least_psi)
    return DriftComparison(
        reference=names[0],
        current=names[1],
        n_reference=reference.n_rows,
        n_current=current.n_rows,
        level=level,
        least_psi=least_psi,
        columns=judged,
        vanished=[name for name in wanted if name not in current.schema],
        added=[name for name in current.schema if name not in reference.schema] if columns is None else [],
        not_compared=[*(column for column in found if isinstance(column, NotCompared)), *refused],
        vectors=vectors,
    )


def compare_sides(name: str, reference: Side, current: Side) -> ColumnReport | NotCompared:
    """Compare one column, or say why no test has anything to tell about it."""
    why = next(_reasons(reference, current), None)
    if why or isinstance(reference, str) or isinstance(current, str):
        return NotCompared(name=name, why=why or "")
    if isinstance(reference, Numbers) and isinstance(current, Numbers):
        if not is_counted(reference):
            return compare_numbers(name, reference, current)
        reference, current = _counted(reference), _counted(current)
    return compare_categories(name, _as_categories(reference), _as_categories(current))


def judge(found: Sequence[ColumnReport], level: float, least_psi: float) -> list[ColumnReport]:
    """Say which columns differ and which have drifted, with the false discoveries among them under control."""
    adjusted = benjamini_hochberg([column.p_value for column in found]).tolist() if found else []
    judged = [
        msgspec.structs.replace(
            column,
            adjusted_p_value=p_value,
            differs=p_value <= level,
            drifted=p_value <= level and column.psi >= least_psi,
        )
        for column, p_value in zip(found, adjusted, strict=True)
    ]
    return sorted(
        judged, key=lambda column: (not column.drifted, not column.differs, column.p_value, -column.psi)
    )


def _check(reference: Table, current: Table, names: tuple[str, str], level: float, least_psi: float) -> None:
    if not 0 < level < 1:
        raise Invalid(f"The level `{level}` is not between 0 and 1")
    if not least_psi >= 0:
        raise Invalid(f"The least PSI `{least_psi}` is below 0")
    for table, name in zip((reference, current), names, strict=True):
        if table.n_rows == 0:
            raise Invalid(f"`{name}` has no rows")


def _reasons(reference: Side, current: Side) -> Iterator[str]:
    sides = [side for side in (reference, current) if not isinstance(side, str)]
    yield from (side for side in (reference, current) if isinstance(side, str))
    if any(_n_rows(side) < FEWEST_ROWS for side in sides):
        yield f"fewer than {FEWEST_ROWS} rows on one side"
    if any(
        isinstance(side, Categories) and _MANY_LABELS < len(side.counts) > side.n_known / 2 for side in sides
    ):
        yield "nearly every value is there once"
    if len(sides) == 2 and _is_same_constant(*sides):
        yield "one and the same value on both sides"


def _n_rows(side: Numbers | Categories) -> int:
    return side.n_rows if isinstance(side, Numbers) else side.n_known + side.n_missing


def _is_same_constant(*sides: Numbers | Categories) -> bool:
    held: set[object] = set()
    for side in sides:
        if side.n_missing:
            held.add(None)
        if isinstance(side, Numbers):
            held |= set(side.ordered[[0, -1]].tolist()) if side.ordered.size else set()
        else:
            held |= set(list(side.counts)[:2])
    return len(held) <= 1


def _counted(numbers: Numbers) -> Categories:
    values = distinct_values(numbers.ordered)
    ends = np.searchsorted(numbers.ordered, values, side="right")
    return Categories(
        {_label(v): n for v, n in zip(values.tolist(), np.diff(ends, prepend=0).tolist(), strict=True)},
        numbers.n_missing,
    )


def _as_categories(side: Numbers | Categories) -> Categories:
    # A column that changed its type: what is a number on one side is compared with texts as its text.
    return _counted(side) if isinstance(side, Numbers) else side


def _label(value: float) -> str:
    return str(int(value)) if np.isfinite(value) and value.is_integer() else str(value)
