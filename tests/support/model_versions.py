"""Versions of models that stand in no workspace."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from noria.registry.entities import Origin, ServableVersion, Signature, Task


def made_version(
    signature: Signature, kind: str = "sklearn-skops", *, task: Task = Task.CLASSIFICATION, **known: Any
) -> ServableVersion:
    """Give `model@1` of the project `default`, of some format."""
    at = datetime(2026, 11, 22, tzinfo=UTC)
    described: dict[str, Any] = {"digest": "blake3:" + "0" * 64, "classes": None, "holdout": None, **known}
    return ServableVersion(
        id="v1",
        project="default",
        model="model",
        version=1,
        format=kind,
        task=task,
        signature=signature,
        metrics={},
        origin=Origin(),
        message="",
        author="somebody",
        created_at=at,
        updated_at=at,
        **described,
    )
