"""`noria gc`: for whoever owns the workspace's folder, beside a running server or without one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, WorkspaceOption

if TYPE_CHECKING:
    from datetime import timedelta

    from noria.server.upkeep import Removed

app = typer.Typer(add_completion=False)

_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@app.command()
def gc(
    older_than: Annotated[
        str,
        typer.Option(
            "--older-than",
            metavar="TIME",
            help="Leave alone what was deleted within this time: `30d`, `12h`, `0s`.",
        ),
    ] = "30d",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count only; remove nothing.")] = False,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Free the space of what was deleted long ago."""
    from noria.core.clock import SystemClock
    from noria.core.config import load_settings
    from noria.core.console.output import show
    from noria.core.workspace import open_context
    from noria.server.upkeep import remove_deleted

    grace = parse_time(older_than)
    context = open_context(load_settings(workspace=workspace), SystemClock())
    try:
        removed = remove_deleted(context, older_than=grace, dry_run=dry_run, shrink=True)
    finally:
        context.database.dispose()
    show(removed, json=json, render=_facts)


def parse_time(text: str) -> timedelta:
    """Read a length of time.

    Raises
    ------
    Invalid
        If it is none.

    Examples
    --------
    >>> parse_time("1.5h").total_seconds()
    5400.0
    """
    from datetime import timedelta

    from noria.core.errors import Invalid

    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise Invalid(f"`{text}` is no length of time", hint="Write `30d`, `12h`, `90m`, `10s` or `2w`")
    try:
        return timedelta(seconds=float(match[1]) * _SECONDS[match[2]])
    except OverflowError as error:
        raise Invalid(f"`{text}` is longer than time lasts", hint="Write `30d`") from error


def _facts(removed: Removed) -> Any:
    from noria.core.console.output import facts

    done = "would be removed" if removed.dry_run else "removed"
    return facts(
        [
            *((f"{kind} {done}", number) for kind, number in removed.rows.items()),
            (f"files {done}", removed.objects.n_removed),
            ("bytes of files", removed.objects.removed_bytes),
            ("bytes of the database", removed.database_bytes),
        ]
    )
