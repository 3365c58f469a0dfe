"""What profiles, checks and comparisons say, as pages show it. Pure; what a client wrote is clipped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from noria.core.web.formats import clipped
from noria.core.web.languages import mark
from noria.data.diffing.entities import RetypedColumn, SchemaDiff, TableDiff, TypedColumn
from noria.data.profiling.entities import ColumnFigures, VersionProfile
from noria.data.quality.entities import RecordedCheck, RuleResult

MAX_PAIRS: Final = 10
MAX_BROKEN: Final = 20
MAX_COMPARED: Final = 500

_NAME = 80
_SENTENCE = 200
_MEASURES: Final[Mapping[str, str]] = {
    "kolmogorov_smirnov": mark("Kolmogorov–Smirnov"),
    "total_variation": mark("total variation"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two columns that rise together, or one against the other."""

    first: str
    second: str
    r: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFacts:
    """What the rows of a version tell.

    Attributes
    ----------
    n_rows, n_duplicates
        Rows, and those that repeat an earlier one; None where that was not counted.
    keys
        Columns that name each row once; several joined by `+`.
    pairs, n_left_out
        The strongest correlations, and the columns that were too many to be compared.
    target, leaks
        Column to be predicted, and those that give it away, with a score from 0 to 1.
    n_leak_rows
        Rows in which leaks were looked for.
    """

    n_rows: int
    n_duplicates: int | None
    keys: tuple[str, ...]
    pairs: tuple[Pair, ...]
    n_left_out: int
    target: str | None
    leaks: tuple[tuple[str, float], ...]
    n_leak_rows: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenRule:
    """A rule that is not kept.

    Attributes
    ----------
    rows
        Places of the first rows that break it, from 0; empty where it is not one of rows.
    """

    name: str
    expected: str
    found: str
    n_broken: int | None
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFacts:
    """The newest check of a version."""

    passed: bool
    at: datetime
    author: str
    n_rules: int
    n_broken: int
    broken: tuple[BrokenRule, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedColumn:
    """A column in two versions.

    Attributes
    ----------
    before, after
        Its figures; None where a version does not have it, or has no profile.
    distance, measure
        How far its distribution moved, from 0 to 1, and by which measure, in words to be translated; None and empty
        where the rows were not compared.
    n_cells
        Cells that changed; None where rows were not matched.
    """

    name: str
    before: ColumnFigures | None
    after: ColumnFigures | None
    distance: float | None
    measure: str
    n_cells: int | None


def row_facts(profile: VersionProfile | None) -> RowFacts | None:
    """Give what the rows tell; None for a profile that says nothing of them."""
    if profile is None or profile.format < 2:
        return None
    found = profile.correlations
    pairs = found.pairs[:MAX_PAIRS] if found is not None else ()
    return RowFacts(
        n_rows=profile.n_rows,
        n_duplicates=profile.n_duplicates,
        keys=tuple(clipped(" + ".join(key), _NAME) for key in profile.keys[:MAX_PAIRS]),
        pairs=tuple(
            Pair(first=clipped(each.first, _NAME), second=clipped(each.second, _NAME), r=each.r)
            for each in pairs
        ),
        n_left_out=found.n_left_out if found is not None else 0,
        target=None if profile.target is None else clipped(profile.target, _NAME),
        leaks=tuple((clipped(leak.column, _NAME), leak.score) for leak in profile.leaks[:MAX_PAIRS]),
        n_leak_rows=profile.n_leak_rows,
    )


def check_facts(check: RecordedCheck) -> CheckFacts:
    """Give a check with the rules that are broken."""
    broken = check.report.broken
    return CheckFacts(
        passed=check.passed,
        at=check.created_at,
        author=check.author,
        n_rules=len(check.report.results),
        n_broken=len(broken),
        broken=tuple(_broken(result) for result in broken[:MAX_BROKEN]),
    )


def schema_of(before: VersionProfile | None, after: VersionProfile | None) -> SchemaDiff | None:
    """Compare the columns of two profiles; None where one has none."""
    if before is None or after is None:
        return None
    old, new = _types(before), _types(after)
    common = [name for name in old if name in new]
    return SchemaDiff(
        added=tuple(TypedColumn(name=name, type=new[name]) for name in new if name not in old),
        removed=tuple(TypedColumn(name=name, type=old[name]) for name in old if name not in new),
        retyped=tuple(
            RetypedColumn(name=name, before=old[name], after=new[name])
            for name in common
            if old[name] and new[name] and old[name] != new[name]
        ),
        is_reordered=common != [name for name in new if name in old],
    )


def compared_columns(
    before: VersionProfile | None, after: VersionProfile | None, diff: TableDiff | None
) -> tuple[ComparedColumn, ...]:
    """Set the columns of two versions side by side: those that moved most first, otherwise in their order."""
    old = before.columns if before is not None else {}
    new = after.columns if after is not None else {}
    moved = {each.column: each for each in diff.distances} if diff is not None else {}
    cells = diff.rows.changed_cells if diff is not None else {}
    is_matched = diff is not None and bool(diff.rows.key)
    names = dict.fromkeys([*moved, *(name for name in new if name in old)])
    return tuple(
        ComparedColumn(
            name=name,
            before=old.get(name),
            after=new.get(name),
            distance=moved[name].distance if name in moved else None,
            measure=_MEASURES.get(moved[name].measure, "") if name in moved else "",
            n_cells=cells.get(name, 0) if is_matched else None,
        )
        for name in list(names)[:MAX_COMPARED]
    )


def _broken(result: RuleResult) -> BrokenRule:
    return BrokenRule(
        name=clipped(result.words, _NAME),
        expected=clipped(result.expected, _SENTENCE),
        found=clipped(result.found, _SENTENCE),
        n_broken=result.n_broken,
        rows=tuple(row.row for row in result.rows),
    )


def _types(profile: VersionProfile) -> dict[str, str]:
    flat = {name: found.type for name, found in profile.columns.items()}
    return {**flat, **{name: found.type for name, found in profile.nested.items()}}
