"""What a check of a version found."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from noria.core.errors import Conflict
from noria.data.diffing.entities import TableDiff

MAX_ROWS = 20
"""Rows named for each rule; the count is of all."""


class BrokenRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row that breaks a rule.

    Attributes
    ----------
    row
        Its place in the table, from 0.
    key
        Its key, where the rules name one.
    values
        What it holds in the columns of the rule, as text; None for a missing value.
    """

    row: int
    key: dict[str, str | None] = {}
    values: dict[str, str | None] = {}


class RuleResult(msgspec.Struct, frozen=True, kw_only=True):
    """One rule with what was found.

    Attributes
    ----------
    rule
        `type`, `min`, `max`, `missing`, `unique`, `values`, `pattern`, `drift`, `rows`, `columns`, `key`, `fresh`, or
        the name of a condition on rows.
    column
        None for a rule of the whole table.
    expected, found
        In words and figures.
    n_broken
        Rows that break it; None where the rule is not one of rows.
    rows
        The first of them.
    """

    rule: str
    column: str | None = None
    passed: bool
    expected: str
    found: str
    n_broken: int | None = None
    rows: tuple[BrokenRow, ...] = ()

    @property
    def words(self) -> str:
        """Give column and rule as one name: `amount: max`."""
        return f"{self.column}: {self.rule}" if self.column is not None else self.rule


class CheckReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a check of a version found.

    Attributes
    ----------
    digest
        Of the version's content.
    results
        Broken rules first.
    """

    ref: str
    digest: str
    n_rows: int
    results: tuple[RuleResult, ...]

    @property
    def passed(self) -> bool:
        """Tell whether every rule is kept."""
        return all(result.passed for result in self.results)

    @property
    def broken(self) -> tuple[RuleResult, ...]:
        """Give the rules that are not kept."""
        return tuple(result for result in self.results if not result.passed)


class RecordedCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A check that was made of a version. The newest one of a version is what counts."""

    id: str
    ref: str
    passed: bool
    author: str
    created_at: datetime
    report: CheckReport


class RecordedChecks(msgspec.Struct, frozen=True, kw_only=True):
    """Checks of a version, newest first."""

    items: list[RecordedCheck]


class RecordedDiff(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison that was made of a version with an earlier look at it.

    Attributes
    ----------
    against
        The version that stood before, as a reference.
    """

    id: str
    ref: str
    against: str
    author: str
    created_at: datetime
    diff: TableDiff


class RecordedDiffs(msgspec.Struct, frozen=True, kw_only=True):
    """Comparisons of a version, newest first."""

    items: list[RecordedDiff]


class NewCheck(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A check to keep with its version."""

    report: CheckReport


class NewDiff(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A comparison to keep with the version that it leads to."""

    diff: TableDiff


class NewProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A profile for a version that has none, or an older one."""

    profile: dict[str, Any]


class CheckFailed(Conflict):
    """A version broke its rules, so nothing may be made of it."""

    code = "check_failed"

    def __init__(self, ref: str, broken: list[str]) -> None:
        shown = ", ".join(f"`{words}`" for words in broken[:5]) + (" …" if len(broken) > 5 else "")
        super().__init__(
            f"`{ref}` failed its check: {shown}",
            hint=f"See `noria data check {ref}`; mend the data or the rules, and check again",
            details={"ref": ref, "broken": broken[:50]},
        )


class CheckMissing(Conflict):
    """The rules ask for a check, and there was none."""

    code = "check_missing"

    def __init__(self, ref: str) -> None:
        super().__init__(
            f"`{ref}` was never checked, and its rules require it",
            hint=f"noria data check {ref}",
            details={"ref": ref},
        )
