"""The rules of the training data, held to what an endpoint was asked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from numpy.typing import NDArray

from noria.core.workspace import Workspace
from noria.data.profiling.sources import ArraysTable
from noria.data.quality.checks import check_table
from noria.data.quality.entities import RuleResult
from noria.data.quality.gate import rules_of
from noria.data.quality.settings import ColumnRules, DatasetRules, RowRule
from noria.registry.entities import ServableVersion


def held_to_rules(
    workspace: Workspace, version: ServableVersion, inputs: Mapping[str, NDArray[Any]], *, now: datetime
) -> tuple[list[RuleResult], list[str]]:
    """Hold inputs to the rules that `noria.toml` has for the data set that the version was trained on.

    Parameters
    ----------
    inputs
        By name, each of shape (n_rows,).

    Returns
    -------
    list of RuleResult, list of str
        Broken rules first; none where there are no rules. And what could not be held to them.

    Notes
    -----
    Bounds, values, patterns, missing values and conditions on rows. What a data set keeps as a whole (keys, numbers of
    rows, columns, age, types as they are stored) says nothing about requests, and drift is tested beside this.
    """
    name = trained_on(version)
    rules = rules_of(workspace, name) if name else None
    return held_to(rules, name, inputs, now=now) if rules is not None and inputs else ([], [])


def trained_on(version: ServableVersion) -> str:
    """Give the data set that a version was trained on; empty where that is not known."""
    return (version.origin.dataset or "").partition("@")[0]


def held_to(
    rules: DatasetRules, name: str, inputs: Mapping[str, NDArray[Any]], *, now: datetime
) -> tuple[list[RuleResult], list[str]]:
    """Hold inputs to the rules of a data set, as `held_to_rules` does."""
    columns = {each: _of_values(rule) for each, rule in rules.columns.items() if each in inputs}
    table = ArraysTable(dict(inputs))
    found = list(check_table(table, DatasetRules(columns=columns), now=now))
    lacks = []
    for rule in rules.rows:
        missing = [each for each in _names(rule) if each not in inputs]
        if missing:
            lacks.append(
                f"The rule `{rule.name}` of `{name}` is about more than the model takes: `{missing[0]}`"
            )
        else:
            found += check_table(table, DatasetRules(rows=(rule,)), now=now)
    if rules.columns and not columns:
        known = ", ".join(f"`{each}`" for each in list(rules.columns)[:5])
        lacks.append(f"The model takes none of the columns that `{name}` has rules for: {known}")
    return sorted(found, key=lambda result: result.passed), lacks


def _names(rule: RowRule) -> list[str]:
    """Give the columns that a condition reads; none where it cannot be read, which the check then tells."""
    import polars as pl

    try:
        return pl.sql_expr(rule.keep).meta.root_names()
    except pl.exceptions.PolarsError:
        return []


def _of_values(rules: ColumnRules) -> ColumnRules:
    """Keep what each value has to keep."""
    return msgspec.structs.replace(rules, type=None, unique=False, max_drift=None)
