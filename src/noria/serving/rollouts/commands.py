"""`noria rollouts`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, LimitOption, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import facts, print_json, show, table

if TYPE_CHECKING:
    from noria.serving.entities import PairFigures, Rollout, RolloutCheck, RolloutPage, StepResult

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
    show(found, json=False, render=steps_table)
    compared = [result.pairs for result in found.history if result.pairs is not None]
    if compared:
        show(compared[-1], json=False, render=lambda pairs: facts([("both", _alike(pairs))]))
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


@rollouts.command("approve")
def approve(
    rollout_id: RolloutArgument,
    reason: ReasonOption = None,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Agree to a rollout that somebody else began."""
    _operate("approve", rollout_id, reason, json=json, workspace=workspace, project=project)


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
            ("approvals", _approvals(rollout)),
            ("reason", rollout.reason),
            ("started by", rollout.started_by),
            ("started", rollout.created_at),
            ("ended", rollout.ended_at),
        ]
    )


def _approvals(rollout: Rollout) -> str | None:
    asked = rollout.approvals
    if asked is None:
        return None
    names = ", ".join(given.by for given in rollout.approved)
    return (
        f"{len(rollout.approved)} of {asked.n} before the {asked.before.value}{': ' if names else ''}{names}"
    )


def _check_facts(check: RolloutCheck) -> Any:
    waits = [("waits for", sentence) for sentence in check.waits_for]
    gates = [(f"{r.gate}: {r.verdict.value}", r.sentence) for r in check.results]
    sees = f"{check.mirrored:.0%}, unseen by callers" if check.mirrored else f"{check.weight:.0%}"
    both = None if check.pairs is None else _alike(check.pairs)
    return facts([("sees", sees), ("requests", check.n_requests), ("both", both), *gates, *waits])


def _alike(pairs: PairFigures) -> str:
    share = f"{pairs.n_agreed / pairs.n:.1%}" if pairs.n else "none"
    return (
        f"{pairs.n} rows predicted by both, {share} alike; "
        f"{pairs.n_only_new_right} right by the new version alone, {pairs.n_only_old_right} by the old one alone"
    )


def steps_table(*found: Rollout) -> Any:
    """Lay out the steps that rollouts made, a line for each version in each step."""
    columns = [
        "to",
        "step",
        "version",
        "share",
        "requests",
        "errors",
        "mean ms",
        "p99 ms",
        "labels",
        "quality",
        "verdict",
        "ended",
    ]
    rows = [row for rollout in found for result in rollout.history for row in _step_rows(rollout, result)]
    return table(columns, rows)


def _step_rows(rollout: Rollout, result: StepResult) -> list[tuple[object, ...]]:
    share = f"{result.mirrored:.0%} unseen" if result.mirrored else f"{result.weight:.0%}"
    place = "loading" if result.step < 0 else result.step + 1
    known = [figures for figures in (result.new, result.old) if figures is not None]
    if not known:
        none = ("",) * 5
        row = (rollout.to_version, place, rollout.to_version, share, result.n_requests, *none)
        return [(*row, result.verdict.value, result.ended_at)]
    return [
        (
            rollout.to_version,
            place,
            figures.version,
            share if figures.version == rollout.to_version else f"{1 - result.weight:.0%}",
            figures.n_requests,
            figures.n_errors,
            figures.mean_latency_ms,
            figures.p99_latency_ms,
            figures.n_labelled,
            figures.accuracy if figures.mean_absolute_error is None else figures.mean_absolute_error,
            result.verdict.value,
            result.ended_at,
        )
        for figures in known
    ]


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
        acts = {
            "pause": service.pause,
            "approve": service.approve,
            "promote": service.promote,
            "abort": service.abort,
        }
        done = acts[action](ws.project, rollout_id, Reason(reason=reason))
    show(done, json=json, render=rollout_facts)
