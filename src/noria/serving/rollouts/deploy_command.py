"""`noria deploy`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from noria.core.console.options import JsonFlag, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import say, show
from noria.serving.rollouts.commands import ReasonOption, rollout_facts

if TYPE_CHECKING:
    from noria.core.config import Settings
    from noria.core.workspace import Workspace
    from noria.serving.entities import Approvals, RolloutStep

deploy = typer.Typer(add_completion=False)

_STRATEGIES = "`replace`, `canary`, `blue-green`, `shadow` or `ab`."


@deploy.command()
def deploy_command(
    ref: Annotated[
        str, typer.Argument(metavar="MODEL@VERSION", help="Version or alias; the newest if left out.")
    ],
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="ENDPOINT", help="Endpoint.", show_default="the model's name"),
    ] = None,
    strategy: Annotated[str, typer.Option("--strategy", help=_STRATEGIES)] = "replace",
    weights: Annotated[
        list[float] | None,
        typer.Option(
            "--weight",
            help="Share of the requests that the new version sees, 0 to 1; of a canary, one for each step.",
            show_default=False,
        ),
    ] = None,
    bake_s: Annotated[
        float | None, typer.Option("--bake-s", help="Seconds that a step lasts at least.", show_default=False)
    ] = None,
    min_requests: Annotated[
        int | None, typer.Option("--min-requests", help="Requests that a step needs.", show_default=False)
    ] = None,
    patience_s: Annotated[
        float | None,
        typer.Option(
            "--patience-s",
            help="Seconds for which a step may stay undecided before it is rolled back.",
            show_default="it waits",
        ),
    ] = None,
    promote: Annotated[
        bool | None,
        typer.Option("--promote", help="Let a shadow that passes its gates take over.", show_default=False),
    ] = None,
    approvals: Annotated[
        int | None,
        typer.Option("--approvals", min=1, help="Other persons who have to agree.", show_default=False),
    ] = None,
    approval_role: Annotated[
        str, typer.Option("--approval-role", metavar="ROLE", help="That each of them has at least.")
    ] = "engineer",
    approve_before: Annotated[
        str, typer.Option("--approve-before", help="What waits for them: `start` or `switch`.")
    ] = "switch",
    keep_warm_s: Annotated[
        float | None,
        typer.Option(
            "--keep-warm-s",
            help="Seconds for which the version before stays loaded.",
            show_default="600",
        ),
    ] = None,
    alias: Annotated[
        str | None, typer.Option("--alias", help="Alias to move when it is promoted.", show_default=False)
    ] = None,
    reason: ReasonOption = None,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Put a model version behind an endpoint."""
    from noria.serving.client import deploy as deploy_version

    with opened(workspace, project) as ws:
        made = deploy_version(
            ref,
            endpoint=to,
            strategy=strategy,
            steps=_steps(ws.settings, strategy, weights, bake_s, min_requests),
            patience_s=patience_s,
            promote=promote,
            approvals=_approvals(approvals, approval_role, approve_before),
            keep_warm_s=keep_warm_s,
            alias=alias,
            reason=reason,
            workspace=ws,
        )
        waiting = not made.status.is_finished() and _runs_alone(ws)
    show(made, json=json, render=rollout_facts)
    if waiting:
        say("No server runs on this workspace; the rollout goes on when one does: `noria up`")


def _steps(
    settings: Settings,
    strategy: str,
    weights: list[float] | None,
    bake_s: float | None,
    min_requests: int | None,
) -> list[RolloutStep] | None:
    """Give the steps that options describe, on top of the settings; None when there are no options."""
    import msgspec

    from noria.core.serialisation import convert
    from noria.serving.client import strategy_of
    from noria.serving.entities import RolloutStep
    from noria.serving.rollouts.steps import RolloutSection

    given = {"bake_s": bake_s, "min_requests": min_requests}
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes and not weights:
        return None
    section = msgspec.structs.replace(settings.section("rollouts", RolloutSection), **changes)
    steps = section.steps(strategy_of(strategy), weights)
    return convert(msgspec.to_builtins(steps), list[RolloutStep], what="rollout")


def _approvals(n: int | None, role: str, before: str) -> Approvals | None:
    if n is None:
        return None
    from noria.core.serialisation import convert
    from noria.serving.entities import Approvals

    return convert({"n": n, "role": role, "before": before}, Approvals, what="wish for approvals")


def _runs_alone(workspace: Workspace) -> bool:
    from noria.core.workspace import InProcess

    return isinstance(workspace.backend, InProcess)
