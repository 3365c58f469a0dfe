"""`noria rollouts`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, LimitOption, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import facts, print_json, show, table

if TYPE_CHECKING:
    from noria.serving.entities import Rollout, RolloutCheck, RolloutPage

rollouts = typer.Typer(no_args_is_help=True, help="Rollouts and their gates")

RolloutArgument = Annotated[str, typer.Argument(metavar="ROLLOUT", help="Id of the rollout.")]
ReasonOption = Annotated[str | None, typer.Option("--reason", help="Why; kept with it.", show_default=False)]


@rollouts.command("list")
def list_rollouts(
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", help="Only of this endpoint.", show_default=False)
    ] = None,
    limit: LimitOption = 50,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """List rollouts, newest first."""
    from noria.serving.service import Rollouts

    with opened(workspace, project) as ws:
        page = ws.service(Rollouts).list(ws.project, endpoint=endpoint, limit=limit)
    show(page, json=json, render=rollout_table)


@rollouts.command("show")
def show_rollout(
    rollout_id: RolloutArgument,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Show a rollout, the steps that it made, and what the present one waits for."""
    from noria.serving.service import Rollouts

    with opened(workspace, project) as ws:
        found = ws.service(Rollouts).get(ws.project, rollout_id)
        check = ws.service(Rollouts).check(ws.project, rollout_id)
    if json:
        print_json({"rollout": found, "check": check})
        return
    show(found, json=False, render=rollout_facts)
    columns = ["step", "weight", "ended", "requests", "verdict", "gates"]
    rows = [
        (
            s.step + 1,
            s.weight,
            s.ended_at,
            s.n_requests,
            s.verdict.value,
            "; ".join(r.sentence for r in s.results),
        )
        for s in found.history
    ]
    show(found, json=False, render=lambda _: table(columns, rows))
    if not found.status.is_finished():
        show(check, json=False, render=_check_facts)


@rollouts.command("pause")
def pause(
    rollout_id: RolloutArgument,
    reason: ReasonOption = None,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Keep a rollout from going forward."""
    _operate("pause", rollout_id, reason, json=json, workspace=workspace, project=project)


@rollouts.command("resume")
def resume(
    rollout_id: RolloutArgument,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Let a paused rollout go on."""
    from noria.serving.service import Rollouts

    with opened(workspace, project) as ws:
        done = ws.service(Rollouts).resume(ws.project, rollout_id)
    show(done, json=json, render=rollout_facts)


@rollouts.command("promote")
def promote(
    rollout_id: RolloutArgument,
    reason: ReasonOption = None,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Let the new version answer every request now."""
    _operate("promote", rollout_id, reason, json=json, workspace=workspace, project=project)


@rollouts.command("abort")
def abort(
    rollout_id: RolloutArgument,
    reason: ReasonOption = None,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Let the old version answer every request again."""
    _operate("abort", rollout_id, reason, json=json, workspace=workspace, project=project)


def rollout_facts(rollout: Rollout) -> Any:
    """Lay a rollout out."""
    step = f"{rollout.step + 1} of {len(rollout.steps)}" if rollout.steps else None
    return facts(
        [
            ("rollout", rollout.id),
            ("endpoint", rollout.endpoint),
            ("strategy", rollout.strategy.value),
            ("from", rollout.from_version),
            ("to", rollout.to_version),
            ("status", rollout.status.value),
            ("step", step),
            ("reason", rollout.reason),
            ("started by", rollout.started_by),
            ("started", rollout.created_at),
            ("ended", rollout.ended_at),
        ]
    )


def _check_facts(check: RolloutCheck) -> Any:
    waits = [("waits for", sentence) for sentence in check.waits_for]
    gates = [(f"{r.gate}: {r.verdict.value}", r.sentence) for r in check.results]
    return facts([("requests", check.n_requests), *gates, *waits])


def rollout_table(page: RolloutPage) -> Any:
    """Lay rollouts out, a line each."""
    columns = ["id", "endpoint", "strategy", "from", "to", "status", "started", "ended", "reason"]
    return table(
        columns,
        [
            (
                r.id,
                r.endpoint,
                r.strategy.value,
                r.from_version,
                r.to_version,
                r.status.value,
                r.created_at,
                r.ended_at,
                r.reason,
            )
            for r in page.items
        ],
    )


def _operate(
    action: str,
    rollout_id: str,
    reason: str | None,
    *,
    json: bool,
    workspace: str | None,
    project: str | None,
) -> None:
    from noria.serving.entities import Reason
    from noria.serving.service import Rollouts

    with opened(workspace, project) as ws:
        service = ws.service(Rollouts)
        acts = {"pause": service.pause, "promote": service.promote, "abort": service.abort}
        done = acts[action](ws.project, rollout_id, Reason(reason=reason))
    show(done, json=json, render=rollout_facts)
