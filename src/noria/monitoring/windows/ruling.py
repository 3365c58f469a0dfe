"""Hold the rows of windows to the rules of the data that their version was trained on. Runs in a worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from noria.core.errors import Invalid
from noria.core.stats.columns import flatten_columns
from noria.core.stats.intervals import clopper_pearson
from noria.core.workspace import Workspace
from noria.data.quality.entities import RuleResult
from noria.data.quality.settings import DatasetRules
from noria.monitoring.entities import Window, WindowRule
from noria.monitoring.reference import Reference
from noria.monitoring.reports.rules import held_to, trained_on
from noria.registry.signatures import stack_rows
from noria.serving.captures import Captures
from noria.serving.predictions import CapturedRow

MOST_ROWS: Final = 10_000
"""Of a window that are held to rules: its first ones."""

LEVEL: Final = 0.01
"""Most quiet windows, as a share, in which a rule counts as surely broken; over all rules of a window."""

_READ_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class Ruling:
    """Holds windows to rules.

    Attributes
    ----------
    checks
        Rules by data set.
    references
        Gives the reference of a version.
    tolerated
        Share of a window's rows that may break a rule.
    """

    workspace: Workspace
    project: str
    endpoint: str
    checks: Mapping[str, DatasetRules]
    references: Callable[[int], Reference | None]
    tolerated: float

    def held(self, window: Window, *, now: datetime) -> Window:
        """Give a window with the rules that it breaks; as it is where there are none for the data of its version."""
        reference = self.references(window.version)
        rules = self.checks.get(trained_on(reference.version)) if reference is not None else None
        rows = self._rows(window) if rules is not None else []
        if reference is None or rules is None or not rows:
            return window
        try:
            stacked = stack_rows(reference.version.signature, [row.prediction.inputs for row in rows])
        except Invalid as error:
            return replace(window, lacks=[*window.lacks, f"Its rows are held to no rules: {error.message}"])
        name = trained_on(reference.version)
        results, lacks = held_to(rules, name, flatten_columns(stacked), now=now)
        if window.n_rows > MOST_ROWS:
            lacks.append(f"Only the first {MOST_ROWS} rows are held to the rules of `{name}`")
        broken = [self._broken(result, len(rows), len(results)) for result in results if not result.passed]
        return replace(window, n_rules=len(results), rules=broken, lacks=[*window.lacks, *lacks])

    def _broken(self, result: RuleResult, n_rows: int, n_rules: int) -> WindowRule:
        if result.n_broken is None:
            return WindowRule(name=result.words, n_rows=n_rows)
        share = clopper_pearson(result.n_broken, n_rows, alpha=2 * LEVEL / n_rules)
        return WindowRule(
            name=result.words,
            n_rows=n_rows,
            n_broken=result.n_broken,
            low=share.lower,
            high=share.upper,
            surely=share.lower > self.tolerated,
        )

    def _rows(self, window: Window) -> list[CapturedRow]:
        captures, after = self.workspace.service(Captures), window.first_position - 1
        found: list[CapturedRow] = []
        while after < window.last_position and len(found) < MOST_ROWS:
            page = captures.read(
                self.project, self.endpoint, after=after, limit=_READ_AT_ONCE, version=window.version
            )
            found += (row for row in page.items if _is_in(row, window))
            if not page.items or page.next <= after:
                break
            after = page.next
        return found[:MOST_ROWS]


def _is_in(row: CapturedRow, window: Window) -> bool:
    if row.prediction.error is not None or row.position > window.last_position:
        return False
    if window.starts_at is None or window.ends_at is None:
        return True
    return window.starts_at <= row.prediction.at < window.ends_at
