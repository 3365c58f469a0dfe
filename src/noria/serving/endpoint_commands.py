"""`noria endpoints`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, LimitOption, ProjectOption, WorkspaceOption, YesFlag, opened
from noria.core.console.output import cell, facts, print_json, say, show, table
from noria.serving.key_commands import capture_command, keys
from noria.serving.repairs.commands import list_command, repair_command
from noria.serving.rollouts.commands import ReasonOption, rollout_facts, rollout_table, steps_table

if TYPE_CHECKING:
    from noria.serving.cascades import CascadeReport
    from noria.serving.entities import Endpoint

endpoints = typer.Typer(no_args_is_help=True, help="Endpoints and what they serve")
endpoints.add_typer(keys, name="keys")
endpoints.command("capture")(capture_command)
endpoints.command("repair")(repair_command)
endpoints.command("repairs")(list_command)

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
    from noria.serving.service import Captures, Cascades, Endpoints

    with opened(workspace, project) as ws:
        found = ws.service(Endpoints).get(ws.project, name)
        stats = ws.service(Captures).stats(ws.project, name)
        turns = ws.service(Cascades).report(ws.project, name) if found.cascade else None
    if json:
        print_json({"endpoint": found, "stats": stats.items, "cascade": turns})
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
    if turns is not None:
        show(turns, json=False, render=cascade_table)


@endpoints.command("logs")
def show_logs(
    name: EndpointArgument,
    limit: LimitOption = 24,
    every: Annotated[bool, typer.Option("--all", help="Windows without a line as well.")] = False,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Count the warnings and errors that an endpoint's model servers logged, by five minutes, newest first."""
    from noria.serving.service import ServiceLogs
    from noria.serving.service_logs import LogWindowList

    with opened(workspace, project) as ws:
        found = ws.service(ServiceLogs).list(ws.project, name, limit=limit if every else 10_000).items
    shown = LogWindowList(items=[each for each in found if every or each.line is not None][:limit])
    rows = [
        (w.starts_at, w.n_warnings, w.n_errors, f"{w.line.level}: {w.line.text}" if w.line else None)
        for w in shown.items
    ]
    show(shown, json=json, render=lambda _: table(["from", "warnings", "errors", "newest line"], rows))


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
    steps: Annotated[
        bool, typer.Option("--steps", help="Show the figures of both versions in every step.")
    ] = False,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """List the rollouts of an endpoint, newest first."""
    from noria.serving.service import Endpoints

    with opened(workspace, project) as ws:
        page = ws.service(Endpoints).history(ws.project, name, limit=limit)
    show(page, json=json, render=rollout_table)
    if steps and not json:
        show(page, json=False, render=lambda found: steps_table(*found.items))


@endpoints.command("cascade")
def cascade(
    name: EndpointArgument,
    first: Annotated[
        int | None,
        typer.Option("--first", metavar="VERSION", help="Small version, asked first.", show_default=False),
    ] = None,
    second: Annotated[
        int | None,
        typer.Option(
            "--second",
            metavar="VERSION",
            help="Big version; the one that answers unless given.",
            show_default=False,
        ),
    ] = None,
    min_confidence: Annotated[
        float,
        typer.Option(
            "--min-confidence", min=0.0, max=1.0, help="From which the small one's answer is given."
        ),
    ] = 0.9,
    off: Annotated[bool, typer.Option("--off", help="End it: one version answers again.")] = False,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Let a small version answer what it is sure of, and the endpoint's version the rest."""
    from noria.core.errors import Invalid
    from noria.serving.entities import Cascade
    from noria.serving.service import Cascades, Endpoints

    if off == (first is not None):
        raise Invalid("Give either `--first VERSION` or `--off`")
    with opened(workspace, project) as ws:
        service = ws.service(Cascades)
        if first is None:
            service.end(ws.project, name)
        else:
            second = second or ws.service(Endpoints).get(ws.project, name).version
            wish = Cascade(first=first, second=second, min_confidence=min_confidence)
            service.set(ws.project, name, wish)
        found = ws.service(Endpoints).get(ws.project, name)
    show(found, json=json, render=endpoint_facts)


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
            (
                "predicts along",
                ", ".join(f"{endpoint.model}@{s.version} {s.weight:.0%}" for s in endpoint.shadows),
            ),
            ("cascade", _cascade(endpoint)),
            (
                "kept warm",
                ", ".join(f"{endpoint.model}@{w.version} until {cell(w.until)}" for w in endpoint.warm),
            ),
            ("rollout", endpoint.rollout_id),
            ("answers at", ", ".join(endpoint.urls)),
            ("created", endpoint.created_at),
        ]
    )


def cascade_table(report: CascadeReport) -> Any:
    """Lay out how two versions that answer in turn fare."""
    columns = ["asked", "version", "answered", "requests", "mean ms", "labels", "accuracy", "mean abs error"]
    rows = [
        (
            asked,
            each.version,
            None if each.share is None else f"{each.share:.1%}",
            each.n_requests,
            each.mean_latency_ms,
            each.n_labelled,
            each.accuracy,
            each.mean_absolute_error,
        )
        for asked, each in (("first", report.first), ("second", report.second))
    ]
    return table(columns, rows)


def _cascade(endpoint: Endpoint) -> str | None:
    found = endpoint.cascade
    if found is None:
        return None
    sure = f"{endpoint.model}@{found.first} from a confidence of {found.min_confidence:g}"
    return f"{sure}, {endpoint.model}@{found.second} else"


def _shares(endpoint: Endpoint) -> str:
    return ", ".join(f"{endpoint.model}@{share.version} {share.weight:.0%}" for share in endpoint.shares)
