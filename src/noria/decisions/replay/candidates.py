"""The handful of models that a plain search for a new one tries, on whatever features the pipeline gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

CANDIDATES = ("boosting", "forest", "linear")
KINDS = (*CANDIDATES, "network", "neighbours")
"""What a search that has records of similar problems to begin with chooses from."""

_SEED = 0
_N_TREES = 80
_FEWEST_ROUNDS = 20
_N_PASSES = 200
_N_NEIGHBOURS = 15


def fit_candidate(name: str, features: pl.DataFrame, target: pl.Series) -> Any:
    """Fit one of `CANDIDATES`; a target of floats makes it a regression."""
    classifies = not target.dtype.is_float()
    n_classes = target.n_unique() if classifies else 0
    model = Numbers(estimator_of(name, n_classes=n_classes), features)
    return model.fit(features, target.to_numpy())


class Numbers:
    """An estimator behind columns made numbers: codes for texts, as the fitted rows had them."""

    def __init__(self, estimator: Any, features: pl.DataFrame) -> None:
        self._estimator = estimator
        self._codes = {
            name: {value: code for code, value in enumerate(features[name].cast(str).unique().sort())}
            for name in features.columns
            if not (features[name].dtype.is_numeric() or str(features[name].dtype) == "Boolean")
        }

    def fit(self, features: pl.DataFrame, target: NDArray[Any]) -> Numbers:
        """Fit the estimator."""
        self._estimator.fit(self._numbers(features), target)
        if hasattr(self._estimator, "classes_"):
            self.classes_ = self._estimator.classes_
            self.predict_proba = lambda rows: self._estimator.predict_proba(self._numbers(rows))
        return self

    def predict(self, features: pl.DataFrame) -> Any:
        """Predict rows."""
        return self._estimator.predict(self._numbers(features))

    def _numbers(self, features: pl.DataFrame) -> NDArray[np.float64]:
        columns = [self._column(features, name) for name in features.columns]
        found = np.column_stack(columns)
        found[~np.isfinite(found)] = np.nan
        return found

    def _column(self, features: pl.DataFrame, name: str) -> NDArray[np.float64]:
        if name not in self._codes:
            return features[name].cast(float).to_numpy().astype(np.float64)
        codes = self._codes[name]
        return np.array([codes.get(value, -1) for value in features[name].cast(str)], dtype=np.float64)


def estimator_of(name: str, *, n_classes: int) -> Any:
    """Make one of `KINDS`; without classes, one for numbers."""
    from sklearn import ensemble, impute, linear_model, neighbors, neural_network, pipeline, preprocessing

    classifies = n_classes > 0
    if name == "boosting":
        # Each round fits a tree for each class.
        n_rounds = _N_TREES if n_classes <= 2 else max(_FEWEST_ROUNDS, 2 * _N_TREES // n_classes)
        boosted = (
            ensemble.HistGradientBoostingClassifier if classifies else ensemble.HistGradientBoostingRegressor
        )
        return boosted(max_iter=n_rounds, learning_rate=0.1, random_state=_SEED)
    if name == "forest":
        forest = ensemble.ExtraTreesClassifier if classifies else ensemble.ExtraTreesRegressor
        model: Any = forest(n_estimators=60, min_samples_leaf=2, random_state=_SEED)
    elif name == "network":
        network = neural_network.MLPClassifier if classifies else neural_network.MLPRegressor
        model = network(hidden_layer_sizes=(64,), max_iter=_N_PASSES, random_state=_SEED)
    elif name == "neighbours":
        near = neighbors.KNeighborsClassifier if classifies else neighbors.KNeighborsRegressor
        model = near(n_neighbors=_N_NEIGHBOURS, weights="distance")
    else:
        model = linear_model.LogisticRegression(max_iter=500) if classifies else linear_model.Ridge()
    return pipeline.make_pipeline(
        impute.SimpleImputer(keep_empty_features=True), preprocessing.StandardScaler(), model
    )
