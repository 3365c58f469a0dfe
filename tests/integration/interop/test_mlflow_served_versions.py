"""Deleting what an endpoint serves, on MLflow's wire."""

from __future__ import annotations

import httpx

from noria.core.context import Context
from noria.core.workspace import InProcess, Workspace
from noria.serving.entities import Deployment
from noria.serving.service import Endpoints
from support.serving import register_version


def test_a_served_version_is_not_deleted(http: httpx.Client, context: Context) -> None:
    """Neither it nor its model: the answer is a conflict that names the endpoint and the way out."""
    register_version(Workspace(context.settings, InProcess(context), context.clock))
    endpoints = context.service(Endpoints)
    endpoints.deploy("default", "live", Deployment(model="digits", version=1))

    for path, sent in (
        ("model-versions/delete", {"name": "digits", "version": "1"}),
        ("registered-models/delete", {"name": "digits"}),
    ):
        answer = http.request("DELETE", f"/api/2.0/mlflow/{path}", json=sent)
        assert (answer.status_code, answer.json()["error_code"]) == (409, "RESOURCE_CONFLICT")
        assert "the endpoint `live`" in answer.json()["message"]
        assert "noria endpoints delete live" in answer.json()["message"]
    endpoints.delete("default", "live")
    answer = http.request("DELETE", "/api/2.0/mlflow/registered-models/delete", json={"name": "digits"})
    assert answer.status_code == 200
