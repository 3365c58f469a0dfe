"""MLflow's protocol as an adapter of the server: the endpoints of all modules of this package."""

from __future__ import annotations

from typing import Final

from noria.core.adapters import Adapter
from noria.interop.mlflow import system
from noria.interop.mlflow.errors import refuse

PREFIXES: Final = (
    "/api/2.0/mlflow",
    "/api/3.0/mlflow",
    "/ajax-api/",
    "/v1/traces",
    "/graphql",
    "/get-artifact",
    "/model-versions/",
)

ADAPTER: Final = Adapter(name="mlflow", prefixes=PREFIXES, routes=[*system.ROUTES], refuse=refuse)
