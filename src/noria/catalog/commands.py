"""`noria catalog`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, LimitOption, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import print_json, say, show, stdout, table

if TYPE_CHECKING:
    from noria.catalog.entities import RecordPage

_SEARCHED = 1_000

catalog = typer.Typer(no_args_is_help=True, help="Decision records: what was chosen, and why")


@catalog.command("list")
def list_records(
    subject: Annotated[
        str, typer.Option("--subject", help="Only about this, such as `endpoint:digits`.")
    ] = "",
    kind: Annotated[str, typer.Option("--kind", help="`selection` or `remedy`.")] = "",
    limit: LimitOption = 50,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """List decision records, newest first."""
    from noria.catalog.service import Catalog

    with opened(workspace, project) as ws:
        page = ws.service(Catalog).list(ws.project, kind=kind, subject=subject, limit=limit)
    show(page, json=json, render=_records_table)


@catalog.command("search")
def search_records(
    words: Annotated[list[str], typer.Argument(help="Words that the record must hold, all of them.")],
    limit: LimitOption = 50,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Find decision records by words, newest first."""
    from noria.catalog.entities import RecordPage
    from noria.catalog.render import mentions
    from noria.catalog.service import Catalog

    with opened(workspace, project) as ws:
        page = ws.service(Catalog).list(ws.project, limit=_SEARCHED)
    found = RecordPage(items=[r for r in page.items if mentions(r, words)][:limit], next=None)
    show(found, json=json, render=_records_table)
    if page.next is not None:
        say(f"Only the newest {_SEARCHED} records were searched")


@catalog.command("show")
def show_record(
    record_id: Annotated[str, typer.Argument(help="Id of the record.")],
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Tell the story of one decision."""
    from rich.markdown import Markdown

    from noria.catalog.render import to_markdown
    from noria.catalog.service import Catalog

    with opened(workspace, project) as ws:
        found = ws.service(Catalog).get(ws.project, record_id)
    if json:
        print_json(found)
    elif stdout().is_terminal:
        stdout().print(Markdown(to_markdown(found)))
    else:
        typer.echo(to_markdown(found), nl=False)


def _records_table(page: RecordPage) -> Any:
    rows = [(r.id, r.created_at, r.kind.value, r.subject, r.cause, r.choice) for r in page.items]
    return table(["id", "created", "kind", "about", "cause", "choice"], rows)
