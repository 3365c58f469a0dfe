"""What MLflow's own server can have switched off, and here always is: the gateway, and the jobs of its page.

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

_METHODS: Final = ("GET", "POST", "PATCH", "DELETE")
_JOBS: Final = "3:prompt-optimization/jobs"
_JOB: Final = f"{_JOBS}/{{job_id}}"
_STARTING: Final = ("genai/evaluate/invoke", "issues/invoke", "scorer/invoke", "demo/generate", "demo/delete")

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


def no_such_job(request: AdapterRequest) -> AdapterAnswer:
    """Say that there is no such job, since there is none."""
    return refuse(missing(f"Job with ID {request.path['job_id']} not found"))


def search_jobs(request: AdapterRequest, message: SearchJobs) -> Empty:  # noqa: ARG001 - a handler's signature
    """Find no job."""
    return Empty()


for _method in _METHODS:
    endpoint.add(_method, "3:gateway/{rest:path}", no_gateway)
for _method in ("GET", "POST"):
    endpoint.add(_method, "/ajax-api/2.0/mlflow/gateway-proxy", no_targets)
for _method in ("GET", "POST"):
    endpoint(_method, f"{_JOBS}/search", SearchJobs, required=("experiment_id",))(search_jobs)
endpoint.add("POST", _JOBS, no_jobs)
endpoint.add("POST", f"{_JOB}/cancel", no_such_job)
for _method in ("GET", "DELETE"):
    endpoint.add(_method, _JOB, no_such_job)
endpoint.add("GET", "/ajax-api/3.0/mlflow/jobs/{job_id}", no_such_job)
endpoint.add("PATCH", "/ajax-api/3.0/mlflow/jobs/cancel/{job_id}", no_such_job)
for _start in _STARTING:
    endpoint.add("POST", f"/ajax-api/3.0/mlflow/{_start}", no_jobs)

ROUTES = endpoint.routes
