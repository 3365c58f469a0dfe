"""`noria import mlflow`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import facts, show, stderr, table

if TYPE_CHECKING:
    from noria.interop.mlflow.importing.entities import ImportReport

_SHOWN_SKIPPED = 50


def import_from_mlflow(
    uri: Annotated[
        str,
        typer.Argument(
            metavar="URI",
            help="Tracking URI: `sqlite:///mlflow.db`, `postgresql://…`, `http://…`, `./mlruns`.",
        ),
    ],
    experiment: Annotated[
        list[str] | None,
        typer.Option("--experiment", "-e", help="Only this experiment (repeatable).", show_default=False),
    ] = None,
    python: Annotated[
        str | None,
        typer.Option("--python", help="Interpreter of an environment that has MLflow.", show_default=False),
    ] = None,
    artifacts: Annotated[bool, typer.Option(help="Bring the files of runs and models, too.")] = True,
    artifacts_root: Annotated[
        str | None,
        typer.Option(
            "--artifacts-root",
            help="The `--artifacts-destination` of the MLflow server, if the URI is that of its database.",
            show_default=False,
        ),
    ] = None,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Bring runs, artifacts, models, the registry and traces of an MLflow store; again, only what is new."""
    from noria.interop.mlflow.importing.run import import_mlflow

    console = stderr()
    with opened(workspace, project) as ws, console.status("opening the store") as status:
        report = import_mlflow(
            ws,
            uri,
            python=python,
            experiments=experiment,
            artifacts=artifacts,
            artifacts_root=artifacts_root,
            told=status.update,
        )
    show(report, json=json, render=report_table)


def report_table(report: ImportReport) -> Any:
    """Lay out what an import did."""
    from rich.console import Group

    done = facts(
        [
            ("from", f"{report.source} (MLflow {report.mlflow_version})"),
            ("into project", report.project),
            ("experiments", report.n_experiments),
            ("runs", report.n_runs),
            ("metric points", report.n_points),
            ("files", report.n_files),
            ("logged models", report.n_logged_models),
            ("registered models", report.n_models),
            ("versions", report.n_versions),
            ("traces", report.n_traces),
            ("versions of scorers", report.n_scorers),
            ("issues", report.n_issues),
            ("label schemas", report.n_label_schemas),
            ("review queues", report.n_review_queues),
            ("evaluation data sets", report.n_evaluation_datasets),
            ("here already", report.n_present),
            ("skipped", len(report.skipped)),
        ]
    )
    if not report.skipped:
        return done
    rows = [(each.what, each.name, each.why) for each in report.skipped[:_SHOWN_SKIPPED]]
    if len(report.skipped) > _SHOWN_SKIPPED:
        rows.append(("…", "", f"{len(report.skipped) - _SHOWN_SKIPPED} more: see `--json`"))
    return Group(done, table(["skipped", "name", "why"], rows))
