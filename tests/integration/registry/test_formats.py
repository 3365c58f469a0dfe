"""Models of every library come back from their files as they were, and run no code that nobody consented to."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost
from skl2onnx import to_onnx
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import noria
from noria.core.config import load_settings
from noria.core.errors import Corrupt, Failed, Invalid, NotFound
from noria.core.workspace import Workspace, open_workspace
from noria.registry.client import fetch_version
from noria.registry.consents import Consents
from noria.registry.entities import ServableVersion, Task
from noria.registry.golden import compare_golden, load_golden
from noria.registry.mlflow_folders import export_version, import_folder
from noria.registry.rules import ConsentMissing, servable
from noria.registry.runtimes.port import DistributionMissing, load_model
from noria.registry.service import Models
from support.mlflow_models import mlmodel_text

PROJECT = Path(__file__).parent / "project"
X, Y = load_iris(return_X_y=True)
COLUMNS = {f"c{index}": X[:, index] for index in range(4)}
TEXTS = np.array(["setosa", "other"])[(Y > 0).astype(int)]
QUIET: dict[str, Any] = {"verbosity": -1, "num_leaves": 4, "num_threads": 1}
EXACT = {"lightgbm", "python-class"}
"""Formats without another engine's form, so that servers answer to the last bit."""
FEW: dict[str, Any] = {"n_estimators": 4, "n_jobs": 1}


def made_booster() -> Any:
    """Fit a booster that knows its columns by name, in another order than they are given."""
    names = [f"c{index}" for index in (3, 2, 1, 0)]
    data = xgboost.DMatrix(X[:, ::-1], label=Y, feature_names=names)
    return xgboost.train({"objective": "multi:softprob", "num_class": 3, "nthread": 1}, data, 3)


MODELS: dict[str, tuple[Callable[[], Any], Any, Any]] = {
    "sklearn-skops": (lambda: LogisticRegression(max_iter=1000).fit(X, Y), X, Y),
    "lightgbm": (lambda: lightgbm.LGBMClassifier(**QUIET, **FEW).fit(X, Y), X, Y),
    "lightgbm texts": (lambda: lightgbm.LGBMClassifier(**QUIET, **FEW).fit(X, TEXTS), X, TEXTS),
    "lightgbm numbers": (
        lambda: lightgbm.LGBMRegressor(**QUIET, **FEW).fit(X[:, :3], X[:, 3]),
        X[:, :3],
        X[:, 3],
    ),
    "xgboost": (lambda: xgboost.XGBClassifier(**FEW).fit(X, Y), X, Y),
    "xgboost two": (lambda: xgboost.XGBClassifier(**FEW).fit(X, Y > 0), X, Y > 0),
    "xgboost numbers": (
        lambda: xgboost.XGBRegressor(**FEW, early_stopping_rounds=1, learning_rate=1.9).fit(
            X[:, :3], X[:, 3], eval_set=[(X[::3, :3], X[::3, 3])], verbose=False
        ),
        X[:, :3],
        X[:, 3],
    ),
    "xgboost linear": (
        lambda: xgboost.XGBRegressor(**FEW, booster="gblinear").fit(X[:, :3], X[:, 3]),
        X[:, :3],
        X[:, 3],
    ),
    "python-class": (lambda: nearest()([X[k == Y].mean(axis=0) for k in range(3)]), X, Y),
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Give a workspace on a folder for all of these tests."""
    with open_workspace(load_settings(workspace=str(tmp_path_factory.mktemp("formats")))) as opened:
        yield opened


@pytest.fixture(scope="module", autouse=True)
def project() -> Iterator[None]:
    """Let the module of the project be imported, as in a session at its root."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(PROJECT)
        yield
        sys.modules.pop("own_models", None)


def nearest() -> Any:
    """Give the class of models that the project declares."""
    return importlib.import_module("own_models").Nearest


def kept(name: str, workspace: Workspace) -> ServableVersion:
    """Give the version of a name, registered if no test of this worker did so yet."""
    try:
        return servable(workspace.service(Models).resolve("default", name))
    except NotFound:
        if name == "labels":
            fitted = LogisticRegression(max_iter=1000).fit(X, Y)
            graph = to_onnx(
                fitted, initial_types=[("x", DoubleTensorType([None, 4]))], options={"zipmap": False}
            )
            return noria.register(graph, name, x=X, y=Y, workspace=workspace)
        make, x, y = next(case for given, case in MODELS.items() if given.replace(" ", "-") == name)
        return noria.register(make(), name, x=x, y=y, holdout=(x, y), workspace=workspace)


def consented(workspace: Workspace, version: ServableVersion) -> ServableVersion:
    """Consent to the code of a version where it has any."""
    if not version.pickled:
        return version
    return servable(workspace.service(Consents).give("default", version.model, version.version))


@pytest.mark.filterwarnings("ignore:.*gblinear.*")
@pytest.mark.parametrize("name", MODELS)
def test_the_golden_batch_of_every_format_comes_back(name: str, workspace: Workspace, tmp_path: Path) -> None:
    """Predictions and probabilities of the loaded files are those of the model in memory, to the last bit."""
    make, x, y = MODELS[name]
    model = make()
    made = noria.register(model, name.replace(" ", "-"), x=x, y=y, holdout=(x, y), workspace=workspace)
    folder = fetch_version(workspace, made, cache=tmp_path)
    before = sorted(path.relative_to(folder) for path in folder.rglob("*"))
    loaded = load_model(folder, consented(workspace, made), fast=made.format in EXACT)
    batch = load_golden(folder)

    assert (made.format, loaded.engine) == (name.split(maxsplit=1)[0], "native")
    assert batch is not None
    found = compare_golden(batch, loaded.features(batch.inputs), loaded.predict(batch.inputs), tolerance=0.0)
    assert (found.n_rows, found.n_flips, found.largest_output_error) == (len(y), 0, 0.0)
    given = loaded.predict({"x": x})
    expected = model.predict({"x": x}) if name == "python-class" else {"predictions": model.predict(x)}
    if hasattr(model, "predict_proba"):
        expected["probabilities"] = model.predict_proba(x)
    assert given.keys() == expected.keys()
    for key, array in expected.items():
        np.testing.assert_array_equal(given[key], array)
    assert made.task is (Task.REGRESSION if y.dtype.kind == "f" else Task.CLASSIFICATION)
    assert made.classes == (None if y.dtype.kind == "f" else np.unique(y).tolist())
    assert sorted(path.relative_to(folder) for path in folder.rglob("*")) == before
    needed = (folder / "requirements.txt").read_text()
    assert all("==" in line for line in needed.splitlines())
    assert {"python-class": "numpy", "sklearn-skops": "skops"}.get(made.format, made.format) in needed


def test_columns_of_a_booster_are_found_by_their_names(workspace: Workspace) -> None:
    """A booster that knows names takes the columns in its own order, and answers with numbers of classes."""
    booster = made_booster()
    noria.register(booster, "named", x=COLUMNS, y=Y, workspace=workspace)
    expected = booster.inplace_predict(X[:, ::-1], validate_features=False)
    given = noria.model("named", workspace=workspace).predict(COLUMNS)

    np.testing.assert_array_equal(given, expected.argmax(axis=1))


def test_a_graph_alone_is_a_model(workspace: Workspace, tmp_path: Path) -> None:
    """A graph with labels and shares answers with these, one with scores with the number of the largest."""
    fitted = LogisticRegression(max_iter=1000).fit(X, Y)
    for name in ("labels", "shares"):
        graph = to_onnx(fitted, initial_types=[("x", DoubleTensorType([None, 4]))], options={"zipmap": False})
        if name == "shares":
            del graph.graph.output[0]
        made = noria.register(graph, name, x=X, y=Y, workspace=workspace)
        folder = fetch_version(workspace, made, cache=tmp_path / name)
        answer = load_model(folder, made).predict({"x": X})
        np.testing.assert_array_equal(answer["predictions"], fitted.predict(X))
        np.testing.assert_allclose(answer["probabilities"], fitted.predict_proba(X), atol=1e-6)
        assert (made.format, made.classes, made.task) == ("onnx", [0, 1, 2], Task.CLASSIFICATION)
        (folder / "model.onnx").write_bytes(b"no graph")
        with pytest.raises(Corrupt, match=r"model\.onnx"):
            load_model(folder, made)


@pytest.mark.parametrize(
    "name", ["sklearn-skops", "lightgbm-texts", "lightgbm-numbers", "xgboost", "xgboost-numbers", "labels"]
)
def test_a_model_goes_to_mlflows_format_and_back(name: str, workspace: Workspace, tmp_path: Path) -> None:
    """What was exported and imported again predicts the same, with the same classes, and needs no consent."""
    folder = tmp_path / "saved"
    kept(name, workspace)
    before = export_version(workspace, name, folder)
    after = import_folder(workspace, folder, f"{name}-back")
    with pytest.raises(Invalid, match="holds something already"):
        export_version(workspace, name, folder)
    batch = load_golden(fetch_version(workspace, before, cache=tmp_path))
    assert batch is not None
    loaded = load_model(folder, servable(after))
    found = compare_golden(batch, loaded.features(batch.inputs), loaded.predict(batch.inputs), tolerance=0.0)

    assert (after.format, after.pickled, after.task, after.classes) == (
        "mlflow",
        False,
        before.task,
        before.classes,
    )
    assert (found.n_flips, found.largest_output_error) == (0, 0.0)


def test_what_has_no_form_in_mlflows_format_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    """A class with code is not exported, and a folder without a model or signature is not imported."""
    kept("python-class", workspace)
    with pytest.raises(Invalid, match="`python-class`"):
        export_version(workspace, "python-class", tmp_path / "saved")
    for text, says in (
        (None, "no file `MLmodel`"),
        ("flavors: 5", "names no model"),
        (mlmodel_text(outputs=[], inputs=[]), "no signature"),
    ):
        if text is not None:
            (tmp_path / "MLmodel").write_text(text)
        with pytest.raises(Invalid, match=says):
            import_folder(workspace, tmp_path, "imported")


@pytest.mark.parametrize(
    ("make", "x", "says"),
    [
        (lambda: lightgbm.LGBMRegressor(**QUIET, **FEW).fit(X, Y), {"colour": TEXTS}, "`colour` is text"),
        (
            lambda: lightgbm.LGBMRegressor(
                **QUIET, **FEW, objective=lambda y, p: (p - y, np.ones(len(y)))
            ).fit(X, Y),
            X,
            "objective of your own",
        ),
        (lambda: xgboost.XGBClassifier(**FEW, objective="multi:softmax").fit(X, Y), X, "no probabilities"),
        (lambda: xgboost.XGBClassifier(**FEW).fit(X, np.column_stack([Y > 0, Y > 1])), X, "several classes"),
        (object, X, "has no `predict`"),
        (lambda: xgboost.XGBRegressor(**FEW).fit(X, Y), X[:, :2], "does not predict the rows"),
    ],
)
def test_what_could_not_be_served_is_refused(make: Any, x: Any, says: str, workspace: Workspace) -> None:
    """With the reason, before anything is stored."""
    with pytest.raises(Invalid, match=says):
        noria.register(make(), "refused", x=x, y=Y, workspace=workspace)


def test_code_is_run_after_a_consent_only(workspace: Workspace, tmp_path: Path) -> None:
    """A class's code is loaded apart from modules of the same name, and writes nothing beside itself."""
    model = nearest()(X[:3])
    made = noria.register(model, "own", x=X, y=Y, workspace=workspace)
    with pytest.raises(ConsentMissing, match="class with its code") as refused:
        noria.model("own", workspace=workspace)
    assert "`noria models consent own@1 --project default`" in (refused.value.hint or "")
    made = consented(workspace, made)
    here = sys.modules["own_models"]
    np.testing.assert_array_equal(
        noria.model("own", workspace=workspace).predict(X), model.predict({"x": X})["predictions"]
    )
    assert sys.modules["own_models"] is here

    folder = fetch_version(workspace, made, cache=tmp_path)
    code = folder / "code" / "own_models.py"
    code.write_text(code.read_text().replace("import yaml", "import yamllll"))
    with pytest.raises(DistributionMissing, match=r"needs `yamllll`") as missing:
        load_model(folder, made)
    assert missing.value.hint == "Install it: pip install 'yamllll'"
    code.write_text("raise KeyError('no')")
    with pytest.raises(Failed, match="raised while it was loaded: KeyError"):
        load_model(folder, made)
    (folder / "python_class.json").write_text("{}")
    with pytest.raises(Corrupt, match=r"python_class\.json"):
        load_model(folder, made)


def test_a_class_that_no_file_declares_is_refused(workspace: Workspace) -> None:
    """Its code could not be kept; and one that comes back as another is described as what comes back."""

    class Inside(nearest()):  # type: ignore[misc]
        pass

    with pytest.raises(Invalid, match="inside of a function"):
        noria.register(Inside(X[:3]), "inside", x=X, y=Y, workspace=workspace)


@pytest.mark.parametrize(("kind", "file"), [("lightgbm", "model.lgb.txt"), ("xgboost", "model.ubj")])
def test_a_damaged_or_unsupported_file_is_named(
    kind: str, file: str, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes that a library does not read, and a library that is not there, are told apart."""
    made = kept(kind, workspace)
    folder = fetch_version(workspace, made, cache=tmp_path)
    (folder / file).write_bytes(b"tree\nversion=v4\nnot a model")
    with pytest.raises(Corrupt, match=file):
        load_model(folder, made)
    monkeypatch.setitem(sys.modules, kind, None)  # as if it were not installed
    with pytest.raises(DistributionMissing) as missing:
        load_model(folder, made)
    assert f"pip install '{kind}" in (missing.value.hint or "")
