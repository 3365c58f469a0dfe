"""`noria models validate`, `report`, `gates`, `approve` and `withdraw`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import say, show, table

if TYPE_CHECKING:
    from noria.core.workspace import Workspace
    from noria.registry.entities import ModelVersion
    from noria.registry.validation.entities import Check, Report, ValidationSection

RefArgument = Annotated[str, typer.Argument(help="`model`, `model@version` or `model@alias`.")]
AliasArgument = Annotated[str, typer.Argument(help="Alias whose gate is meant.")]

_FOLLOW_S = 0.3
_SIGNS = {
    "passed": "✓",
    "failed": "✗",
    "broken": "✗",
    "unmeasured": "?",
    "not_applicable": "–",
    "left_out": "–",
}


def validate(
    ref: RefArgument,
    suites: Annotated[
        list[str] | None,
        typer.Option("--suite", metavar="FILE.py", help="Also run this suite of your own; may be repeated."),
    ] = None,
    inline: Annotated[
        bool, typer.Option("--inline", help="Do it here, rather than by a worker of the server.")
    ] = False,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Try a version with rows that life will bring, and keep the report; ends with 1 when a check fails."""
    from noria.registry.service import Models
    from noria.registry.validation.entities import ValidationSection

    with opened(workspace, project) as ws:
        settings = ws.settings.section("validation", ValidationSection)
        found = ws.service(Models).resolve(ws.project, ref)
        wanted = _suites(ws, [*settings.suites, *(suites or [])])
        here = inline or not ws.settings.is_remote
        report = _validated_here(ws, found, settings, wanted) if here else _by_worker(ws, found, wanted)
    show(report, json=json, render=report_text)
    if report.outcome.is_bad:
        raise typer.Exit(1)


def show_report(
    ref: RefArgument,
    report: Annotated[
        str | None, typer.Option("--report", metavar="ID", help="This one rather than the newest.")
    ] = None,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Show the newest report of a version's validation."""
    from noria.registry.service import Models
    from noria.registry.validation.service import ReportNotFound, Validations

    with opened(workspace, project) as ws:
        found = ws.service(Models).resolve(ws.project, ref)
        service, at = ws.service(Validations), (ws.project, found.model, found.version)
        reports = [service.get(*at, report)] if report else service.list(*at, limit=1).items
    if not reports:
        raise ReportNotFound(
            f"`{found.ref}` was not validated", hint=f"Do it: `noria models validate {found.ref}`"
        )
    show(reports[0], json=json, render=report_text)


def show_gates(
    ref: RefArgument,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Show which aliases have a gate, and what a version lacks at each."""
    from noria.registry.service import Models
    from noria.registry.validation.service import Validations

    with opened(workspace, project) as ws:
        found = ws.service(Models).resolve(ws.project, ref)
        states = ws.service(Validations).gates(ws.project, found.model, found.version)
    rows = [
        (
            state.alias,
            "open" if state.is_open else "shut",
            [f"{each.given_by} ({each.role.value})" for each in state.approvals],
            "; ".join(lack.sentence for lack in state.lacks),
        )
        for state in states.items
    ]
    show(states, json=json, render=lambda _: table(["alias", "gate", "approved by", "lacks"], rows))


def approve(
    ref: RefArgument,
    alias: AliasArgument = "champion",
    note: Annotated[str, typer.Option("--note", help="Why.")] = "",
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Approve a version for an alias, with the role that you hold."""
    from noria.registry.service import Models
    from noria.registry.validation.entities import NewApproval
    from noria.registry.validation.service import Validations

    with opened(workspace, project) as ws:
        found = ws.service(Models).resolve(ws.project, ref)
        new = NewApproval(alias=alias, note=note)
        given = ws.service(Validations).approve(ws.project, found.model, found.version, new)
    if json:
        show(given, json=True, render=str)
    else:
        say(f"`{found.ref}` is approved for `{alias}` by {given.given_by} ({given.role.value})")


def withdraw(
    ref: RefArgument,
    alias: AliasArgument = "champion",
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Take your approval of a version back; an alias that points there stays."""
    from noria.registry.service import Models
    from noria.registry.validation.service import Validations

    with opened(workspace, project) as ws:
        found = ws.service(Models).resolve(ws.project, ref)
        ws.service(Validations).withdraw(ws.project, found.model, found.version, alias)
    say(f"Your approval of `{found.ref}` for `{alias}` is taken back")


def report_text(report: Report) -> Any:
    """Lay out a report for the terminal."""
    from rich.console import Group

    head = [
        f"{report.ref}: {report.outcome.value}, {_counted(report.checks)} in {report.seconds:.1f} s",
        f"engine {report.engine}, {report.n_rows} rows"
        + (" made up from the signature" if report.made_up else " of the training sample"),
    ]
    if not report.counts:
        head.append("Gates do not take this report: it was made by somebody who may not move aliases")
    rows = [
        (_SIGNS[check.outcome.value], check.name, _figure(check.value), _figure(check.limit), check.sentence)
        for check in report.checks
    ]
    worst = [
        f"  {check.name}: {label} → {said}"
        for check in report.checks
        if check.outcome.is_bad
        for label, said in check.details
    ]
    return Group(*head, table(["", "check", "value", "limit", "found"], rows), *worst, f"report {report.id}")


def _validated_here(
    ws: Workspace, version: ModelVersion, settings: ValidationSection, suites: list[Path]
) -> Report:
    from noria.registry.validation.jobs import make_report, read_suite
    from noria.registry.validation.service import Validations

    root = ws.settings.project_root
    texts = [read_suite(root, path.relative_to(root).as_posix()) for path in suites]
    made = make_report(ws, version.model, version.version, settings, texts, told=lambda _: None)
    return ws.service(Validations).get(ws.project, version.model, version.version, made["report"])


def _by_worker(ws: Workspace, version: ModelVersion, suites: list[Path]) -> Report:
    from noria.core.errors import Failed
    from noria.pipelines.jobs import Jobs
    from noria.pipelines.snapshots import take_snapshot
    from noria.registry.validation.entities import ValidationStart
    from noria.registry.validation.service import Validations

    service, root = ws.service(Validations), ws.settings.project_root
    asked = ValidationStart(
        suites=[path.relative_to(root).as_posix() for path in suites],
        snapshot=take_snapshot(ws, root) if suites else None,
    )
    job = service.start(ws.project, version.model, version.version, asked)
    say(f"The job {job.id} tries `{version.ref}`")
    while not job.status.ended:
        ws.clock.sleep(_FOLLOW_S)
        job = ws.service(Jobs).get(ws.project, job.id)
    if job.result is None:
        why = job.error.message if job.error else f"it is {job.status.value}"
        raise Failed(
            f"The validation of `{version.ref}` did not end: {why}", hint=f"See `noria jobs logs {job.id}`"
        )
    return service.get(ws.project, version.model, version.version, job.result["report"])


def _suites(ws: Workspace, named: list[str]) -> list[Path]:
    from noria.core.errors import Invalid

    root = ws.settings.project_root.resolve()
    found = []
    for name in named:
        path = next(
            (each for each in (Path(name).resolve(), (root / name).resolve()) if each.is_file()), None
        )
        if path is None or not path.is_relative_to(root):
            raise Invalid(
                f"There is no suite `{name}` below `{root}`", hint="Name a Python file of the project"
            )
        found.append(path)
    return list(dict.fromkeys(found))


def _counted(checks: list[Check]) -> str:
    bad = sum(check.outcome.is_bad for check in checks)
    passed = sum(check.outcome.value == "passed" for check in checks)
    return f"{passed} checks passed, {bad} did not"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
