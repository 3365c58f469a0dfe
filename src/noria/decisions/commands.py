"""`noria decisions`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, LimitOption, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import facts, print_json, show, stdout, table
from noria.decisions.announcement_commands import announce_command, announced_command, withdraw_command

if TYPE_CHECKING:
    from noria.decisions.entities import Decision, DecisionPage

decisions = typer.Typer(no_args_is_help=True, help="Incidents, diagnoses and remedies")

decisions.command("announce")(announce_command)
decisions.command("announced")(announced_command)
decisions.command("withdraw")(withdraw_command)

DecisionId = Annotated[str, typer.Argument(help="Id of the decision.")]
Why = Annotated[str, typer.Option("--reason", "-m", help="Why, for the record.")]


@decisions.command("list")
def list_decisions(
    endpoint: Annotated[str, typer.Option("--endpoint", help="Only about this endpoint.")] = "",
    status: Annotated[
        str, typer.Option("--status", help="Only those that are `asking`, `waiting`, `done`, …")
    ] = "",
    limit: LimitOption = 50,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """List decisions, newest first."""
    from noria.decisions.service import Decisions

    with opened(workspace, project) as ws:
        page = ws.service(Decisions).list(ws.project, endpoint=endpoint, status=status, limit=limit)
    show(page, json=json, render=_decisions_table)


@decisions.command("show")
def show_decision(
    decision_id: DecisionId,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Tell the story of one incident."""
    from rich.markdown import Markdown

    from noria.catalog.service import Catalog
    from noria.core.serialisation import to_builtins
    from noria.decisions.render import to_markdown
    from noria.decisions.service import Decisions

    with opened(workspace, project) as ws:
        found = ws.service(Decisions).get(ws.project, decision_id)
        record = ws.service(Catalog).get(ws.project, found.record_id)
    if json:
        print_json({**to_builtins(found), "record": to_builtins(record)})
    elif stdout().is_terminal:
        stdout().print(Markdown(to_markdown(found, record)))
    else:
        typer.echo(to_markdown(found, record), nl=False)


@decisions.command("start")
def start(
    endpoint: Annotated[str, typer.Argument(help="Name of the endpoint.")],
    since: Annotated[
        int | None,
        typer.Option("--since", metavar="POSITION", help="Captured row from which on things are wrong."),
    ] = None,
    reason: Why = "",
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Have an endpoint diagnosed, and put right as the project's policies allow."""
    from noria.decisions.entities import StartDecision
    from noria.decisions.service import Decisions

    wish = StartDecision(endpoint=endpoint, onset_position=since, reason=reason)
    with opened(workspace, project) as ws:
        found = ws.service(Decisions).start(ws.project, wish)
    show(found, json=json, render=_decision_facts)


@decisions.command("approve")
def approve(
    decision_id: DecisionId,
    reason: Why = "",
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Let a proposed remedy be carried out."""
    from noria.decisions.entities import Answer
    from noria.decisions.service import Decisions

    with opened(workspace, project) as ws:
        found = ws.service(Decisions).approve(ws.project, decision_id, Answer(reason=reason))
    show(found, json=json, render=_decision_facts)


@decisions.command("reject")
def reject(
    decision_id: DecisionId,
    reason: Why = "",
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """End a decision that waits or asks, without its remedy."""
    from noria.decisions.entities import Answer
    from noria.decisions.service import Decisions

    with opened(workspace, project) as ws:
        found = ws.service(Decisions).reject(ws.project, decision_id, Answer(reason=reason))
    show(found, json=json, render=_decision_facts)


def _decisions_table(page: DecisionPage) -> Any:
    rows = [
        (
            found.id,
            found.created_at,
            found.endpoint,
            found.status.value,
            found.cause and found.cause.value,
            found.remedy and found.remedy.value,
            found.reason,
        )
        for found in page.items
    ]
    return table(["id", "opened", "endpoint", "status", "cause", "remedy", "reason"], rows)


def _decision_facts(found: Decision) -> Any:
    return facts(
        [
            ("decision", found.id),
            ("endpoint", found.endpoint),
            ("model", f"{found.model}@{found.version}"),
            ("status", found.status.value),
            ("cause", found.cause and found.cause.value),
            ("remedy", found.remedy and found.remedy.value),
            ("reason", found.reason),
        ]
    )
