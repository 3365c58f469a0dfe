"""`noria models task`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from noria.core.console.options import JsonFlag, ProjectOption, WorkspaceOption, opened

if TYPE_CHECKING:
    from noria.monitoring.tasks.entities import ModelTask


def add_to(models: typer.Typer) -> None:
    """Add the command to the group."""
    models.command("task")(set_version_task)


def set_version_task(
    ref: Annotated[str, typer.Argument(metavar="MODEL@VERSION", help="Version.")],
    time: Annotated[
        str | None,
        typer.Option(
            "--time", metavar="INPUT", help="It forecasts: the input that says for when.", show_default=False
        ),
    ] = None,
    horizon: Annotated[
        str | None,
        typer.Option(
            "--horizon", metavar="INPUT", help="Input that says how many steps ahead.", show_default=False
        ),
    ] = None,
    series: Annotated[
        str | None,
        typer.Option(
            "--series", metavar="INPUT", help="Input that says of which series.", show_default=False
        ),
    ] = None,
    season: Annotated[int, typer.Option("--season", min=1, help="Steps in a season.")] = 1,
    quantiles: Annotated[
        str,
        typer.Option(
            "--quantiles",
            metavar="LEVELS",
            help="Of the output `quantiles`: `0.1,0.5,0.9`.",
            show_default=False,
        ),
    ] = "",
    unsupervised: Annotated[
        bool, typer.Option("--unsupervised", help="It has no target: clusters, or scores of strangeness.")
    ] = False,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Say that a version forecasts, or has no target, so that reports look at it as such."""
    from noria.core.console.output import print_json, say
    from noria.monitoring.tasks.live import set_task
    from noria.registry.service import Models

    task = _task(time, horizon, series, season, quantiles, unsupervised=unsupervised)
    with opened(workspace, project) as ws:
        found = ws.service(Models).resolve(ws.project, ref)
        tagged = set_task(ws, found.model, found.version, task)
    if json:
        print_json({"version": tagged, "task": task})
    else:
        say(
            f"`noria monitors report` looks at {tagged.ref} as {'unsupervised' if unsupervised else 'forecasting'}"
        )


def _task(
    time: str | None,
    horizon: str | None,
    series: str | None,
    season: int,
    quantiles: str,
    *,
    unsupervised: bool,
) -> ModelTask:
    from noria.core.errors import Invalid
    from noria.monitoring.tasks.entities import Forecasting, Unsupervised

    if (time is None) != unsupervised:
        raise Invalid(
            "A version either forecasts or has no target",
            hint="Give `--time INPUT` of one that forecasts, or `--unsupervised`",
        )
    if time is None:
        return Unsupervised()
    try:
        levels = [float(level) for level in quantiles.split(",") if level.strip()]
    except ValueError:
        raise Invalid(f"`{quantiles}` are no quantiles", hint="For instance 0.1,0.5,0.9") from None
    return Forecasting(time=time, horizon=horizon, series=series, season=season, quantiles=levels)
