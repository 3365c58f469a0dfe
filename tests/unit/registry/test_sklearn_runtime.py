"""scikit-learn estimators: saved, checked and loaded without running others' code."""

from __future__ import annotations

import io
import json
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import SelectKBest, mutual_info_classif
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF, Matern, WhiteKernel
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier, TweedieRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    PolynomialFeatures,
    QuantileTransformer,
    SplineTransformer,
    StandardScaler,
)
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from noria.core.errors import Corrupt, Invalid
from noria.registry.entities import Signature, Task, TensorSpec
from noria.registry.runtimes.sklearn import (
    FILE,
    SklearnModel,
    UntrustedTypes,
    is_trusted,
    load_estimator,
    save_estimator,
    to_matrix,
)

X, Y = load_iris(return_X_y=True)
SIGNATURE = Signature(inputs=[TensorSpec(name="x", datatype="FP64", shape=[-1, 4])], outputs=[])

ESTIMATORS: dict[str, Any] = {
    "logistic": LogisticRegression(max_iter=1000),
    "linear": LinearRegression(),
    "tweedie": TweedieRegressor(power=0),
    "sgd": SGDClassifier(loss="log_loss", random_state=0),
    "bayes": GaussianNB(),
    "svc": SVC(),
    "tree": DecisionTreeClassifier(),
    "forest": RandomForestClassifier(5, random_state=0),
    "forest of numbers": RandomForestRegressor(5, random_state=0),
    "extra trees": ExtraTreesClassifier(5, random_state=0),
    "isolation": IsolationForest(n_estimators=5, random_state=0),
    "boosting": GradientBoostingClassifier(n_estimators=3),
    "boosting of numbers": GradientBoostingRegressor(n_estimators=3, loss="huber"),
    "histograms": HistGradientBoostingClassifier(max_iter=3),
    "histograms of numbers": HistGradientBoostingRegressor(max_iter=3, loss="poisson"),
    "ada": AdaBoostClassifier(n_estimators=3),
    "bagging": BaggingClassifier(n_estimators=3, random_state=0),
    "neighbours": KNeighborsClassifier(),
    "neighbours by balls": KNeighborsRegressor(algorithm="ball_tree", metric="manhattan"),
    "gaussian process": GaussianProcessClassifier(Matern() + WhiteKernel() * RBF(), optimizer=None),
    "network": MLPClassifier(max_iter=5, random_state=0),
    "stack": StackingClassifier([("a", GaussianNB()), ("b", DecisionTreeClassifier())]),
    "vote": VotingClassifier([("a", GaussianNB())]),
    "calibrated": CalibratedClassifierCV(LogisticRegression(max_iter=1000)),
    "calibrated isotonic": CalibratedClassifierCV(GaussianNB(), method="isotonic"),
    "search": GridSearchCV(GaussianNB(), {"var_smoothing": [1e-9, 1e-8]}),
    "target": TransformedTargetRegressor(LinearRegression(), func=np.log1p, inverse_func=np.expm1),
    "pipeline": make_pipeline(StandardScaler(), PCA(2), LogisticRegression()),
    "function": make_pipeline(FunctionTransformer(np.log1p), LogisticRegression(max_iter=1000)),
    "splines": make_pipeline(SplineTransformer(), LogisticRegression(max_iter=2000)),
    "quantiles": make_pipeline(QuantileTransformer(n_quantiles=10), LogisticRegression(max_iter=1000)),
    "selection": make_pipeline(SelectKBest(mutual_info_classif, k=2), GaussianNB()),
    "imputers": make_pipeline(SimpleImputer(), KNNImputer(), PolynomialFeatures(2), GaussianNB()),
    "columns": make_pipeline(
        ColumnTransformer(
            [("a", StandardScaler(), [0, 1]), ("b", OneHotEncoder(handle_unknown="ignore"), [3])]
        ),
        LogisticRegression(max_iter=1000),
    ),
}


def fitted(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ESTIMATORS[name].fit(X, Y)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimators_come_back_equal(name: str, tmp_path: Path) -> None:
    """What scikit-learn fits is saved, trusted and loaded, and predicts the same to the last bit."""
    estimator = fitted(name)
    save_estimator(estimator, tmp_path / FILE)
    loaded = SklearnModel(load_estimator(tmp_path / FILE), SIGNATURE)

    np.testing.assert_array_equal(loaded.predict({"x": X})["predictions"], estimator.predict(X))
    if hasattr(estimator, "predict_proba"):
        np.testing.assert_array_equal(loaded.predict({"x": X})["probabilities"], estimator.predict_proba(X))


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("logistic", Task.CLASSIFICATION),
        ("columns", Task.CLASSIFICATION),
        ("search", Task.CLASSIFICATION),
        ("forest of numbers", Task.REGRESSION),
        ("isolation", None),
    ],
)
def test_an_estimator_says_what_it_is_for(name: str, task: Task | None) -> None:
    """The task is the estimator's own, whatever the type of the target was."""
    assert SklearnModel(fitted(name), SIGNATURE).task is task


def test_features_are_what_the_last_step_sees(tmp_path: Path) -> None:
    """All steps but the last make the features, dense; a single estimator sees the inputs."""
    pipeline = fitted("columns")
    expected = sparse.csr_matrix(pipeline[:-1].transform(X)).toarray()

    np.testing.assert_array_equal(SklearnModel(pipeline, SIGNATURE).features({"x": X}), expected)
    np.testing.assert_array_equal(SklearnModel(fitted("tree"), SIGNATURE).features({"x": X}), X)


def test_inputs_are_set_side_by_side_in_the_order_of_the_signature() -> None:
    """Columns of the matrix follow the signature; further axes are flattened; texts make it one of objects."""
    matrix = to_matrix([np.arange(8.0).reshape(2, 2, 2), np.array([9.0, 8.0])])
    np.testing.assert_array_equal(matrix, [[0, 1, 2, 3, 9], [4, 5, 6, 7, 8]])
    mixed = to_matrix([np.array([1.5, 2.5]), np.array(["a", "b"])])

    assert mixed.dtype == object
    assert mixed.tolist() == [[1.5, "a"], [2.5, "b"]]


class OwnModel(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A class that only this test knows."""

    def fit(self, x: Any, y: Any) -> OwnModel:
        self.classes_ = np.unique(y)
        return self

    def predict(self, x: Any) -> Any:
        return np.full(len(x), self.classes_[0])


def own_function(x: Any) -> Any:
    return x


@pytest.mark.parametrize(
    ("estimator", "named"),
    [
        (OwnModel().fit(X, Y), "OwnModel"),
        (make_pipeline(FunctionTransformer(own_function), GaussianNB()).fit(X, Y), "own_function"),
        (make_pipeline(OwnModel()).fit(X, Y), "OwnModel"),
    ],
)
def test_types_of_others_are_refused_by_name(estimator: Any, named: str, tmp_path: Path) -> None:
    """A model with a class or function of the user's own is refused, with its name and the mend."""
    with pytest.raises(UntrustedTypes, match=named) as caught:
        save_estimator(estimator, tmp_path / FILE)

    assert caught.value.hint is not None
    assert any(named in name for name in caught.value.details["types"])


@pytest.mark.parametrize("function", [np.load, np.fromfile, np.save, eval, exec, pickle.loads, print, Path])
def test_functions_that_touch_the_machine_are_refused(function: Any, tmp_path: Path) -> None:
    """Not everything in NumPy is arithmetic: what reads, writes or runs is not loaded as part of a model."""
    transformer = FunctionTransformer(np.log1p)
    transformer.func = function
    skops.io.dump(transformer, tmp_path / FILE)

    with pytest.raises(UntrustedTypes):
        load_estimator(tmp_path / FILE)


@pytest.mark.parametrize(
    "name",
    [
        "numpy.load",
        "numpy.testing.runstring",
        "scipy.io.loadmat",
        "sklearn.datasets.fetch_openml",
        "sklearn.externals._numpydoc.docscrape.Reader",
        "sklearn.metrics._scorer.partial",
        "sklearn.metrics._scorer.nothing",
        "sklearn.metrics._scorer",
        "sklearn.treehouse._tree.Tree",
        "os.system",
        "builtins.eval",
        "",
    ],
)
def test_trust_is_given_to_named_modules_own_types(name: str) -> None:
    """Neither a whole package, nor what a trusted module has imported, nor a similar name is trusted."""
    assert not is_trusted(name)


def test_trusted_types_are_there() -> None:
    """Common ones are trusted, or nothing could be registered."""
    assert is_trusted("sklearn.tree._tree.Tree")
    assert is_trusted("sklearn.neighbors._kd_tree.KDTree")
    assert is_trusted("sklearn.gaussian_process.kernels.RBF")


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    """A file that is a pickle, whatever its name, is refused unread."""
    path = tmp_path / FILE
    path.write_bytes(pickle.dumps(fitted("tree")))

    with pytest.raises(Corrupt, match="is not a model file"):
        load_estimator(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"garbage", b"PK\x05\x06" + b"\x00" * 18],
)
def test_a_damaged_file_says_so(content: bytes, tmp_path: Path) -> None:
    """What skops did not write is damaged, not a crash."""
    path = tmp_path / FILE
    path.write_bytes(content)

    with pytest.raises((Corrupt, Invalid)):
        load_estimator(path)


def test_a_file_with_a_broken_schema_says_so(tmp_path: Path) -> None:
    """A zip whose schema is cut, or names nothing, is damaged."""
    for schema in ("{", "{}", json.dumps({"__class__": "x"})):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("schema.json", schema)
        path = tmp_path / FILE
        path.write_bytes(buffer.getvalue())
        with pytest.raises((Corrupt, Invalid)):
            load_estimator(path)
