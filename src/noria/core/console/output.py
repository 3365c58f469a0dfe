"""Data to stdout, words to stderr; tables for people, JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from noria.core.errors import NoriaError
from noria.core.serialisation import to_json

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

V = TypeVar("V")

_PIPE_COLUMNS = 10_000


def stdout() -> Console:
    """Give the console that data goes to."""
    from rich.console import Console

    class Output(Console):
        def on_broken_pipe(self) -> None:
            # Rich would end the process with 1; the root knows that a reader who leaves is no failure.
            raise BrokenPipeError

    # In a pipe there is no edge to fold at: `noria runs list | grep` must find whole cells on one line.
    width = None if sys.stdout.isatty() else _PIPE_COLUMNS
    return Output(highlight=False, soft_wrap=width is not None, width=width)


def stderr() -> Console:
    """Give the console that words go to."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    """Print a value as JSON, indented on a terminal."""
    import msgspec

    text = to_json(value)
    if sys.stdout.isatty():
        text = msgspec.json.format(text, indent=2)
    sys.stdout.write(text.decode() + "\n")


def show(value: V, *, json: bool, render: Callable[[V], RenderableType]) -> None:
    """Print `value` as JSON, or what `render` makes of it."""
    if json:
        print_json(value)
    else:
        stdout().print(render(value))


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None
) -> RenderableType:
    """Lay out rows under headings; numbers are set to the right."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    listed = [list(row) for row in rows]
    laid = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        numeric = bool(listed) and all(isinstance(row[index], (int, float)) for row in listed)
        # An id is there to be copied: it stays on one line.
        laid.add_column(
            column, justify="right" if numeric else "left", overflow="fold", no_wrap=column == "id"
        )
    for row in listed:
        laid.add_row(*(Text(cell(value)) for value in row))
    return laid


def facts(pairs: Iterable[tuple[str, object]]) -> RenderableType:
    """Lay out names and values of one thing."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    for name, value in pairs:
        grid.add_row(Text(name, style="dim"), Text(cell(value)))
    return grid


def cell(value: object) -> str:
    """Give the text of one cell: short floats, local times, an en dash for nothing."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(cell(item) for item in value) or "–"
    return str(value)


def say(text: str) -> None:
    """Tell the person something that is not data."""
    sys.stderr.write(f"{text}\n")


def print_error(error: NoriaError) -> None:
    """Print an error: what is wrong, a blank line, then the mend."""
    if not sys.stderr.isatty():
        # Rich would take longer to import than most commands that fail take to run.
        hint = f"\n\nhint: {error.hint}" if error.hint else ""
        sys.stderr.write(f"error: {error.message}{hint}\n")
        return
    from rich.text import Text

    console = stderr()
    console.print(Text.assemble(("error", "bold red"), f": {error.message}"), soft_wrap=True)
    if error.hint:
        console.print(Text.assemble("\n", ("hint", "bold cyan"), f": {error.hint}"), soft_wrap=True)
