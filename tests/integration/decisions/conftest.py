"""A project with a pipeline, an endpoint, and a clock that moves when it is told to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from noria.core.clock import ManualClock
from noria.core.context import Context
from noria.core.workspace import InProcess, Workspace, use_workspace
from noria.data.client import dataset
from noria.decisions.entities import OWN, DecisionSection, Policy
from noria.pipelines.runner import run_pipeline
from support.conformance import open_test_context, workspace_settings
from support.decisions import Incident, blobs
from support.project import user_project

PIPELINE = """
    import noria
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    from sklearn.svm import SVC

    @noria.pipeline
    def train(
        dataset: str, model: str = "customers", most_classes: int = 9, most_probable: int = 10_000
    ) -> str:
        rows = noria.dataset(dataset).arrays()
        if len(set(rows["y"])) > most_classes:
            raise ValueError("more classes than this code knows")
        x, held, y, truth = train_test_split(
            rows["x"], rows["y"], test_size=0.25, random_state=0, stratify=rows["y"]
        )
        probable = len(rows["y"]) <= most_probable
        fitted = (LogisticRegression(max_iter=2000) if probable else SVC()).fit(x, y)
        return noria.register(fitted, model, x={"x": x}, y=y, holdout=({"x": held}, truth)).ref
"""


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> DecisionSection:
    """Give the table `[decisions]`, with the policy that a test gives as this fixture's parameter.

    Without one nothing learns but the project's pipeline, so that tests can count its versions.
    """
    return DecisionSection(
        policy=getattr(request, "param", dict.fromkeys(OWN, Policy.FORBID)),
        outcome_labels=20,
        outcome_patience_s=60.0,
        label_patience_s=600.0,
    )


@pytest.fixture
def context(tmp_path: Path, settings: DecisionSection) -> Iterator[Context]:
    """Give the backends of a fresh workspace."""
    chosen = workspace_settings(tmp_path / "workspace")
    chosen = replace(chosen, sections={"decisions": settings}, project_root=tmp_path / "project")
    with open_test_context(chosen, ManualClock(datetime(2030, 1, 1, tzinfo=UTC))) as opened:
        yield opened


@pytest.fixture
def most_classes() -> int:
    """Give the number of classes beyond which the project's pipeline raises."""
    return 9


@pytest.fixture
def most_probable() -> int:
    """Give the number of rows beyond which the project's pipeline fits a model without probabilities."""
    return 10_000


@pytest.fixture
def incident(context: Context, tmp_path: Path, most_classes: int, most_probable: int) -> Iterator[Incident]:
    """Give an endpoint that serves a model of the clouds 0, 1 and 2."""
    with user_project(tmp_path / "project") as project:
        project.write("noria.toml", "")
        project.write("shop_pipeline.py", PIPELINE)
        found = Incident(context, folder=project.root)
        train = project.load("shop_pipeline").train
        x, y = blobs(400, [0, 1, 2], seed=0)
        workspace = Workspace(context.settings, InProcess(context), context.clock)
        with use_workspace(workspace):
            added = dataset("customers-train").add({"x": x, "y": y})
            limits = {"most_classes": most_classes, "most_probable": most_probable}
            run_pipeline(workspace, train, {"dataset": added.ref, **limits})
        found.deploy("customers")
        yield found
