"""MLflow's protocol as an adapter of the server: the endpoints of all modules of this package."""

from __future__ import annotations

from typing import Final

from noria.core.adapters import Adapter
from noria.interop.mlflow import (
    artifact_uploads,
    artifacts,
    assessments,
    datasets,
    experiments,
    inputs,
    issues,
    label_schemas,
    logged_models,
    metrics,
    model_versions,
    models,
    old_traces,
    page,
    promptlab,
    review_queues,
    runs,
    scorers,
    search,
    switched_off,
    system,
    trace_metrics,
    trace_spans,
    traces,
    webhooks,
)
from noria.interop.mlflow.errors import refuse

PREFIXES: Final = (
    "/api/2.0/mlflow",
    "/api/3.0/mlflow",
    "/ajax-api/",
    "/v1/traces",
    "/graphql",
    "/gateway/",
    "/get-artifact",
    "/model-versions/",
)
"""What begins so is MLflow's alone, and refused in its words."""

MODULES: Final = (
    system,
    experiments,
    runs,
    search,
    metrics,
    inputs,
    artifacts,
    artifact_uploads,
    logged_models,
    models,
    model_versions,
    traces,
    old_traces,
    trace_spans,
    trace_metrics,
    assessments,
    issues,
    scorers,
    label_schemas,
    review_queues,
    datasets,
    page,
    promptlab,
    switched_off,
    webhooks,
)

ADAPTER: Final = Adapter(
    name="mlflow",
    prefixes=PREFIXES,
    routes=[route for module in MODULES for route in module.ROUTES],
    refuse=refuse,
)
