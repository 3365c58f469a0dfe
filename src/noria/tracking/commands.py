"""`noria runs` and `noria experiments`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, LimitOption, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import cell, facts, show, table
from noria.tracking.entities import Lifecycle, RunStatus
from noria.tracking.lifecycle_commands import (
    delete_experiment,
    delete_runs,
    rename_experiment,
    restore_experiment,
    restore_runs,
    show_experiment,
)
from noria.tracking.search_commands import search_runs
from noria.tracking.selecting_commands import compare_runs, export_runs
from noria.tracking.sync_commands import sync_runs

if TYPE_CHECKING:
    from noria.core.workspace import Workspace
    from noria.tracking.entities import Artifact, Run
    from noria.tracking.point_entities import MetricPoint
    from noria.tracking.service import Runs

runs = typer.Typer(no_args_is_help=True, help="Runs, their params and metrics")
experiments = typer.Typer(no_args_is_help=True, help="Experiments")

DeletedFlag = Annotated[bool, typer.Option("--deleted", help="Only what was deleted and can be restored.")]

_SHOWN_METRICS = 3
_SHOWN_ARTIFACTS = 100
_DRAWN_POINTS = 10_000


@experiments.callback()
def _experiments() -> None:
    """Experiments."""


@experiments.command("list")
def list_experiments(
    deleted: DeletedFlag = False,
    limit: LimitOption = 100,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """List experiments, newest first."""
    from noria.tracking.service import Experiments

    with opened(workspace, project) as ws:
        lifecycle = Lifecycle.DELETED if deleted else Lifecycle.ACTIVE
        page = ws.service(Experiments).list(ws.project, limit=limit, lifecycle=lifecycle)
    rows = [(e.number, e.name, e.created_at) for e in page.items]
    show(page, json=json, render=lambda _: table(["number", "name", "created"], rows))


experiments.command("show")(show_experiment)
experiments.command("rename")(rename_experiment)
experiments.command("delete")(delete_experiment)
experiments.command("restore")(restore_experiment)


@runs.command("list")
def list_runs(
    experiment: Annotated[
        str | None, typer.Option("--experiment", "-e", help="Only of this experiment.", show_default=False)
    ] = None,
    status: Annotated[
        RunStatus | None, typer.Option("--status", help="Only with this status.", show_default=False)
    ] = None,
    deleted: DeletedFlag = False,
    limit: LimitOption = 20,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """List runs, newest first."""
    from noria.tracking.service import Runs

    with opened(workspace, project) as ws:
        lifecycle = Lifecycle.DELETED if deleted else Lifecycle.ACTIVE
        page = ws.service(Runs).list(
            ws.project, experiment=experiment, status=status, limit=limit, lifecycle=lifecycle
        )
    columns = ["id", "name", "experiment", "status", "started", "metrics"]
    rows = [(r.id, r.name, r.experiment, r.status, r.started_at, _metrics_text(r)) for r in page.items]
    show(page, json=json, render=lambda _: table(columns, rows))


@runs.command("show")
def show_run(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the run.")],
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Show one run: params, metrics with their course, tags, lineage, artifacts."""
    from noria.tracking.service import Runs

    with opened(workspace, project) as ws:
        service = ws.service(Runs)
        run = service.get(ws.project, run_id)
        show(run, json=json, render=lambda found: _story(ws, service, found))


runs.command("search")(search_runs)
runs.command("compare")(compare_runs)
runs.command("export")(export_runs)
runs.command("sync")(sync_runs)
runs.command("delete")(delete_runs)
runs.command("restore")(restore_runs)


def _story(workspace: Workspace, service: Runs, run: Run) -> Any:
    from rich.console import Group

    points = service.metrics(workspace.project, run.id).items
    artifacts = service.artifacts(workspace.project, run.id, limit=_SHOWN_ARTIFACTS).items
    drawn = [(point, _course(service, run, point.key)) for point in points]
    return Group(
        _facts_of(run),
        *([_pairs_table("param", run.params)] if run.params else []),
        *([_metrics_table(drawn)] if drawn else []),
        *([_pairs_table("tag", run.tags)] if run.tags else []),
        *([_artifacts_table(artifacts)] if artifacts else []),
    )


def _facts_of(run: Run) -> Any:
    source = run.source
    commit = source.git_commit if source else None
    changed = " with changes" if source and source.git_dirty else ""
    return facts(
        [
            ("run", run.id),
            ("name", run.name),
            ("experiment", run.experiment),
            ("status", run.status),
            ("started", run.started_at),
            ("ended", run.ended_at),
            ("seconds", _duration_s(run)),
            ("author", run.author),
            ("parent", run.parent),
            ("command", source.command if source else None),
            ("commit", f"{commit}{changed}" if commit else None),
            ("python", source.python if source else None),
            ("host", source.host if source else None),
            ("read", [link.ref for link in run.inputs]),
            ("made", [link.ref for link in run.outputs]),
        ]
    )


def _course(service: Runs, run: Run, key: str) -> str:
    from noria.tracking.sparkline import sparkline

    history = service.history(run.project, run.id, key, limit=_DRAWN_POINTS)
    return sparkline([point.value for point in history.items]) + ("…" if history.next else "")


def _pairs_table(heading: str, pairs: dict[str, str]) -> Any:
    return table([heading, "value"], sorted(pairs.items()))


def _metrics_table(drawn: list[tuple[MetricPoint, str]]) -> Any:
    rows = [(point.key, point.value, point.step, course) for point, course in drawn]
    return table(["metric", "latest", "step", "course"], rows)


def _artifacts_table(artifacts: list[Artifact]) -> Any:
    return table(["artifact", "bytes", "digest"], [(a.path, a.size_bytes, a.digest) for a in artifacts])


def _metrics_text(run: Run) -> str:
    shown = [f"{key}={cell(value)}" for key, value in sorted(run.metrics.items())]
    return ", ".join(shown[:_SHOWN_METRICS]) + (" …" if len(shown) > _SHOWN_METRICS else "")


def _duration_s(run: Run) -> float | None:
    return None if run.ended_at is None else (run.ended_at - run.started_at).total_seconds()
