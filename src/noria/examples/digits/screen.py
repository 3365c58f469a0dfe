"""Tell the story on the terminal as it happens: a line a stage, a bar for the traffic, a table at the end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from noria.examples.digits.figures import Figures
from noria.examples.digits.roles import Roles

if TYPE_CHECKING:
    from noria.examples.digits.traffic import Counts

_STAGE_WIDTH = 9
_STYLES = {
    "alert": "bold red",
    "cause": "bold yellow",
    "asked": "bold green",
    "done": "bold green",
    "onset": "bold",
}


class Screen:
    """Prints to a console; what is said goes to stderr when stdout is taken by figures."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._bar = Progress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[figures]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("requests", total=None, figures="", visible=False)

    def open(self, roles: Roles, *, title: str, seed: int, folder: Path) -> None:
        """Say what is about to happen, and how the images are split."""
        self._console.print(Text(title, style="bold"))
        split = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in ("role of the images", "images", "zeros", "used for"):
            split.add_column(heading, justify="right" if heading in ("images", "zeros") else "left")
        for name, part, use in (
            ("training", roles.training, "fitting and choosing the first model"),
            ("quiet", roles.quiet, "traffic before the onset, labelled late"),
            ("live, labelled", roles.labelled, "traffic after it, labelled late"),
            ("live, unlabelled", roles.unlabelled, "traffic after it, never labelled, sent again and again"),
            ("final", roles.final, "measuring at the end, natural mix"),
            ("final zeros", roles.final_zeros, "measuring at the end, zeros only"),
        ):
            split.add_row(name, str(len(part)), str(part.n_zeros), use)
        self._console.print(split)
        self._console.print(Text(f"seed {seed}, folder {folder}\n", style="dim"))
        self._bar.start()

    def say(self, stage: str, text: str) -> None:
        """Print a line of the story with the seconds since the beginning."""
        line = Text(f"{time.monotonic() - self._began:6.1f} s  ", style="dim")
        line.append(f"{stage:<{_STAGE_WIDTH}}", style=_STYLES.get(stage, "cyan"))
        line.append(text, style="")
        self._bar.console.print(line, soft_wrap=True)

    def traffic(self, counts: Counts) -> None:
        """Move the bar."""
        shown = ", ".join(f"v{version}: {n}" for version, n in sorted(counts.by_version.items()))
        figures = f"{counts.n_sent} sent, {counts.n_failed} failed, {counts.n_labels} labels ({shown})"
        self._bar.update(self._task, visible=True, figures=figures)

    def event(self, kind: str, payload: dict[str, Any]) -> None:
        """Tell what Noria did by itself."""
        tell = _TELLERS.get(kind)
        if tell is not None:
            stage, text = tell(payload)
            if text:
                self.say(stage, text)

    def close(self, figures: Figures) -> None:
        """Print the table of figures."""
        self._bar.stop()
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in ("accuracy on images never used before", "before", "after"):
            table.add_column(heading, justify="left" if "accuracy" in heading else "right")
        for name, before, after in (
            ("zeros", figures.zeros_accuracy_before, figures.zeros_accuracy_after),
            ("all digits", figures.overall_accuracy_before, figures.overall_accuracy_after),
        ):
            if before is not None and after is not None:
                table.add_row(name, f"{before:.1%}", f"{after:.1%}")
        self._console.print(table)
        for line in _closing_lines(figures):
            self._console.print(Text(line), soft_wrap=True)


def _closing_lines(figures: Figures) -> list[str]:
    lines = [f"{figures.requests_sent} requests sent, {figures.requests_failed} failed"]
    if figures.onset_to_detection_s is not None:
        lines.append(f"{figures.onset_to_detection_s:.1f} s from the onset to the alert")
    if figures.onset_to_recovery_s is not None:
        lines.append(f"{figures.onset_to_recovery_s:.1f} s from the onset to the recovery")
    lines.append(f"{figures.duration_s:.1f} s in all")
    lines.append(_verdict(figures))
    lines.append(f"The story as a page: {figures.url} (after `cd {figures.folder} && noria up`)")
    return lines


def _verdict(figures: Figures) -> str:
    if figures.incident == "none":
        return "No alert, no action" if figures.ended_well else "An action was taken without need"
    if figures.closed:
        return "The loop closed without a hand"
    if figures.ended_well and figures.remedy == "ask":
        return "The labels that there are decide nothing, and more are asked for; nothing was touched"
    if figures.ended_well:
        return (
            "A person is asked to mend what is broken; nothing was learned from it, and nothing was touched"
        )
    return "The loop did not close"


def _alert(payload: dict[str, Any]) -> tuple[str, str]:
    return "alert", str(payload.get("sentence", ""))


def _diagnosed(payload: dict[str, Any]) -> tuple[str, str]:
    return "cause", str(payload.get("sentence", payload.get("cause", "")))


def _tried(payload: dict[str, Any]) -> tuple[str, str]:
    return "trial", str(payload.get("sentence", ""))


def _chosen(payload: dict[str, Any]) -> tuple[str, str]:
    return "choice", str(payload.get("sentence", payload.get("choice", "")))


def _asked(payload: dict[str, Any]) -> tuple[str, str]:
    return "asked", str(payload.get("sentence", ""))


def _rollout_started(payload: dict[str, Any]) -> tuple[str, str]:
    if payload.get("from") is None:
        return "canary", ""
    return (
        "canary",
        f"version {payload.get('to')} goes out beside version {payload.get('from')}",
    )


def _rollout_advanced(payload: dict[str, Any]) -> tuple[str, str]:
    weight = payload.get("weight")
    return "canary", f"it answers {float(weight):.0%} of the requests" if weight else ""


def _promoted(payload: dict[str, Any]) -> tuple[str, str]:
    if payload.get("from") is None:
        return "canary", ""
    return "canary", f"version {payload.get('to')} is promoted: it answers every request"


def _rolled_back(payload: dict[str, Any]) -> tuple[str, str]:
    return "canary", f"rolled back: {payload.get('reason')}"


def _finished(payload: dict[str, Any]) -> tuple[str, str]:
    return "done", str(payload.get("sentence", "the decision is in the catalogue"))


_TELLERS = {
    "alert.opened": _alert,
    "decision.diagnosed": _diagnosed,
    "decision.tried": _tried,
    "decision.chosen": _chosen,
    "decision.asked": _asked,
    "decision.finished": _finished,
    "rollout.started": _rollout_started,
    "rollout.advanced": _rollout_advanced,
    "rollout.promoted": _promoted,
    "rollout.rolled_back": _rolled_back,
}
