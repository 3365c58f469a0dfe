"""Write a pipeline as a file of Kubeflow Pipelines' intermediate representation. Pure.

Each task is a container that calls the command `noria`; what goes from step to step goes through the workspace.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from noria._version import __version__
from noria.pipelines.entities import Resources
from noria.pipelines.exporting import ExportedParameter, ExportedPipeline, ExportedStep

SCHEMA_VERSION = "2.1.0"
SDK_VERSION = "kfp-2.17.0"
"""Whose form of the file this is: backends read it to know which fields to expect."""

_TYPES = {
    "integer": "NUMBER_INTEGER",
    "number": "NUMBER_DOUBLE",
    "boolean": "BOOLEAN",
    "string": "STRING",
}
_RUN = "run"
"""Parameter of every task: the id of the run, which all tasks share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Containers:
    """What the tasks run in.

    Attributes
    ----------
    image
        Has the command `noria` and the packages of the project.
    secret
        Name of a Kubernetes secret whose key `token` is the API token.
    """

    image: str
    secret: str | None = None


def pipeline_file(exported: ExportedPipeline, containers: Containers) -> str:
    """Give the text of the file."""
    documents = [_spec(exported, containers)]
    if containers.secret is not None:
        documents.append(_platforms(exported, containers.secret))
    text = "---\n".join(
        yaml.safe_dump(document, sort_keys=True, allow_unicode=True) for document in documents
    )
    return _head(exported) + text


def _head(exported: ExportedPipeline) -> str:
    lines = [
        f"The pipeline `{exported.target}`, exported by Noria {__version__}. Export it again rather than edit it.",
        "Each step is a task, between one that begins the run and one that ends it."
        if exported.whole is None
        else f"It is one task: {' '.join(exported.whole.split())}.",
    ]
    return "".join(f"# {line}\n" for line in lines)


def _spec(exported: ExportedPipeline, containers: Containers) -> dict[str, Any]:
    tasks = _tasks(exported)
    return {
        "schemaVersion": SCHEMA_VERSION,
        "sdkVersion": SDK_VERSION,
        "pipelineInfo": {"name": f"noria-{_dashed(exported.name)}"},
        "root": {
            "dag": {"tasks": {task.name: _task(task, exported.parameters) for task in tasks}},
            **_definitions([_parameter(each) for each in exported.parameters]),
        },
        "components": {
            f"comp-{task.name}": {
                "executorLabel": f"exec-{task.name}",
                **_definitions([*map(_typed, exported.parameters), (_RUN, {"parameterType": "STRING"})]),
            }
            for task in tasks
        },
        "deploymentSpec": {
            "executors": {f"exec-{task.name}": _executor(task, exported, containers) for task in tasks}
        },
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    name: str
    piece: tuple[str, ...]
    after: tuple[str, ...] = ()
    resources: Resources | None = None


def _tasks(exported: ExportedPipeline) -> list[_Task]:
    if exported.whole is not None:
        return [_Task(name="whole", piece=("--whole",))]
    steps = [_of_step(step) for step in exported.steps]
    followed = {before for step in steps for before in step.after}
    last = tuple(step.name for step in steps if step.name not in followed)
    return [
        _Task(name="begin", piece=("--begin",)),
        *steps,
        _Task(name="end", piece=("--end",), after=last),
    ]


def _of_step(step: ExportedStep) -> _Task:
    return _Task(
        name=_dashed(step.id),
        piece=("--step", str(step.position)),
        after=tuple(map(_dashed, step.after)) or ("begin",),
        resources=step.resources,
    )


def _task(task: _Task, parameters: Sequence[ExportedParameter]) -> dict[str, Any]:
    given: dict[str, Any] = {
        parameter.name: {"componentInputParameter": parameter.name} for parameter in parameters
    }
    given[_RUN] = {"runtimeValue": {"constant": "{{$.pipeline_job_uuid}}"}}
    spec: dict[str, Any] = {
        # Whether a step can be reused is known to Noria, which looks at code and data.
        "cachingOptions": {},
        "componentRef": {"name": f"comp-{task.name}"},
        "inputs": {"parameters": given},
        "taskInfo": {"name": task.name},
    }
    if task.after:
        spec["dependentTasks"] = list(task.after)
    return spec


def _executor(task: _Task, exported: ExportedPipeline, containers: Containers) -> dict[str, Any]:
    args = [exported.target, *task.piece, "--run", f"kubeflow/{_input(_RUN)}"]
    if exported.snapshot is not None:
        args += ["--snapshot", exported.snapshot]
    for parameter in exported.parameters:
        args += ["--param", f"{parameter.name}={_input(parameter.name)}"]
    container: dict[str, Any] = {
        "image": containers.image,
        "command": ["noria", "pipelines", "piece"],
        "args": args,
        "env": [
            {"name": "NORIA_WORKSPACE", "value": exported.workspace},
            {"name": "NORIA_PROJECT", "value": exported.project},
        ],
    }
    limits = _limits(task.resources)
    if limits:
        container["resources"] = limits
    return {"container": container}


def _limits(resources: Resources | None) -> dict[str, Any]:
    if resources is None:
        return {}
    limits: dict[str, Any] = {}
    if resources.cpus != 1:
        limits["resourceCpuRequest"] = f"{resources.cpus:g}"
    if resources.memory_bytes is not None:
        limits["resourceMemoryRequest"] = limits["resourceMemoryLimit"] = str(resources.memory_bytes)
    if resources.gpus:
        limits["accelerator"] = {
            "resourceType": "nvidia.com/gpu",
            "resourceCount": str(resources.gpus),
        }
    return limits


def _platforms(exported: ExportedPipeline, secret: str) -> dict[str, Any]:
    token = {
        "secretName": secret,
        "secretNameParameter": {"runtimeValue": {"constant": secret}},
        "optional": False,
        "keyToEnv": [{"secretKey": "token", "envVar": "NORIA_TOKEN"}],
    }
    executors = {f"exec-{task.name}": {"secretAsEnv": [token]} for task in _tasks(exported)}
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}


def _definitions(parameters: Sequence[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    return {"inputDefinitions": {"parameters": dict(parameters)}} if parameters else {}


def _parameter(parameter: ExportedParameter) -> tuple[str, dict[str, Any]]:
    name, typed = _typed(parameter)
    return name, {**typed, "defaultValue": parameter.default, "isOptional": True}


def _typed(parameter: ExportedParameter) -> tuple[str, dict[str, Any]]:
    return parameter.name, {"parameterType": _TYPES[parameter.kind]}


def _input(name: str) -> str:
    return f"{{{{$.inputs.parameters['{name}']}}}}"


def _dashed(name: str) -> str:
    return name.lower().replace("_", "-").strip("-")
