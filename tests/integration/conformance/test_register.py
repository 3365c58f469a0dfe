"""What registering from Python promises, on a folder and on a server alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

import noria
from noria.core import lineage
from noria.core.errors import Corrupt, Invalid, NotFound
from noria.core.lineage import CodeOrigin
from noria.core.objects.trees import read_manifest
from noria.core.workspace import Workspace, use_workspace
from noria.registry.client import fetch_version
from noria.registry.entities import Task, TensorSpec
from noria.registry.golden import compare_golden, load_golden, load_reference_sample
from noria.registry.runtimes.port import load_model
from noria.registry.runtimes.sklearn import UntrustedTypes
from noria.registry.service import Models
from noria.registry.signatures import InputInvalid
from noria.tracking.entities import Link
from noria.tracking.service import Runs
from support.stores import flip_first_byte

X, Y = load_iris(return_X_y=True)


@pytest.fixture(autouse=True)
def _current(workspace: Workspace) -> Iterator[None]:
    with use_workspace(workspace):
        yield


@pytest.fixture
def classifier() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(X[::2], Y[::2])


def test_a_registered_classifier_is_complete(workspace: Workspace, classifier: Any, tmp_path: Path) -> None:
    """Signature, classes, held-out score, golden batch, reference sample and profile are kept beside it."""
    made = noria.register(
        classifier, "iris", x=X[::2], y=Y[::2], holdout=(X[1::2], Y[1::2]), message="m", alias="champion"
    )
    folder = fetch_version(workspace, made, cache=tmp_path)

    assert (made.ref, made.task, made.classes, made.aliases) == (
        "iris@1",
        Task.CLASSIFICATION,
        [0, 1, 2],
        ["champion"],
    )
    assert made.signature.inputs == [TensorSpec(name="x", datatype="FP64", shape=[-1, 4])]
    assert [(o.name, o.datatype, o.shape) for o in made.signature.outputs] == [
        ("predictions", "INT64", [-1]),
        ("probabilities", "FP64", [-1, 3]),
    ]
    assert made.holdout is not None
    assert made.holdout.value == classifier.score(X[1::2], Y[1::2])
    assert made.metrics == {"holdout_accuracy": made.holdout.value}
    names = {entry.path for entry in read_manifest(workspace.objects(), made.digest).entries}
    assert {"model.skops", "profile.json", "reference.npz", "golden.npz"} <= names
    profile = json.loads((folder / "profile.json").read_bytes())
    assert profile["n_rows"] == len(X[::2])


def test_the_golden_batch_replays_through_the_loaded_model(
    workspace: Workspace, classifier: Any, tmp_path: Path
) -> None:
    """What was frozen at registration is what the fetched and loaded version gives."""
    made = noria.register(classifier, "iris", x=X, y=Y)
    folder = fetch_version(workspace, made, cache=tmp_path)
    loaded, batch, sample = load_model(folder, made), load_golden(folder), load_reference_sample(folder)

    assert batch is not None
    assert sample is not None
    found = compare_golden(batch, loaded.features(batch.inputs), loaded.predict(batch.inputs), tolerance=0.0)
    assert (found.n_rows, found.n_flips, found.largest_feature_error) == (150, 0, 0.0)
    np.testing.assert_array_equal(batch.features, classifier[:-1].transform(X))
    assert len(sample.target) == 150


def test_a_loaded_version_predicts(classifier: Any) -> None:
    """By name, number or alias; inputs are held to the signature."""
    noria.register(classifier, "iris", x=X, y=Y, alias="champion")
    for ref in ("iris", "iris@1", "iris@champion"):
        np.testing.assert_array_equal(noria.model(ref).predict(X), classifier.predict(X))
    with pytest.raises(InputInvalid, match="`x`"):
        noria.model("iris").predict(X[:, :3])
    with pytest.raises(NotFound, match="`iriss`"):
        noria.model("iriss")


def test_columns_are_inputs_by_name() -> None:
    """A frame's columns, numbers and texts, become the inputs of the model."""
    frame = pl.DataFrame({"size": [1.0, 2.0, 3.0, 4.0] * 5, "kind": ["a", "b"] * 10})
    target = np.array(["small", "large"] * 10)
    columns = ColumnTransformer([("n", StandardScaler(), [0]), ("c", OneHotEncoder(), [1])])
    fitted = make_pipeline(columns, LogisticRegression()).fit(frame.to_numpy(), target)
    made = noria.register(fitted, "sizes", x=frame, y=target)

    assert [(i.name, i.datatype, i.shape) for i in made.signature.inputs] == [
        ("size", "FP64", [-1]),
        ("kind", "BYTES", [-1]),
    ]
    assert made.classes == ["large", "small"]
    assert noria.model("sizes").predict({"size": [1.0], "kind": ["b"]}).tolist() == ["large"]


def test_a_regressor_of_whole_numbers_is_a_regressor() -> None:
    """The estimator says what it is for, not the type of the target."""
    x, y = load_diabetes(return_X_y=True)
    fitted = RandomForestRegressor(5, random_state=0).fit(x, y.astype(int))
    made = noria.register(fitted, "progress", x=x, y=y.astype(int), holdout=(x, y.astype(int)))

    assert (made.task, made.classes) == (Task.REGRESSION, None)
    assert made.holdout is not None
    assert made.holdout.metric == "mae"


def test_classes_stand_in_the_order_of_the_probabilities() -> None:
    """A sample of rows that lacks a class does not change what the model can answer."""
    fitted = LogisticRegression(max_iter=1000).fit(X, Y)
    made = noria.register(fitted, "iris", x=X[Y != 1], y=Y[Y != 1])

    assert made.classes == [0, 1, 2]


def test_a_run_knows_the_model_and_the_model_its_run(workspace: Workspace, classifier: Any) -> None:
    """Inside a run the version is one of its outputs, and names the run and the data it had read."""
    with noria.run("train") as run:
        lineage.record_input("dataset:iris@3", "")
        made = noria.register(classifier, "iris", x=X, y=Y)
    kept = workspace.service(Runs).get("default", run.id)

    assert kept.outputs == [Link(ref="model:iris@1", digest=made.digest)]
    assert (made.origin.run_id, made.origin.dataset) == (run.id, "iris@3")
    assert made.origin.pipeline is None
    graph = workspace.service(Models).lineage("default", "iris", 1)
    assert [node.ref for node in graph.nodes] == ["model:iris@1", f"run:{run.id}", "dataset:iris@3"]


def test_a_pipeline_is_the_origin_of_its_models(classifier: Any) -> None:
    """What the pipeline's runner says is kept, so that the version can be made again."""
    said = CodeOrigin(run_id="r1", pipeline="m:train", params={"depth": 3}, snapshot="blake3:" + "0" * 64)
    token = lineage.origin.set(said)
    try:
        made = noria.register(classifier, "iris", x=X, y=Y, dataset="iris@7")
    finally:
        lineage.origin.reset(token)

    assert (made.origin.run_id, made.origin.pipeline, made.origin.params, made.origin.snapshot) == (
        "r1",
        "m:train",
        {"depth": 3},
        said.snapshot,
    )
    assert made.origin.dataset == "iris@7"


def own_function(x: Any) -> Any:
    return x


def test_what_cannot_be_registered_leaves_nothing(workspace: Workspace, classifier: Any) -> None:
    """Own code, rows that do not match, no rows and what does not predict are refused, and no version is made."""
    foreign = make_pipeline(FunctionTransformer(own_function), LogisticRegression(max_iter=1000)).fit(X, Y)

    with pytest.raises(UntrustedTypes, match="own_function"):
        noria.register(foreign, "iris", x=X, y=Y)
    with pytest.raises(Invalid, match="150 rows and `y` has 149"):
        noria.register(classifier, "iris", x=X, y=Y[:-1])
    with pytest.raises(Invalid, match="no rows"):
        noria.register(classifier, "iris", x=X[:0], y=Y[:0])
    with pytest.raises(Invalid, match="`StandardScaler` has no `predict`"):
        noria.register(StandardScaler().fit(X), "iris", x=X, y=Y)
    with pytest.raises(InputInvalid, match="`x`"):
        noria.register(classifier, "iris", x=X, y=Y, holdout=(X[:, :2], Y))
    with pytest.raises(Invalid, match="`loss`"):
        noria.register(classifier, "iris", x=X, y=Y, metrics={"loss": float("nan")})
    assert workspace.service(Models).list("default").items == []


def test_an_estimator_that_cannot_predict_its_rows_is_refused(workspace: Workspace, classifier: Any) -> None:
    """Inputs of another width than it was fitted on, or no fit at all, are the caller's mistake."""
    with pytest.raises(Invalid, match="does not predict"):
        noria.register(classifier, "iris", x=X[:, :3], y=Y)
    with pytest.raises(Invalid, match="does not predict"):
        noria.register(LogisticRegression(), "iris", x=X, y=Y)
    assert workspace.service(Models).list("default").items == []


def test_a_damaged_object_is_not_loaded(workspace: Workspace, classifier: Any, tmp_path: Path) -> None:
    """Bytes that are not those of the digest never become a model."""
    made = noria.register(classifier, "iris", x=X, y=Y)
    entries = read_manifest(workspace.objects(), made.digest).entries
    digest = next(entry.digest for entry in entries if entry.path == "model.skops")
    flip_first_byte(Path(workspace.settings.objects_url), digest)

    with pytest.raises(Corrupt):
        fetch_version(workspace, made, cache=tmp_path)
