"""Tell the study on the terminal as it goes: a line a stage, tables of figures."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from noria.examples.rankings.intervals import Verdict

if TYPE_CHECKING:
    from noria.examples.rankings.story import Mended

_STAGE_WIDTH = 9


class Screen:
    """Prints to a console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()

    def say(self, stage: str, text: str) -> None:
        """Print one line, with the seconds since the beginning."""
        at = f"{time.monotonic() - self._began:6.1f} s  "
        self._console.print(Text.assemble(at, (f"{stage:<{_STAGE_WIDTH}}", "bold"), text), soft_wrap=True)

    def verdicts(self, verdicts: list[Verdict]) -> None:
        """Show measured intervals beside published values."""
        table = _table("", "published", "mean", "from", "to", "")
        place = None
        for verdict in verdicts:
            if place != (verdict.where, verdict.experiment):
                place = verdict.where, verdict.experiment
                table.add_row(Text(f"{verdict.experiment}, {verdict.where}", style="bold"))
            interval = verdict.interval
            figures = (f"{value:.4f}" for value in (verdict.mean, interval.lower, interval.upper))
            end = Text("inside") if verdict.inside else Text("OUTSIDE", style="bold red")
            table.add_row(f"  {verdict.measure}", verdict.published[:8], *figures, end)
        self._console.print(table)
        if verdicts:
            self.say("", _summary(verdicts))

    def differences(self, rows: list[Mended]) -> None:
        """Show what mending the defects changes."""
        table = _table("accuracy", "defects", "mended", "change from", "to", "p (Holm)")
        for row in rows:
            cells = (row.published, row.mended, row.lower, row.upper, row.p_adjusted)
            table.add_row(row.experiment, *("–" if value is None else f"{value:.4f}" for value in cells))
        self._console.print(table)

    def models(self, models: dict[str, dict[str, Any]]) -> None:
        """Show what was registered, and why."""
        for data, found in models.items():
            self.say("choose", f"{found['ref']} for {data}: {found['reason']}")


def _summary(verdicts: list[Verdict]) -> str:
    inside = sum(verdict.inside for verdict in verdicts)
    coverage = min(verdict.interval.coverage for verdict in verdicts)
    return (
        f"{inside} of {len(verdicts)} published values lie inside; each interval holds one more draw with a "
        f"probability of at least {coverage:.0%}, so {coverage * len(verdicts):.0f} or more were to be expected"
    )


def _table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        numeric = heading not in ("accuracy", "")
        table.add_column(heading, justify="right" if numeric else "left", no_wrap=True)
    return table
