"""Progress of anything longer than a second; silent where nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


def track(items: Iterable[T], description: str, *, total: int | None = None) -> Iterator[T]:
    """Give the items one by one with a bar on stderr when it is a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from noria.core.console.output import stderr

    console = stderr()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        yield from progress.track(items, description=description, total=total)


@contextmanager
def counting_bytes(
    description: str, *, total_bytes: int | None = None
) -> Iterator[Callable[[int, int], None]]:
    """Give what is told of files and bytes as they are done, and show them on stderr when it is a terminal."""
    if not sys.stderr.isatty():
        # Rich would take longer to import than many a transfer takes.
        yield lambda _files, _bytes: None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from noria.core.console.output import stderr

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=stderr(), transient=True) as progress:
        task = progress.add_task(description, total=total_bytes)
        yield lambda _files, n_bytes: progress.advance(task, n_bytes)
