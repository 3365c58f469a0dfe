"""`noria endpoints`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, LimitOption, ProjectOption, WorkspaceOption, YesFlag, opened
from noria.core.console.output import facts, print_json, say, show, table
from noria.serving.key_commands import capture_command, keys
from noria.serving.rollouts.commands import ReasonOption, rollout_facts, rollout_table

if TYPE_CHECKING:
    from noria.serving.entities import Endpoint

endpoints = typer.Typer(no_args_is_help=True, help="Endpoints and what they serve")
endpoints.add_typer(keys, name="keys")
endpoints.command("capture")(capture_command)

EndpointArgument = Annotated[str, typer.Argument(metavar="ENDPOINT", help="Endpoint.")]


@endpoints.command("list")
def list_endpoints(
    limit: LimitOption = 100,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """List endpoints."""
    from noria.serving.service import Endpoints

    with opened(workspace, project) as ws:
        page = ws.service(Endpoints).list(ws.project, limit=limit)
    rows = [(e.name, e.model, _shares(e), e.rollout_id, ", ".join(e.urls)) for e in page.items]
    columns = ["name", "model", "serves", "rollout", "answers at"]
    show(page, json=json, render=lambda _: table(columns, rows))


@endpoints.command("show")
def show_endpoint(
    name: EndpointArgument,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Show an endpoint and how its versions fare."""
    from noria.serving.service import Captures, Endpoints

    with opened(workspace, project) as ws:
        found = ws.service(Endpoints).get(ws.project, name)
        stats = ws.service(Captures).stats(ws.project, name)
    if json:
        print_json({"endpoint": found, "stats": stats.items})
        return
    show(found, json=False, render=endpoint_facts)
    columns = ["version", "requests", "errors", "mean ms", "p99 ms", "labels", "accuracy"]
    rows = [
        (
            s.version,
            s.n_requests,
            s.n_errors,
            s.mean_latency_ms,
            s.latency_quantile_ms(0.99),
            s.n_labelled,
            s.accuracy,
        )
        for s in stats.items
    ]
    show(stats, json=False, render=lambda _: table(columns, rows))


@endpoints.command("rollback")
def roll_back(
    name: EndpointArgument,
    reason: ReasonOption = None,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Go back to the version before, or abort the rollout under way."""
    from noria.serving.entities import Reason
    from noria.serving.service import Endpoints

    with opened(workspace, project) as ws:
        done = ws.service(Endpoints).rollback(ws.project, name, Reason(reason=reason))
    show(done, json=json, render=rollout_facts)


@endpoints.command("history")
def history(
    name: EndpointArgument,
    limit: LimitOption = 50,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """List the rollouts of an endpoint, newest first."""
    from noria.serving.service import Endpoints

    with opened(workspace, project) as ws:
        page = ws.service(Endpoints).history(ws.project, name, limit=limit)
    show(page, json=json, render=rollout_table)


@endpoints.command("delete")
def delete_endpoint(
    name: EndpointArgument,
    yes: YesFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Take an endpoint away; what it captured is kept."""
    from noria.serving.service import Endpoints

    if not yes:
        typer.confirm(f"Delete the endpoint {name}?", abort=True)
    with opened(workspace, project) as ws:
        ws.service(Endpoints).delete(ws.project, name)
    say(f"Deleted the endpoint {name}")


def endpoint_facts(endpoint: Endpoint) -> Any:
    """Lay an endpoint out."""
    return facts(
        [
            ("endpoint", endpoint.name),
            ("model", endpoint.model),
            ("serves", _shares(endpoint)),
            ("rollout", endpoint.rollout_id),
            ("answers at", ", ".join(endpoint.urls)),
            ("created", endpoint.created_at),
        ]
    )


def _shares(endpoint: Endpoint) -> str:
    return ", ".join(f"{endpoint.model}@{share.version} {share.weight:.0%}" for share in endpoint.shares)
