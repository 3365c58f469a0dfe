"""A comparison as text on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from noria.core.console.output import table
from noria.data.looking_words import bars

if TYPE_CHECKING:
    from noria.data.quality.entities import RuleResult
    from noria.monitoring.reports.entities import ColumnReport, DriftComparison, LogSummary, VectorReport

_SHOWN: Final = 30
_NAMED: Final = 10
_FINE: Final = 1_000_000


def comparison_parts(found: DriftComparison, *, all_columns: bool = False) -> Iterator[Any]:
    """Lay out a comparison: its columns with both distributions drawn, then what else there is to tell.

    Parameters
    ----------
    all_columns
        Every column; without it the thirty that differ most.
    """
    shown = found.columns if all_columns else found.columns[:_SHOWN]
    headings = [
        "column",
        "verdict",
        "test",
        "p adjusted",
        "PSI",
        "JS",
        "distance",
        "missing",
        "before",
        "after",
    ]
    yield table(headings, [_row(column) for column in shown])
    if len(shown) < len(found.columns):
        yield f"{len(found.columns) - len(shown)} more columns: `--all`"
    if found.vectors:
        yield table(
            ["vectors", "verdict", "AUC", "energy distance", "p adjusted"], map(_vector, found.vectors)
        )
    for words, names in (("Vanished", found.vanished), ("New", found.added)):
        if names:
            yield f"{words}: {_listed(names)}"
    for column in shown:
        if column.new_values:
            values = ", ".join(f"`{value}`" for value in column.new_values)
            yield f"`{column.name}` has new values in {column.new_share:.1%} of the rows: {values}"
    if found.not_compared:
        reasons = [f"{column.name} ({column.why})" for column in found.not_compared[:_NAMED]]
        more = len(found.not_compared) - len(reasons)
        yield f"Not compared: {', '.join(reasons)}{f' and {more} more' if more else ''}"
    if found.together is not None:
        told = found.together
        yield (
            f"All columns together: a classifier tells current rows from reference rows with an AUC of {told.auc:.3f} "
            f"(95% interval {told.lower:.3f} to {told.upper:.3f}; 0.5 is chance), p {told.p_value:.2g}"
        )


def summary(found: DriftComparison) -> str:
    """Say in one sentence what a comparison found."""
    return (
        f"{found.reference} ({found.n_reference} rows) against {found.current} ({found.n_current} rows): "
        f"{found.n_differ} of {len(found.columns)} columns differ, {found.n_drifted} of them by a PSI of "
        f"{found.least_psi:g} or more"
    )


def verdict(column: ColumnReport) -> str:
    """Say what was found about a column in one word."""
    return "drifted" if column.drifted else "differs" if column.differs else "same"


def _row(column: ColumnReport) -> tuple[object, ...]:
    distance = None if column.wasserstein_std is None else f"{column.wasserstein_std:.3f} sd"
    missing = max(column.missing_reference, column.missing_current)
    shares = f"{column.missing_reference:.1%} → {column.missing_current:.1%}" if missing else None
    drawn = [
        bars([round(share * _FINE) for share in side])
        for side in ([bar.reference for bar in column.bars], [bar.current for bar in column.bars])
    ]
    return (
        column.name,
        verdict(column),
        column.test,
        f"{column.adjusted_p_value:.2g}",
        f"{column.psi:.3f}",
        f"{column.jensen_shannon:.3f}",
        distance,
        shares,
        *drawn,
    )


def _vector(column: VectorReport) -> tuple[object, ...]:
    return (
        f"{column.name} ({column.n_dimensions})",
        "differs" if column.differs else "same",
        f"{column.auc:.3f} ({column.lower:.3f} to {column.upper:.3f})",
        f"{column.energy:.3g}",
        f"{column.adjusted_p_value:.2g}",
    )


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(f"`{name}`" for name in names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def logs_summary(found: LogSummary) -> str:
    """Say in one line what model servers logged."""
    text = f"{found.n_errors} errors and {found.n_warnings} warnings in {found.n_windows} windows of five minutes"
    if found.newest is not None and found.newest.line is not None:
        line = found.newest.line
        text += f"; the newest line, {line.at:%Y-%m-%d %H:%M:%S} UTC: {line.level}: {line.text}"
    return text


def rules_summary(found: Sequence[RuleResult]) -> str:
    """Say in one line how many rules of the training data are kept."""
    n_broken = sum(not result.passed for result in found)
    return f"{len(found) - n_broken} of {len(found)} rules of the training data are kept"


def rules_table(found: Sequence[RuleResult]) -> Any:
    """Lay out the rules that are broken."""
    broken = [result for result in found if not result.passed]
    rows = [(each.words, each.expected, each.found, each.n_broken) for each in broken]
    return table(["rule", "expected", "found", "rows"], rows)
