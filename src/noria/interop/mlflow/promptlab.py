"""Runs of the page's prompt playground: a prompt that somebody tried, kept as params, tags and a table.

MLflow's own server keeps a model beside them, which only its gateway can serve; here the table is what stays.
"""

from __future__ import annotations

import json
from typing import Any, Final

from noria.core.adapters import AdapterRequest
from noria.interop.mlflow.decoding import invalid_parameter
from noria.interop.mlflow.errors import invalid
from noria.interop.mlflow.messages import KeyValue, RunAnswer
from noria.interop.mlflow.projects import load_row, log
from noria.interop.mlflow.run_answers import wire_run
from noria.interop.mlflow.runs import CreateRun, create_run
from noria.interop.mlflow.times import millis
from noria.interop.mlflow.validation import check_param
from noria.interop.mlflow.wire import Endpoints, Int64, Message
from noria.tracking.artifacts import Artifacts
from noria.tracking.by_id import RunsById
from noria.tracking.entities import LogBatch, RunChange, RunStatus

TABLE: Final = "eval_results_table.json"
TAGS: Final = {
    "mlflow.loggedArtifacts": json.dumps([{"path": TABLE, "type": "table"}]),
    "mlflow.runSourceType": "PROMPT_ENGINEERING",
}

endpoint = Endpoints()


class Pair(Message):
    """A name and a value of any kind, which is kept as text."""

    key: str = ""
    value: Any = None


class CreatePromptlabRun(Message):
    """A prompt that was tried, with what it was filled with and what came back."""

    experiment_id: str = ""
    run_name: str = ""
    tags: list[KeyValue] = []
    prompt_template: str = ""
    prompt_parameters: list[Pair] = []
    model_route: str = ""
    model_parameters: list[Pair] = []
    model_input: str = ""
    model_output: str | None = None
    model_output_parameters: list[Pair] = []
    mlflow_version: str = ""
    user_id: str = "unknown"
    start_time: Int64 | None = None


_NEEDED: Final = (
    "experiment_id",
    "prompt_template",
    "prompt_parameters",
    "model_route",
    "model_input",
    "mlflow_version",
)


def create_promptlab_run(request: AdapterRequest, message: CreatePromptlabRun) -> RunAnswer:
    """Keep a prompt that was tried as a finished run."""
    for name in _NEEDED:
        if not getattr(message, name):
            raise invalid(f"CreatePromptlabRun request must specify {name}.")
    params = {pair.key: check_param(pair.key, _text(pair.value)) for pair in message.model_parameters}
    params |= {"model_route": message.model_route, "prompt_template": message.prompt_template}
    now = request.context.clock.now()
    started = millis(now) if message.start_time is None else message.start_time
    made = create_run(
        request,
        CreateRun(
            experiment_id=message.experiment_id,
            user_id=message.user_id,
            run_name=message.run_name,
            start_time=started,
            tags=message.tags,
        ),
    )
    run_id = made.run.info.run_id
    log(request, run_id, LogBatch(params=params, tags=dict(TAGS)))
    project = load_row(request, run_id).place.project
    request.context.guarded(Artifacts).put(project, iter([_table(message)]), of=f"run:{run_id}", path=TABLE)
    ended = RunChange(status=RunStatus.FINISHED, ended_at=request.context.clock.now())
    request.context.guarded(RunsById).amend(run_id, ended)
    return RunAnswer(run=wire_run(load_row(request, run_id)))


def _table(message: CreatePromptlabRun) -> bytes:
    filled, returned = message.prompt_parameters, message.model_output_parameters
    columns = [pair.key for pair in filled] + ["prompt", "output"] + [pair.key for pair in returned]
    row = [_text(pair.value) for pair in filled] + [message.model_input, message.model_output]
    row += [_text(pair.value) for pair in returned]
    return json.dumps({"columns": columns, "data": [row]}).encode()


def _text(value: Any) -> str:
    if isinstance(value, (dict, list)):
        raise invalid_parameter("value", value)
    return str(value)


endpoint("POST", "/ajax-api/2.0/mlflow/runs/create-promptlab-run", CreatePromptlabRun)(create_promptlab_run)

ROUTES = endpoint.routes
