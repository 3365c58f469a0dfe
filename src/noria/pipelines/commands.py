"""`noria pipelines`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, LimitOption, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import facts, print_json, say, show, stdout, table

if TYPE_CHECKING:
    from noria.core.workspace import Workspace
    from noria.pipelines.entities import PipelineRun, StepReport
    from noria.pipelines.graph import PipelineGraph
    from noria.pipelines.run_diff import RunDiff

pipelines = typer.Typer(no_args_is_help=True, help="Pipelines and their runs")

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Id of a run.")]


@pipelines.command("list")
def list_pipelines(
    json: JsonFlag = False, workspace: WorkspaceOption = None, project: ProjectOption = None
) -> None:
    """List the pipelines of the project and their last runs."""
    from noria.pipelines.discovery import declared_pipelines
    from noria.pipelines.service import PipelineRuns

    with opened(workspace, project) as ws:
        found = ws.service(PipelineRuns).pipelines(ws.project)
        known = {item.pipeline for item in found.items}
        never = [name for name in declared_pipelines(ws.settings.project_root) if name not in known]
    if json:
        print_json({"items": found.items, "never_run": never})
        return
    rows: list[tuple[object, ...]] = [
        (
            item.pipeline,
            item.n_runs,
            item.last.status,
            item.last.started_at,
            _seconds(item.last),
            item.last.run_id,
        )
        for item in found.items
    ]
    rows += [(name, 0, None, None, None, None) for name in never]
    stdout().print(table(["pipeline", "runs", "last", "started", "seconds", "id"], rows))


@pipelines.command("history")
def list_runs(
    pipeline: Annotated[
        str | None, typer.Argument(metavar="[MODULE:PIPELINE]", help="A pipeline; all when left out.")
    ] = None,
    limit: LimitOption = 20,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """List the runs of a pipeline, newest first."""
    from noria.pipelines.service import PipelineRuns

    with opened(workspace, project) as ws:
        page = ws.service(PipelineRuns).list(ws.project, pipeline=pipeline, limit=limit)
        if pipeline is not None and not page.items:
            _refuse_unknown(ws, pipeline)
    columns = ["id", "pipeline", "status", "started", "seconds", "steps", "reused", "failed"]
    rows = [
        (r.run_id, r.pipeline, r.status, r.started_at, _seconds(r), r.n_steps, r.n_reused, r.n_failed)
        for r in page.items
    ]
    show(page, json=json, render=lambda _: table(columns, rows))


@pipelines.command("show")
def show_pipeline(
    target: Annotated[
        str, typer.Argument(metavar="MODULE:PIPELINE|RUN", help="A pipeline, or the id of a run.")
    ],
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Write the graph as SVG.", show_default=False)
    ] = None,
    plan: Annotated[
        bool,
        typer.Option("--plan", help="Walk the body without running steps, also when there are runs."),
    ] = False,
    params: Annotated[
        list[str] | None,
        typer.Option(
            "--param", "-p", metavar="KEY=VALUE", help="A parameter, for --plan.", show_default=False
        ),
    ] = None,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Show the graph of a pipeline, or a run: its steps, why each ran or did not, and what it gave."""
    from noria.pipelines.graph import graph_of_run
    from noria.pipelines.run_diff import all_steps
    from noria.pipelines.service import PipelineRuns

    with opened(workspace, project) as ws:
        if ":" in target:
            graph = _graph_of_target(ws, target, params or [], plan=plan or bool(params))
            _write_graph(graph, svg, json=json)
            return
        found = ws.service(PipelineRuns).get(ws.project, target)
        steps = all_steps(ws, target)
    graph = graph_of_run(found, steps)
    if json:
        print_json({"run": found, "steps": steps, "graph": graph})
    else:
        stdout().print(_story(found, steps))
    if svg is not None:
        _write_svg(graph, svg)


@pipelines.command("diff")
def diff_runs(
    before: RunArgument,
    after: RunArgument,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Show what two runs differ in: parameters, code, inputs, environment, steps, metrics and outputs."""
    from noria.pipelines.run_diff import compare_runs

    with opened(workspace, project) as ws:
        found = compare_runs(ws, before, after)
    show(found, json=json, render=_differences)


@pipelines.command("notify")
def show_notify(
    secret: Annotated[
        bool, typer.Option("--secret", help="Print what calls are signed with, and nothing else.")
    ] = False,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Show who is told of pipelines that `noria run` runs (`[notify]`)."""
    from noria.core.errors import NotFound
    from noria.pipelines.run_notices import NotifySection, signing_secret

    with opened(workspace, project) as ws:
        section = ws.settings.section("notify", NotifySection)
        found = signing_secret(ws.settings)
    if secret and found is None:
        raise NotFound(
            "Calls are not signed: the workspace is a server, which keeps its key to itself",
            hint="Set `NORIA_NOTIFY_SECRET` to `whsec_` and 24 to 64 bytes in base64",
        )
    if secret:
        show({"secret": found}, json=json, render=lambda one: str(one["secret"]))
        return
    told = {"to": list(section.to), "on": list(section.on), "signed": found is not None}
    rows = [
        ("to", ", ".join(section.to) or "nobody"),
        ("on", ", ".join(section.on)),
        ("calls", _signed(found)),
    ]
    show(told, json=json, render=lambda _: facts(rows))


def _signed(secret: str | None) -> str:
    return "unsigned" if secret is None else "signed, see --secret"


def _seconds(run: PipelineRun) -> float | None:
    return None if run.ended_at is None else (run.ended_at - run.started_at).total_seconds()


def _refuse_unknown(ws: Workspace, pipeline: str) -> None:
    from noria.core.errors import near
    from noria.pipelines.discovery import declared_pipelines
    from noria.pipelines.loading import PipelineNotFound
    from noria.pipelines.service import PipelineRuns

    run = [item.pipeline for item in ws.service(PipelineRuns).pipelines(ws.project).items]
    declared = declared_pipelines(ws.settings.project_root)
    close = None if pipeline in declared else near(pipeline, [*run, *declared])
    raise PipelineNotFound(
        f"The pipeline `{pipeline}` has no runs in the project `{ws.project}`",
        hint=f"Did you mean `{close}`?" if close else f"Run it with `noria run {pipeline}`",
    )


def _graph_of_target(ws: Workspace, target: str, params: list[str], *, plan: bool) -> PipelineGraph:
    """Give the graph of the last run that finished, else of the body walked without running steps."""
    from msgspec.structs import replace

    from noria.pipelines.graph import graph_of_run
    from noria.pipelines.graph_walk import declared_of, walk_pipeline
    from noria.pipelines.loading import load_pipeline
    from noria.pipelines.parameters import parse_assignments
    from noria.pipelines.run_diff import all_steps
    from noria.pipelines.service import PipelineRuns

    loaded = load_pipeline(target, root=ws.settings.project_root, folder=Path.cwd())
    name = loaded.source.target
    taken = declared_of(loaded.pipeline)
    runs = [] if plan else ws.service(PipelineRuns).list(ws.project, pipeline=name, limit=50).items
    for run in runs:
        if run.status == "finished":
            say(f"as run {run.run_id} did; `--plan` reads it off the code instead")
            return replace(graph_of_run(run, all_steps(ws, run.run_id)), parameters=taken)
    say("read off the code without running a step; a run shows what was done")
    values = parse_assignments(loaded.pipeline.name, loaded.pipeline.parameters, params)
    return replace(
        walk_pipeline(loaded.pipeline, values, target=name, root=loaded.source.root), parameters=taken
    )


def _write_graph(graph: PipelineGraph, svg: Path | None, *, json: bool) -> None:
    from noria.pipelines.graph_text import graph_text

    if svg is not None:
        _write_svg(graph, svg)
    if json:
        print_json(graph)
    elif svg is None:
        stdout().print(graph_text(graph), end="", markup=False, soft_wrap=True)


def _write_svg(graph: PipelineGraph, file: Path) -> None:
    from noria.core.errors import Invalid
    from noria.pipelines.graph_svg import graph_svg

    try:
        file.write_text(graph_svg(graph))
    except OSError as error:
        raise Invalid(f"`{file}` cannot be written: {error.strerror}", hint="Name another file") from error
    say(f"wrote {file}")


def _story(found: PipelineRun, steps: list[StepReport]) -> Any:
    from rich.console import Group

    pairs: list[tuple[str, object]] = [
        ("run", found.run_id),
        ("pipeline", found.pipeline),
        ("status", found.status),
        ("started", found.started_at),
        ("ended", found.ended_at),
        ("code", found.snapshot),
        ("environment", found.environment),
        *((f"output {name}", stored.digest) for name, stored in found.outputs.items()),
    ]
    if found.error is not None:
        pairs.append(("error", found.error.message))
    names = {step.position: step.name for step in steps}
    rows = [
        (
            s.position + 1,
            f"{s.group}/{s.name}".lstrip("/"),
            _takes(s, names),
            s.status,
            s.duration_s,
            s.reason,
        )
        for s in steps
    ]
    return Group(facts(pairs), table(["", "step", "takes", "status", "seconds", "why"], rows))


def _takes(step: StepReport, names: dict[int, str]) -> str:
    """Say what a step took from which other, by its name and place: `x ← load 1`."""
    return ", ".join(
        f"{source.argument} ← {names.get(source.source_position, '?')} {source.source_position + 1}"
        for source in step.sources
    )


def _differences(found: RunDiff) -> Any:
    from rich.console import Group

    parts: list[Any] = []
    for title, changes in (
        ("parameter", found.params),
        ("file", found.code),
        ("input", found.inputs),
        ("environment", found.environment),
        ("output", found.outputs),
    ):
        if changes:
            rows = [(change.name, _short(change.before), _short(change.after)) for change in changes]
            parts.append(table([title, found.before[-8:], found.after[-8:]], rows))
    if found.steps:
        steps = [
            (s.step, s.before, s.after, "same" if s.same_outputs else "other", s.reason) for s in found.steps
        ]
        parts.append(table(["step", found.before[-8:], found.after[-8:], "outputs", "why"], steps))
    if found.metrics:
        metrics = [(change.name, change.before, change.after) for change in found.metrics]
        parts.append(table(["metric", found.before[-8:], found.after[-8:]], metrics))
    alike = f"{found.n_same_steps} steps are alike" if parts else "The runs are alike"
    return Group(*parts, alike, *(f"not compared: {text}" for text in found.unknown))


def _short(text: str | None) -> str | None:
    """Cut digests to what tells them apart."""
    return None if text is None else text.replace("blake3:", "")[:24] if "blake3:" in text else text
