"""What MLflow's clients ask of a server before anything else: whether it lives, its version, and what it can do."""

from __future__ import annotations

from typing import Final

import msgspec

from noria.core.adapters import AdapterAnswer, AdapterRequest
from noria.core.objects.multipart import multipart_uploads
from noria.core.permissions import Permission
from noria.interop.mlflow.wire import Endpoints, Message, encode

SEE_SERVER: Final = Permission(name="mlflow.server", public=True)
"""What the world may know, as with MLflow: clients ask for it before they sign in."""

MLFLOW_VERSION: Final = "3.17.2"
"""The release of MLflow whose protocol is spoken; clients choose by it how to send traces."""

endpoint = Endpoints()


class ServerInfo(Message, omit_defaults=False):
    """What the server can do."""

    store_type: str = "SqlStore"
    workspaces_enabled: bool = False
    trace_archival_enabled: bool = False
    multipart_uploads_enabled: bool = False
    multipart_downloads_enabled: bool = False
    presigned_upload_run_id_supported: bool = True
    presigned_upload_model_id_supported: bool = True
    features_enabled: dict[str, bool] = msgspec.field(default_factory=lambda: {"gateway": False})


def health(request: AdapterRequest) -> AdapterAnswer:  # noqa: ARG001 - a handler's signature
    """Say that the server lives."""
    return AdapterAnswer(body=b"OK", media_type="text/plain; charset=utf-8")


def version(request: AdapterRequest) -> AdapterAnswer:  # noqa: ARG001 - a handler's signature
    """Say which release of MLflow the server speaks like."""
    return AdapterAnswer(body=MLFLOW_VERSION.encode(), media_type="text/html; charset=utf-8")


def server_info(request: AdapterRequest) -> AdapterAnswer:
    """Say what the server can do: large files go past it when its store is a bucket."""
    in_parts = multipart_uploads(request.context.objects) is not None
    return AdapterAnswer(body=encode(ServerInfo(multipart_uploads_enabled=in_parts)))


def no_workspaces(request: AdapterRequest) -> AdapterAnswer:
    """Say that MLflow's workspaces are off, as its own server does where they are: projects are Noria's answer."""
    address = "/api/3.0/mlflow/workspaces" + ("/<workspace_name>" if request.path else "")
    body = (
        f"Endpoint: {address} disabled because the server is running without workspaces support. To enable"
        " workspace, run `mlflow server` with `--enable-workspaces`"
    )
    return AdapterAnswer(status=503, body=body.encode(), media_type="text/html; charset=utf-8")


endpoint.add("GET", "/health", health, needs=SEE_SERVER)
endpoint.add("GET", "/version", version, needs=SEE_SERVER)
endpoint.add("GET", "3:server-info", server_info, needs=SEE_SERVER)
for method in ("GET", "POST"):
    endpoint.add(method, "3:workspaces", no_workspaces)
for method in ("GET", "PATCH", "DELETE"):
    endpoint.add(method, "3:workspaces/{workspace_name}", no_workspaces)

ROUTES = endpoint.routes
