"""`noria objects`: for whoever owns the workspace's folder, beside a running server or without one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from noria.core.console.options import JsonFlag, WorkspaceOption
from noria.core.console.output import facts, print_json, say, show, stdout, table

if TYPE_CHECKING:
    from noria.core.context import Context
    from noria.core.objects.store import Problem

app = typer.Typer(no_args_is_help=True, help="The object store: verify, repair and collect garbage")


@app.command("verify")
def verify(
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="Look whether everything is there and of the right size; read no bytes of objects.",
        ),
    ] = False,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Read every object, and look for each that something refers to; exit with 1 if one is damaged or missing."""
    from noria.core.objects.upkeep import find_problems

    with _folder(workspace) as context:
        problems = list(find_problems(context.database, context.objects, quick=quick))
    if json:
        print_json({"ok": not problems, "problems": problems})
    elif problems:
        _print_problems(problems)
        say(
            "`noria objects repair --from PLACE` takes these from another store; or add the same data again: "
            "a put of the same bytes mends an object"
        )
    elif quick:
        say("Every object is there with its size, and nothing that is referred to is missing")
    else:
        say("Every object has the bytes that its name says, and nothing that is referred to is missing")
    if problems:
        raise typer.Exit(1)


@app.command("repair")
def repair_objects(
    source: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="PLACE",
            help="Folder or bucket of another store, or a remote: its name, folder or bucket.",
            show_default=False,
        ),
    ],
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Take damaged and missing objects from another store; exit with 1 if some are left."""
    from noria.core.objects.upkeep import find_problems, repair

    with _folder(workspace) as context, _other(context, source) as open_there:
        done = repair(context.objects, open_there, list(find_problems(context.database, context.objects)))
    if json:
        print_json(done)
    else:
        say(f"{len(done.repaired)} objects are whole again, {len(done.left)} problems are left")
        if done.left:
            _print_problems(done.left)
    if done.left:
        raise typer.Exit(1)


@contextmanager
def _other(context: Context, source: str) -> Iterator[Callable[[str], Iterator[bytes]]]:
    """Give what opens the objects of another store or of a remote."""
    import tempfile
    from pathlib import Path

    from noria.core.objects.opening import open_source_of_objects
    from noria.data.remotes.known import known_remotes
    from noria.data.remotes.places import open_place
    from noria.data.remotes.repairing import holds_packs, opener

    names = {line.name: line.url for line in known_remotes(context.settings)}
    url = source if Path(source).exists() else names.get(source, source)
    spool = context.settings.folder / "tmp"
    if "://" in url and not url.startswith("file://"):
        place = open_place(url)
        if holds_packs(place):
            spool.mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(prefix="repair-", dir=spool) as scratch:
                yield opener(place, Path(scratch), context.clock)
            return
    yield open_source_of_objects(url, context.clock, spool=spool).open


def _print_problems(problems: list[Problem]) -> None:
    stdout().print(table(["problem", "name", "what"], [(p.kind.value, p.name, p.message) for p in problems]))


@app.command("gc")
def collect(
    grace_h: Annotated[
        float,
        typer.Option(
            "--grace-h",
            metavar="HOURS",
            min=1.0,
            help="Leave alone what was stored within this time, so that uploads under way are safe.",
        ),
    ] = 24.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count only; remove nothing.")] = False,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Remove objects that nothing refers to. A running server need not stop for it."""
    from datetime import timedelta

    from noria.core.objects.upkeep import collect_garbage

    with _folder(workspace) as context:
        done = collect_garbage(
            context.database, context.objects, context.clock, grace=timedelta(hours=grace_h), dry_run=dry_run
        )
    pairs = [
        ("would be removed" if dry_run else "removed", done.n_removed),
        ("bytes", done.removed_bytes),
        ("referred to", done.n_live),
        (f"stored in the last {grace_h:g} h", done.n_young),
        ("leftovers of ended writers", done.n_temporary),
    ]
    show(done, json=json, render=lambda _: facts(pairs))


@contextmanager
def _folder(workspace: str | None) -> Iterator[Context]:
    """Open the backends themselves: a server has no operation for this, since it reads and removes files."""
    from noria.core.clock import SystemClock
    from noria.core.config import load_settings
    from noria.core.workspace import open_context

    context = open_context(load_settings(workspace=workspace), SystemClock())
    try:
        yield context
    finally:
        context.database.dispose()
