"""Describe a pipeline for orchestrators: its parameters, and its steps with what each waits for.

The graph is known beforehand only where the body looks at no value that a step gives. Where it does, or where the
number of a map's items is known only then, the pipeline is described as one task, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from noria.core.errors import Invalid
from noria.core.workspace import Workspace
from noria.pipelines.annotations import plain
from noria.pipelines.authoring import Pipeline, Step
from noria.pipelines.entities import ExportedCode, Resources
from noria.pipelines.graph import GraphCall
from noria.pipelines.graph_walk import walk_calls
from noria.pipelines.loading import LoadedPipeline, is_packaged_pipeline
from noria.pipelines.parameters import Parameter, bind
from noria.pipelines.runner import parameters_as_json
from noria.pipelines.service import PipelineRuns
from noria.pipelines.snapshots import take_snapshot

MOST_TASKS = 500
"""Steps that are exported one by one: orchestrators cost seconds a task, and their pages show no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedParameter:
    """A parameter.

    Attributes
    ----------
    kind
        `integer`, `number`, `boolean` or `string`; what is none of them is given as `noria run -p` reads it.
    default
        A value of that kind.
    """

    name: str
    kind: str
    default: int | float | bool | str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedStep:
    """A step that is one task.

    Attributes
    ----------
    id
        Of the task: letters, digits and underscores, no other has it.
    after
        Ids of the steps whose outputs it takes.
    """

    id: str
    position: int
    name: str
    after: tuple[str, ...] = ()
    timeout_s: float | None = None
    resources: Resources = field(default_factory=Resources)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedPipeline:
    """A pipeline as an orchestrator needs to know it.

    Attributes
    ----------
    workspace
        Folder or address to report to.
    snapshot
        Digest of the code; None for a pipeline of an installed package.
    whole
        Why it is one task; None when each step is.
    """

    name: str
    target: str
    workspace: str
    project: str
    snapshot: str | None
    parameters: tuple[ExportedParameter, ...]
    steps: tuple[ExportedStep, ...] = ()
    whole: str | None = None


def describe_pipeline(
    workspace: Workspace,
    loaded: LoadedPipeline,
    params: Mapping[str, object],
    *,
    orchestrator: str,
    whole: bool = False,
) -> ExportedPipeline:
    """Describe a pipeline, and have the workspace keep its code.

    Parameters
    ----------
    params
        Values that become defaults; parameters without a default need one here.
    whole
        Describe it as one task, whatever its graph.

    Raises
    ------
    ParameterInvalid
        If a parameter has neither a value nor a default.
    """
    pipeline, source = loaded.pipeline, loaded.source
    values = bind(pipeline.name, pipeline.parameters, params)
    snapshot = None
    if not is_packaged_pipeline(pipeline, source.root):
        snapshot = take_snapshot(workspace, source.root)
    steps, reason = ((), "it was asked for") if whole else _steps(pipeline, values, loaded)
    if snapshot is not None:
        kept = ExportedCode(target=source.target, orchestrator=orchestrator, snapshot=snapshot)
        workspace.service(PipelineRuns).keep_export(workspace.project, kept)
    return ExportedPipeline(
        name=pipeline.name,
        target=source.target,
        workspace=workspace.settings.workspace,
        project=workspace.project,
        snapshot=snapshot,
        parameters=tuple(_parameters(pipeline, values)),
        steps=steps,
        whole=reason,
    )


def _steps(
    pipeline: Pipeline[..., Any], values: Mapping[str, Any], loaded: LoadedPipeline
) -> tuple[tuple[ExportedStep, ...], str | None]:
    calls, stopped = walk_calls(pipeline, values, root=loaded.source.root)
    if stopped is not None:
        return (), stopped
    if not calls:
        raise Invalid(f"The pipeline `{pipeline.name}` calls no step", hint="There is nothing to export")
    if len(calls) > MOST_TASKS:
        return (), f"it has {len(calls)} steps, and more than {MOST_TASKS} tasks are too many"
    ids = {call.position: _id(call) for call, _ in calls}
    return tuple(_step(call, step, ids) for call, step in calls), None


def _step(call: GraphCall, step: Step[..., Any], ids: Mapping[int, str]) -> ExportedStep:
    after = dict.fromkeys(ids[source.source_position] for source in call.sources)
    return ExportedStep(
        id=ids[call.position],
        position=call.position,
        name=step.name,
        after=tuple(after),
        timeout_s=step.timeout_s,
        resources=step.resources,
    )


def _id(call: GraphCall) -> str:
    name = "".join(char if char.isascii() and char.isalnum() else "_" for char in call.name)
    return f"{name}_{call.position}"


def _parameters(pipeline: Pipeline[..., Any], values: Mapping[str, Any]) -> list[ExportedParameter]:
    texts = parameters_as_json(values)
    return [_parameter(pipeline.parameters[name], value) for name, value in texts.items()]


def _parameter(declared: Parameter, value: Any) -> ExportedParameter:
    kinds = {bool: "boolean", int: "integer", float: "number"}
    kind = kinds.get(plain(declared.annotation))
    if kind is not None and value is not None:
        return ExportedParameter(name=declared.name, kind=kind, default=value)
    return ExportedParameter(name=declared.name, kind="string", default=_text(value))


def _text(value: Any) -> str:
    """Write a value so that `noria run -p` reads it again."""
    from noria.core.serialisation import to_json

    if value is None:
        return "none"
    if isinstance(value, str):
        return value
    return to_json(value).decode()
