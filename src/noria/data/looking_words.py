"""Profiles, comparisons and checks as text on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from noria.core.console.output import cell, table

if TYPE_CHECKING:
    from noria.data.diffing.entities import TableDiff
    from noria.data.profiling.entities import ColumnFigures, VersionProfile
    from noria.data.quality.entities import CheckReport, RuleResult

_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_NAMED: Final = 3
_PAIRS: Final = 10


def bars(counts: Sequence[int]) -> str:
    """Draw counts as blocks, the highest as a full one; nothing at all as a blank.

    Examples
    --------
    >>> bars([0, 1, 4, 8])
    ' ▁▄█'
    """
    highest = max(counts, default=0)
    if highest <= 0:
        return ""
    heights = (round(n / highest * len(_BLOCKS)) for n in counts)
    return "".join(
        " " if n <= 0 else _BLOCKS[max(0, height - 1)] for n, height in zip(counts, heights, strict=True)
    )


def profile_tables(profile: VersionProfile) -> Iterator[Any]:
    """Lay out a profile: columns, and what the rows tell."""
    headings = [
        "column",
        "type",
        "missing",
        "distinct",
        "distribution",
        "least",
        "median",
        "mean",
        "greatest",
    ]
    yield table(headings, [_column(name, found) for name, found in profile.columns.items()])
    yield from _sentences(profile)
    if profile.correlations is not None and profile.correlations.pairs:
        pairs = profile.correlations.pairs[:_PAIRS]
        rows = [(pair.first, pair.second, pair.r, pair.n_rows) for pair in pairs]
        yield table(["column", "with", "correlation", "rows"], rows, title="Strongest correlations (Pearson)")
    if profile.leaks:
        measures = {"r_squared": "R²", "lambda": "fewer errors (λ)"}
        leaks = [
            (leak.column, leak.score, measures.get(leak.measure, leak.measure)) for leak in profile.leaks
        ]
        yield table(
            ["column", "score", "measure"], leaks, title=f"These columns give `{profile.target}` away"
        )


def diff_tables_of(diff: TableDiff) -> Iterator[Any]:
    """Lay out a comparison: columns, rows, cells and distributions."""
    schema, rows = diff.schema, diff.rows
    changes = [("added", each.name, "–", each.type) for each in schema.added]
    changes += [("removed", each.name, each.type, "–") for each in schema.removed]
    changes += [("another type", each.name, each.before, each.after) for each in schema.retyped]
    if changes:
        yield table(["columns", "name", "before", "after"], changes)
    if schema.is_reordered:
        yield "The columns stand in another order"
    by = f"by {', '.join(f'`{name}`' for name in rows.key)}" if rows.key else "as whole, without a key"
    yield (
        f"Rows {by}: {rows.n_before} before, {rows.n_after} after; "
        f"{rows.n_added} added, {rows.n_removed} removed, {rows.n_changed} changed"
    )
    if rows.changed_cells:
        yield table(["column", "changed cells"], list(rows.changed_cells.items()))
    examples = list(_examples(diff))
    if examples:
        yield table(["row", "key", "column", "before", "after"], examples)
    moved = [each for each in diff.distances if each.distance or each.missing_before != each.missing_after]
    if moved:
        yield table(
            ["column", "distance", "measure", "missing before", "missing after"],
            [
                (
                    each.column,
                    each.distance,
                    each.measure.replace("_", "-"),
                    _share(each.missing_before),
                    _share(each.missing_after),
                )
                for each in moved
            ],
            title="Distributions that moved, from 0 to 1",
        )


def check_table(report: CheckReport) -> Any:
    """Lay out the rules with what was found."""
    rows = [
        ("passed" if each.passed else "FAILED", each.column or "", each.rule, each.expected, each.found)
        for each in report.results
    ]
    return table(["", "column", "rule", "expected", "found"], rows)


def broken_rows(report: CheckReport) -> Iterator[Any]:
    """Lay out the rows that break rules."""
    for result in report.broken:
        if result.rows:
            yield _rows_of(result)


def _rows_of(result: RuleResult) -> Any:
    shown = result.rows
    names = list(dict.fromkeys(name for row in shown for name in (*row.key, *row.values)))
    listed = [(row.row, *(row.key.get(name, row.values.get(name)) for name in names)) for row in shown]
    count = f"{len(shown)} of {result.n_broken}" if result.n_broken != len(shown) else f"{len(shown)}"
    return table(["row", *names], listed, title=f"{result.words}: {count} rows, counted from 0")


def _column(name: str, found: ColumnFigures) -> tuple[object, ...]:
    share = found.n_missing / found.n_rows if found.n_rows else 0.0
    distinct = found.n_unique if found.n_unique is not None else found.n_distinct
    is_time = found.first is not None
    return (
        name,
        found.type or found.kind,
        _share(share),
        distinct,
        _distribution(found),
        found.first if is_time else _figure(found.minimum),
        None if is_time or len(found.quantiles) < 5 else _figure(found.quantiles[4]),
        None if is_time else _figure(found.mean),
        found.last if is_time else _figure(found.maximum),
    )


def _figure(value: float | None) -> float | int | None:
    """Give whole numbers as such, with all of their digits."""
    return int(value) if value is not None and value.is_integer() and abs(value) < 1e15 else value


def _distribution(found: ColumnFigures) -> str:
    if found.histogram is not None:
        return bars(found.histogram.counts)
    if found.top and found.top[0].n == 1 and found.longest is not None:
        length = (
            f"{found.shortest} to {found.longest}" if found.shortest != found.longest else f"{found.longest}"
        )
        return f"all different, {length} characters"
    shown = [f"{each.label} {_share(each.n / found.n_rows)}" for each in found.top[:_NAMED]]
    return ", ".join(shown) + (" …" if len(found.top) > _NAMED or found.n_other else "")


def _sentences(profile: VersionProfile) -> Iterator[str]:
    for name, nested in profile.nested.items():
        yield f"`{name}` holds {nested.type}, {nested.n_missing} missing"
    if profile.n_duplicates is not None:
        yield f"{profile.n_duplicates} of {profile.n_rows} rows repeat an earlier one"
    if profile.keys:
        yield "Likely keys: " + "; ".join(" with ".join(f"`{name}`" for name in key) for key in profile.keys)
    left_out = profile.correlations.n_left_out if profile.correlations is not None else 0
    if left_out:
        yield f"{left_out} numeric columns were too many to be compared with each other"
    if profile.target is not None and not profile.leaks:
        yield f"No column gives `{profile.target}` away"
    if profile.n_leak_rows is not None and profile.n_leak_rows < profile.n_rows:
        yield f"Leaks were looked for in {profile.n_leak_rows} rows, evenly spaced"


def _examples(diff: TableDiff) -> Iterator[tuple[object, ...]]:
    for kind, examples in (("added", diff.rows.added), ("removed", diff.rows.removed)):
        for row in examples:
            yield kind, _key(row.key), None, None, None
    for row in diff.rows.changed:
        for change in row.cells[:5]:
            yield "changed", _key(row.key), change.column, change.before, change.after


def _key(key: dict[str, str | None]) -> str:
    return ", ".join(cell(value) for value in key.values())


def _share(share: float) -> str:
    return "–" if share == 0 else f"{share:.1%}" if share >= 0.001 else "< 0.1%"
