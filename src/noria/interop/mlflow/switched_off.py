"""What of MLflow's server is not here: the gateway, MCP servers, skills, and the jobs and assistant of its page.

Clients are told in the words of that server, with a status that they do not try again for minutes.
"""

from __future__ import annotations

from typing import Final

from noria.core.adapters import AdapterAnswer, AdapterRequest
from noria.interop.mlflow.errors import NOT_IMPLEMENTED, MlflowError, missing, refuse
from noria.interop.mlflow.messages import Empty
from noria.interop.mlflow.wire import Endpoints, Message

NO_GATEWAY: Final = "The AI Gateway feature is disabled. Set MLFLOW_ENABLE_AI_GATEWAY=true to enable it."
NO_JOBS: Final = (
    "Mlflow server job execution feature is not enabled, please set environment variable"
    " 'MLFLOW_SERVER_ENABLE_JOB_EXECUTION' to 'true' to enable it."
)
NO_MCP: Final = (
    "MCP servers are not kept here: the registry holds models and prompts."
    " Use the MLflow server that holds them."
)
NO_SKILLS: Final = (
    "Skills of agents are not kept here: the registry holds models and prompts."
    " Use the MLflow server that holds them."
)
NO_ASSISTANT: Final = "The assistant of MLflow's page is not here."

_METHODS: Final = ("GET", "POST", "PATCH", "DELETE")
_JOBS: Final = "3:prompt-optimization/jobs"
_JOB: Final = f"{_JOBS}/{{job_id}}"
_PAGE_JOBS: Final = ("/ajax-api/3.0/jobs", "/ajax-api/3.0/mlflow/jobs")
_STARTING: Final = (
    "genai/evaluate/invoke",
    "issues/invoke",
    "issues/schedule/state",
    "scorer/invoke",
    "demo/generate",
    "demo/delete",
)

endpoint = Endpoints()


class SearchJobs(Message):
    """The experiment whose jobs are wanted."""

    experiment_id: str = ""


def no_gateway(request: AdapterRequest) -> AdapterAnswer:  # noqa: ARG001 - a handler's signature
    """Say that there is no gateway, as `server-info` does."""
    return refuse(MlflowError(NOT_IMPLEMENTED, NO_GATEWAY))


def no_targets(request: AdapterRequest) -> AdapterAnswer:  # noqa: ARG001 - a handler's signature
    """Say that no deployments are known, as a server without a target of them does."""
    return AdapterAnswer(body=b'{"endpoints": []}')


def no_jobs(request: AdapterRequest) -> AdapterAnswer:  # noqa: ARG001 - a handler's signature
    """Say that the server runs no jobs of users."""
    return refuse(MlflowError(NOT_IMPLEMENTED, NO_JOBS))


def no_mcp(request: AdapterRequest) -> AdapterAnswer:  # noqa: ARG001 - a handler's signature
    """Say that MCP servers are not registered here."""
    return refuse(MlflowError(NOT_IMPLEMENTED, NO_MCP))


def no_skills(request: AdapterRequest) -> AdapterAnswer:  # noqa: ARG001 - a handler's signature
    """Say that skills are not registered here."""
    return refuse(MlflowError(NOT_IMPLEMENTED, NO_SKILLS))


def no_assistant(request: AdapterRequest) -> AdapterAnswer:  # noqa: ARG001 - a handler's signature
    """Say that there is no assistant."""
    return refuse(MlflowError(NOT_IMPLEMENTED, NO_ASSISTANT))


def no_such_job(request: AdapterRequest) -> AdapterAnswer:
    """Say that there is no such job, since there is none."""
    return refuse(missing(f"Job with ID {request.path['job_id']} not found"))


def search_jobs(request: AdapterRequest, message: SearchJobs) -> Empty:  # noqa: ARG001 - a handler's signature
    """Find no job."""
    return Empty()


for _method in _METHODS:
    endpoint.add(_method, "3:gateway/{rest:path}", no_gateway)
for _method in ("GET", "POST"):
    endpoint.add(_method, "/gateway/{rest:path}", no_gateway)
    endpoint.add(_method, "/ajax-api/2.0/mlflow/gateway-proxy", no_targets)
for _method in ("GET", "POST"):
    endpoint(_method, f"{_JOBS}/search", SearchJobs, required=("experiment_id",))(search_jobs)
endpoint.add("POST", _JOBS, no_jobs)
endpoint.add("POST", f"{_JOB}/cancel", no_such_job)
for _method in ("GET", "DELETE"):
    endpoint.add(_method, _JOB, no_such_job)
for _jobs in _PAGE_JOBS:
    endpoint.add("GET", f"{_jobs}/{{job_id}}", no_such_job)
    endpoint.add("PATCH", f"{_jobs}/cancel/{{job_id}}", no_such_job)
for _path in ("", "/", "/search"):
    endpoint.add("POST", f"{_PAGE_JOBS[0]}{_path}", no_jobs)
for _start in _STARTING:
    endpoint.add("POST", f"/ajax-api/3.0/mlflow/{_start}", no_jobs)
for _method in _METHODS:
    for _path in ("3:mcp-servers", "3:mcp-servers/{rest:path}"):
        endpoint.add(_method, _path, no_mcp)
    for _path in ("3:skills", "3:skills/{rest:path}"):
        endpoint.add(_method, _path, no_skills)
for _method in (*_METHODS, "PUT"):
    endpoint.add(_method, "/ajax-api/3.0/mlflow/assistant/{rest:path}", no_assistant)

ROUTES = endpoint.routes
