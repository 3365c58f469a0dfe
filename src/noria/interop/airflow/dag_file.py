"""Write a pipeline as a file that Airflow 3 reads. Pure.

The file needs Airflow alone: its tasks call the command `noria`, which may live in an environment of its own.
"""

from __future__ import annotations

import keyword
import pprint
from collections.abc import Iterator
from typing import Any

from noria._version import __version__
from noria.pipelines.exporting import ExportedParameter, ExportedPipeline, ExportedStep

_HEAD = '''\
"""The pipeline `{named}`, exported by Noria {version} for Airflow 3. Export it again rather than edit it.

{note}

The workers need the command `noria` with the packages of the project: on their PATH, or named by the variable
NORIA_COMMAND. They report to WORKSPACE below unless NORIA_WORKSPACE is set; a server wants NORIA_TOKEN too.
"""

from __future__ import annotations

import os
import shlex
import subprocess
{imports}
from airflow.sdk import DAG, Param, get_current_context, task

TARGET = {target!r}
WORKSPACE = {workspace!r}
PROJECT = {project!r}
SNAPSHOT = {snapshot!r}
PARAMS = {params}


def call(*piece: str) -> None:
    """Run one task of the pipeline; all tasks of a DAG run are one run of Noria."""
    context = get_current_context()
    key = f"airflow/{{context['dag'].dag_id}}/{{context['run_id']}}"
    command = [*shlex.split(os.environ.get("NORIA_COMMAND", "noria")), "pipelines", "piece", TARGET]
    command += ["--run", key, *piece]
    command += ["--snapshot", SNAPSHOT] if SNAPSHOT else []
    for name in PARAMS:
        command += ["--param", f"{{name}}={{context['params'][name]}}"]
    places = {{"NORIA_WORKSPACE": WORKSPACE, "NORIA_PROJECT": PROJECT}}
    process = subprocess.Popen(
        command,
        env={{**places, **os.environ}},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    try:
        for line in process.stdout or ():
            print(line, end="")  # into the log of the task
    except BaseException:
        process.terminate()  # the run hears of it
        raise
    finally:
        code = process.wait()
    if code != 0:
        raise RuntimeError(f"`noria pipelines piece` ended with {{code}}; its words are above")


with DAG(
    dag_id={dag_id!r},
    schedule=None,
    catchup=False,
    params={{name: Param(**declared) for name, declared in PARAMS.items()}},
    tags=["noria"],
    doc_md=__doc__,
):
'''


def dag_file(exported: ExportedPipeline) -> str:
    """Give the text of the file."""
    head = _HEAD.format(
        target=exported.target,
        named=_quiet(exported.target),
        version=__version__,
        note=_note(exported),
        workspace=exported.workspace,
        project=exported.project,
        snapshot=exported.snapshot,
        params=pprint.pformat(
            {parameter.name: _param(parameter) for parameter in exported.parameters}, sort_dicts=False
        ),
        imports="from datetime import timedelta\n" if any(s.timeout_s for s in exported.steps) else "",
        dag_id=f"noria_{exported.name}",
    )
    return head + "\n".join(_tasks(exported)) + "\n"


def _note(exported: ExportedPipeline) -> str:
    if exported.whole is not None:
        return f"It is one task: {_quiet(exported.whole)}."
    return "Each step is a task, between one that begins the run and one that ends it."


def _quiet(text: str) -> str:
    """Give a text that neither ends the string that it stands in nor escapes anything there."""
    return " ".join(text.replace("\\", "/").replace('"', "'").split())


def _param(parameter: ExportedParameter) -> dict[str, Any]:
    return {"default": parameter.default, "type": parameter.kind}


def _tasks(exported: ExportedPipeline) -> Iterator[str]:
    if exported.whole is not None:
        yield from _task("whole", '"--whole"')
        yield "    whole()"
        return
    yield from _task("begin", '"--begin"')
    for step in exported.steps:
        yield from _task(step.id, f'"--step", "{step.position}"', step)
    yield from _task("end", '"--end"')
    names = {step.id: _variable(step.id) for step in exported.steps}
    yield "    begun, ended = begin(), end()"
    for step in exported.steps:
        yield f"    {names[step.id]} = {_function(step.id)}()"
    for step in exported.steps:
        for before in [names[other] for other in step.after] or ["begun"]:
            yield f"    {before} >> {names[step.id]}"
    followed = {other for step in exported.steps for other in step.after}
    for step in exported.steps:
        if step.id not in followed:
            yield f"    {names[step.id]} >> ended"


def _task(name: str, piece: str, step: ExportedStep | None = None) -> Iterator[str]:
    limit = ""
    if step is not None and step.timeout_s is not None:
        # Noria itself stops the step then; this is for a task that hangs beside it.
        limit = f", execution_timeout=timedelta(seconds={2 * step.timeout_s + 60:g})"
    yield f'    @task(task_id="{name}"{limit})'
    yield f"    def {_function(name)}() -> None:"
    yield f"        call({piece})"
    yield ""


def _function(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) else name


def _variable(name: str) -> str:
    return f"{name}_task"
