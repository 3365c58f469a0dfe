"""`noria comments`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, LimitOption, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import say, show, table

if TYPE_CHECKING:
    from noria.access.comment_entities import CommentPage

comments = typer.Typer(no_args_is_help=True, add_completion=False, help="What people say about things")

OnArgument = Annotated[
    str,
    typer.Argument(
        metavar="ON",
        help="`run:ID`, `model:NAME@VERSION`, `dataset:NAME@VERSION`, `endpoint:NAME`, `incident:ID` or `record:ID`.",
    ),
]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Id of the comment.")]


@comments.command("list")
def list_comments(
    on: OnArgument,
    limit: LimitOption = 50,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """List the last comments on a thing, the newest last."""
    from noria.access.comments import Comments

    with opened(workspace, project) as ws:
        page = ws.service(Comments).list(ws.project, on, limit=limit)
    show(page, json=json, render=_table)
    if page.next and not json:
        say(f"There are earlier ones: raise `--limit {limit}`")


@comments.command("add")
def add_comment(
    on: OnArgument,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Markdown; `-` reads standard input.")],
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Say something about a thing."""
    from noria.access.comment_entities import NewComment
    from noria.access.comments import Comments

    said = sys.stdin.read() if text == "-" else text
    with opened(workspace, project) as ws:
        made = ws.service(Comments).add(ws.project, NewComment(on=on, text=said))
    show(made, json=json, render=lambda comment: f"Comment {comment.id} is on {on}")


@comments.command("edit")
def edit_comment(
    comment_id: IdArgument,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Markdown; `-` reads standard input.")],
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Give a comment of yours another text."""
    from noria.access.comment_entities import CommentChange
    from noria.access.comments import Comments

    said = sys.stdin.read() if text == "-" else text
    with opened(workspace, project) as ws:
        changed = ws.service(Comments).edit(ws.project, comment_id, CommentChange(text=said))
    show(changed, json=json, render=lambda comment: f"Comment {comment.id} has another text")


@comments.command("rm")
def remove_comment(
    comment_id: IdArgument,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Show a comment no longer; `noria comments restore` brings it back."""
    from noria.access.comments import Comments

    with opened(workspace, project) as ws:
        removed = ws.service(Comments).remove(ws.project, comment_id)
    show(
        removed,
        json=json,
        render=lambda comment: (
            f"Removed {comment.id}; bring it back with `noria comments restore {comment.id}`"
        ),
    )


@comments.command("restore")
def restore_comment(
    comment_id: IdArgument,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Show a removed comment again."""
    from noria.access.comments import Comments

    with opened(workspace, project) as ws:
        restored = ws.service(Comments).restore(ws.project, comment_id)
    show(restored, json=json, render=lambda comment: f"Comment {comment.id} is shown again")


def _table(page: CommentPage) -> Any:
    rows = [(each.id, each.created_at, each.author, each.text) for each in page.items]
    return table(["id", "said", "author", "text"], rows)
