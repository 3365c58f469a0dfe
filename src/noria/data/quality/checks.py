"""Check a table by its rules, and say which rows break them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from noria.core.errors import ConfigInvalid, near
from noria.data.diffing.tables import cell_text
from noria.data.profiling.columns import time_range, type_name
from noria.data.profiling.sources import Table
from noria.data.quality.columns import Finding, check_column
from noria.data.quality.entities import MAX_ROWS, BrokenRow, RuleResult
from noria.data.quality.settings import DatasetRules, RowRule


def check_table(
    table: Table, rules: DatasetRules, *, now: datetime, reference: Table | None = None
) -> tuple[RuleResult, ...]:
    """Check a table.

    Parameters
    ----------
    now
        The time that ages are counted to; with a zone.
    reference
        The version that distributions are compared with, where a rule has `max_drift`.

    Returns
    -------
    tuple of RuleResult
        One for each rule, broken ones first, otherwise in the order of the rules.

    Raises
    ------
    ConfigInvalid
        If a rule makes no sense: an expression that cannot be read, or a key that the table does not have.

    Notes
    -----
    Every row is looked at. Memory is that of a column or two.
    """
    has_key = all(name in table.schema for name in rules.key)
    key = rules.key if has_key else ()
    results = [
        *_whole(table, rules),
        *_columns(table, rules, key, reference),
        *_key(table, rules, has_key=has_key),
        *(_condition(table, rule, key) for rule in rules.rows),
        *_fresh(table, rules, now),
    ]
    return tuple(sorted(results, key=lambda result: result.passed))


def _whole(table: Table, rules: DatasetRules) -> Iterator[RuleResult]:
    n = table.n_rows
    if rules.min_rows is not None:
        yield RuleResult(
            rule="min_rows",
            passed=n >= rules.min_rows,
            expected=f"at least {rules.min_rows}",
            found=f"{n} rows",
        )
    if rules.max_rows is not None:
        yield RuleResult(
            rule="max_rows",
            passed=n <= rules.max_rows,
            expected=f"at most {rules.max_rows}",
            found=f"{n} rows",
        )
    if rules.only_columns:
        others = [name for name in table.schema if name not in rules.columns]
        found = ", ".join(f"`{name}`" for name in others[:10]) or "no others"
        yield RuleResult(rule="columns", passed=not others, expected="those with rules only", found=found)


def _columns(
    table: Table, rules: DatasetRules, key: Sequence[str], reference: Table | None
) -> Iterator[RuleResult]:
    for name, wanted in rules.columns.items():
        if name not in table.schema:
            close = near(name, table.schema)
            yield RuleResult(
                rule="columns",
                column=name,
                passed=False,
                expected="that it is there",
                found=f"none; is it `{close}`?" if close else "none",
            )
            continue
        is_known = wanted.max_drift is not None and reference is not None and name in reference.schema
        before = reference.column(name) if reference is not None and is_known else None
        for finding in check_column(table.column(name), wanted, before=before):
            yield _result(table, finding, name, key)


def _result(table: Table, finding: Finding, name: str, key: Sequence[str]) -> RuleResult:
    places = _broken(finding)
    return RuleResult(
        rule=finding.rule,
        column=name,
        passed=finding.passed,
        expected=finding.expected,
        found=finding.found,
        n_broken=None if finding.broken is None else places.size,
        rows=_broken_rows(table, places, [name], key),
    )


def _broken(finding: Finding) -> NDArray[Any]:
    if finding.broken is None:
        return np.array([], dtype=np.int64)
    return finding.broken.fill_null(value=False).arg_true().to_numpy()


def _key(table: Table, rules: DatasetRules, *, has_key: bool) -> Iterator[RuleResult]:
    if not rules.key:
        return
    named = ", ".join(f"`{name}`" for name in rules.key)
    expected = f"{named}: each row once"
    if not has_key:
        lost = ", ".join(f"`{name}`" for name in rules.key if name not in table.schema)
        yield RuleResult(rule="key", passed=False, expected=expected, found=f"no column {lost}")
        return
    values = pl.DataFrame({name: table.column(name) for name in rules.key})
    places = values.select(pl.struct(pl.all()).is_duplicated()).to_series().arg_true().to_numpy()
    yield RuleResult(
        rule="key",
        passed=not places.size,
        expected=expected,
        found=f"{places.size} rows share theirs" if places.size else "every row",
        n_broken=places.size,
        rows=_broken_rows(table, places, rules.key, rules.key),
    )


def _condition(table: Table, rule: RowRule, key: Sequence[str]) -> RuleResult:
    expression = _read(rule, table)
    names = expression.meta.root_names()
    lost = [name for name in names if name not in table.schema]
    if lost:
        found = "no column " + ", ".join(f"`{name}`" for name in lost)
        return RuleResult(rule=rule.name, passed=False, expected=rule.keep, found=found)
    places, start = [], 0
    for batch in table.batches(list(dict.fromkeys(names))):
        kept = _kept(batch, expression, rule)
        places.append((~kept).fill_null(value=False).arg_true().to_numpy() + start)
        start += batch.height
    broken = np.concatenate(places) if places else np.array([], dtype=np.int64)
    return RuleResult(
        rule=rule.name,
        passed=not broken.size,
        expected=rule.keep,
        found=f"{broken.size} rows where it is false" if broken.size else "every row",
        n_broken=broken.size,
        rows=_broken_rows(table, broken, names, key),
    )


def _read(rule: RowRule, table: Table) -> pl.Expr:
    try:
        return pl.sql_expr(rule.keep)
    except pl.exceptions.PolarsError as error:
        raise _unreadable(rule, error, table) from error


def _kept(batch: pl.DataFrame, expression: pl.Expr, rule: RowRule) -> pl.Series:
    try:
        kept = batch.select(expression.alias("kept")).to_series()
    except pl.exceptions.PolarsError as error:
        raise _unreadable(rule, error) from error
    if kept.dtype != pl.Boolean or len(kept) != batch.height:
        raise ConfigInvalid(
            f"`{rule.keep}` of the rule `{rule.name}` does not tell true or false of each row",
            hint="Write a comparison such as `net <= gross`",
        )
    return kept


def _unreadable(rule: RowRule, error: Exception, table: Table | None = None) -> ConfigInvalid:
    columns = ", ".join(f"`{name}`" for name in list(table.schema)[:10]) if table is not None else ""
    return ConfigInvalid(
        f"`{rule.keep}` of the rule `{rule.name}` cannot be read: {str(error).splitlines()[0]}",
        hint=f"Write SQL over the columns {columns}" if columns else "Write SQL that compares columns",
    )


def _fresh(table: Table, rules: DatasetRules, now: datetime) -> Iterator[RuleResult]:
    if rules.fresh is None:
        return
    name, most_h = rules.fresh.column, rules.fresh.max_age_h
    expected = f"at most {most_h:.4g} h old"
    at = _latest(table, name)
    if isinstance(at, str):
        yield RuleResult(rule="fresh", column=name, passed=False, expected=expected, found=at)
        return
    age = now - at
    yield RuleResult(
        rule="fresh",
        column=name,
        passed=age <= timedelta(hours=most_h),
        expected=expected,
        found=f"{at.isoformat()}, {age / timedelta(hours=1):.4g} h old",
    )


def _latest(table: Table, name: str) -> datetime | str:
    """Give the latest time of a column, in UTC where it knows no zone; or why there is none, in words."""
    kind = table.schema.get(name)
    if kind is None:
        return "no such column"
    known = table.column(name).drop_nulls()
    if not len(known):
        return "no time at all"
    if kind == pl.String:
        span = time_range(known)
        latest: Any = None if span is None else datetime.fromisoformat(span[1])
    elif isinstance(kind, pl.Datetime) or kind == pl.Date:
        latest = known.cast(pl.Datetime("us", getattr(kind, "time_zone", None))).max()
    else:
        latest = None
    if latest is None:
        return f"{type_name(kind)}, and not only times"
    at: datetime = latest.replace(tzinfo=UTC) if latest.tzinfo is None else latest
    return at


def _broken_rows(
    table: Table, places: NDArray[Any], columns: Sequence[str], key: Sequence[str]
) -> tuple[BrokenRow, ...]:
    shown = places[:MAX_ROWS]
    if not shown.size:
        return ()
    held = {name: table.column(name).gather(shown) for name in dict.fromkeys([*key, *columns])}
    return tuple(
        BrokenRow(
            row=int(place),
            key={name: cell_text(held[name][i]) for name in key},
            values={name: cell_text(held[name][i]) for name in dict.fromkeys(columns)},
        )
        for i, place in enumerate(shown)
    )
