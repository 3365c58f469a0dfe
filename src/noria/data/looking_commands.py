"""The commands of `noria data` that look at versions: profile and check."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, ProjectOption, WorkspaceOption, opened

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from noria.core.workspace import Workspace
    from noria.data.diffing.entities import TableDiff
    from noria.data.entities import DatasetVersion

_REF = Annotated[str, typer.Argument(help="`name`, `name@version` or `name@tag`.")]
_FILE = Annotated[
    str | None,
    typer.Option("--file", metavar="PATH", help="Which of several files it is.", show_default=False),
]


def register(data: typer.Typer) -> None:
    """Put the commands into the group `noria data`."""
    for command in (profile, check):
        data.command(command.__name__)(command)


def profile(
    ref: _REF,
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            metavar="COLUMN",
            help="Column to be predicted: those that give it away are told.",
            show_default=False,
        ),
    ] = None,
    file: _FILE = None,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Tell what the columns of a version hold."""
    from noria.core.console.output import print_json, say
    from noria.data.looking import find_version, profile_version
    from noria.data.looking_words import profile_tables

    with opened(workspace, project) as ws:
        version = find_version(ws, ref)
        found = profile_version(ws, version, target=target, file=file)
    if json:
        print_json(found)
        return
    say(f"{version.ref}: {found.n_rows} rows, {len(found.columns) + len(found.nested)} columns")
    _print(profile_tables(found))


def check(
    ref: _REF,
    suggest: Annotated[
        bool, typer.Option("--suggest", help="Propose rules that this version keeps, for `noria.toml`.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Do not keep the result: nothing is blocked or let through.")
    ] = False,
    file: _FILE = None,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Check a version by the rules in `noria.toml`; exit with 1 if one is broken.

    Runs and steps refuse to read a version whose newest check failed.
    """
    from noria.core.console.output import print_json, say
    from noria.data.looking import check_version, find_version, suggest_for
    from noria.data.looking_words import broken_rows, check_table

    with opened(workspace, project) as ws:
        version = find_version(ws, ref)
        if suggest:
            sys.stdout.write(suggest_for(ws, version, file=file))
            return
        report = check_version(ws, version, file=file, record=not dry_run)
    if json:
        print_json({"passed": report.passed, "report": report})
    else:
        _print([check_table(report), *broken_rows(report)])
        kept = len(report.results) - len(report.broken)
        say(f"{report.ref} keeps {kept} of {len(report.results)} rules")
    if not report.passed:
        raise typer.Exit(1)


def table_diff(
    ws: Workspace,
    before: DatasetVersion,
    after: DatasetVersion,
    *,
    key: Sequence[str] | None = None,
    file: str | None = None,
) -> TableDiff | None:
    """Compare two versions as tables; None where they hold no single table each, and no file was named."""
    from noria.core.errors import Invalid
    from noria.data.looking import diff_versions

    try:
        return diff_versions(ws, before, after, key=key, file=file)
    except Invalid:
        if key is not None or file is not None:
            raise
        return None


def print_table_diff(diff: TableDiff) -> None:
    """Print a comparison of tables."""
    from noria.data.looking_words import diff_tables_of

    _print(diff_tables_of(diff))


def _print(parts: Iterable[Any]) -> None:
    from rich.text import Text

    from noria.core.console.output import stdout

    console = stdout()
    for part in parts:
        console.print(Text(part) if isinstance(part, str) else part)
