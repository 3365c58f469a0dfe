"""Model versions, predictions and model servers for the tests of serving."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from noria.core.ids import new_id
from noria.core.objects.trees import put_tree
from noria.core.workspace import Workspace
from noria.registry.entities import ModelVersion, NewModelVersion, Signature, Task, TensorSpec
from noria.registry.service import Models
from noria.serving.plans import AppliedPlan, ServerReport
from noria.serving.predictions import Prediction
from noria.serving.service import Endpoints

AT = datetime(2030, 1, 1, tzinfo=UTC)


def signature(*, columns: int = 4, classes: int = 3, datatype: str = "FP64") -> Signature:
    """Give the signature of a classifier."""
    return Signature(
        inputs=[TensorSpec(name="x", datatype=datatype, shape=[-1, columns])],
        outputs=[
            TensorSpec(name="predictions", datatype="INT64", shape=[-1]),
            TensorSpec(name="probabilities", datatype="FP64", shape=[-1, classes]),
        ],
    )


def register_version(
    workspace: Workspace,
    model: str = "digits",
    *,
    taking: Signature | None = None,
    task: Task = Task.CLASSIFICATION,
    project: str = "default",
) -> ModelVersion:
    """Register a version that has files, but none that a runtime could load."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "model.txt").write_text(new_id())
        tree = put_tree(workspace.objects(project), Path(folder))
    new = NewModelVersion(digest=tree.digest, format="none", task=task, signature=taking or signature())
    return workspace.service(Models).register(project, model, new)


def predictions(
    ids: Sequence[str],
    *,
    version: int = 1,
    revision: int = 1,
    answer: Any = 7,
    latency_us: int = 1000,
    error: str | None = None,
) -> list[Prediction]:
    """Give predictions of one row each."""
    return [
        Prediction(
            id=identity,
            version=version,
            at=AT,
            inputs={"x": [0.0, 1.0, 2.0, 3.0]},
            outputs={} if error else {"predictions": answer},
            latency_us=latency_us,
            error=error,
            revision=revision,
        )
        for identity in ids
    ]


def follow(
    endpoints: Endpoints,
    *,
    server: str = "one",
    url: str | None = None,
    failed: dict[str, str] | None = None,
) -> None:
    """Report as a model server does that follows every plan."""
    plans = endpoints.plans().plans or []
    applied = [
        AppliedPlan(project=plan.project, endpoint=plan.endpoint, revision=plan.revision, failed=failed or {})
        for plan in plans
    ]
    endpoints.report(ServerReport(server=server, url=url, endpoints=applied))
