"""Train a fitted model on from where it stands, by new rows: what libraries call a warm start. Worker only.

Which models can, and how:

- scikit-learn's `partial_fit`: `N_PASSES` over the rows for models that take steps along a gradient, and one for those
  that count, of which each row shall count once.
- scikit-learn's ensembles with `warm_start`: averaged trees get as many again, so that old and new ones have the same
  say; boosted ones a quarter as many, which correct what the old ones say.
- LightGBM by `init_model` and XGBoost by `xgb_model`: a quarter as many rounds again.

Models that converge to the same wherever they begin (logistic regression, ridge, support vectors) are not trained on:
they would become what a fit on the new rows alone gives. Neither are histogram boosters of scikit-learn, which cut
columns anew at each fit, so that their old trees would not be understood.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.core.errors import Invalid
from noria.registry.entities import ServableVersion
from noria.registry.runtimes.lightgbm import LightgbmModel
from noria.registry.runtimes.sklearn import SklearnModel
from noria.registry.runtimes.xgboost import XgboostModel

Arrays = dict[str, NDArray[Any]]

N_PASSES = 5
_SHARE_OF_ROUNDS = 0.25
_FEWEST_ROUNDS = 10
_OF_LIGHTGBM = (
    *("objective", "num_class", "sigmoid", "boosting", "learning_rate", "num_leaves", "max_depth"),
    *("min_data_in_leaf", "min_sum_hessian_in_leaf", "lambda_l1", "lambda_l2", "min_gain_to_split"),
    *("feature_fraction", "bagging_fraction", "bagging_freq", "max_bin", "seed", "alpha"),
)


def trained_on(folder: Path, version: ServableVersion, inputs: Arrays, labels: NDArray[Any]) -> Any:
    """Give the model of a version, trained on by rows.

    Parameters
    ----------
    folder
        Files of the version.
    labels : ndarray, shape (n_rows,)
        Of classes that the model knows, in its own type.

    Raises
    ------
    Invalid
        If a model of its kind cannot be trained on, or not by these rows.
    """
    if version.format == SklearnModel.format:
        loaded = SklearnModel.load(folder, version)
        return continued(loaded.estimator, loaded.rows(inputs), labels)
    if version.format == LightgbmModel.format:
        return _lightgbm(folder, version, inputs, labels)
    if version.format == XgboostModel.format:
        return _xgboost(folder, version, inputs, labels)
    raise Invalid(f"A model of the format `{version.format}` cannot be trained on from where it stands")


def continued(estimator: Any, rows: Any, labels: NDArray[Any]) -> Any:
    """Train an estimator of scikit-learn on, in place; of a pipeline its last step, behind the others as they are.

    Examples
    --------
    >>> from sklearn.linear_model import SGDRegressor
    >>> x = np.arange(40.0).reshape(-1, 1) / 40
    >>> fitted = SGDRegressor(random_state=0).fit(x, x[:, 0])
    >>> before = float(fitted.predict([[0.5]])[0])
    >>> bool(continued(fitted, x, x[:, 0] + 10).predict([[0.5]])[0] > before + 1)
    True
    """
    steps = getattr(estimator, "steps", None)
    last, seen = estimator, rows
    if steps is not None:
        last = steps[-1][1]
        seen = estimator[:-1].transform(rows) if len(steps) > 1 else rows
    if hasattr(last, "partial_fit"):
        for _ in range(N_PASSES if hasattr(last, "max_iter") else 1):
            last.partial_fit(seen, labels)
    elif _grows(last):
        _check_classes(getattr(last, "classes_", None), labels)
        n_trees = last.n_estimators
        more = _more_rounds(n_trees) if hasattr(last, "learning_rate") else n_trees
        last.set_params(warm_start=True, n_estimators=n_trees + more).fit(seen, labels)
    else:
        raise Invalid(f"A `{type(last).__name__}` cannot be trained on from where it stands")
    return estimator


def _grows(estimator: Any) -> bool:
    known = estimator.get_params(deep=False) if hasattr(estimator, "get_params") else {}
    return {"warm_start", "n_estimators"} <= known.keys() and hasattr(estimator, "estimators_")


def _lightgbm(folder: Path, version: ServableVersion, inputs: Arrays, labels: NDArray[Any]) -> Any:
    import lightgbm

    from noria.registry.runtimes.lightgbm import FILE, read_booster

    loaded, booster = LightgbmModel.load(folder, version), read_booster(folder / FILE)
    rows = lightgbm.Dataset(
        loaded.features(inputs),
        label=_codes(version.classes, labels),
        feature_name=booster.feature_name(),
        params={"verbosity": -1},
    )
    kept = {name: booster.params[name] for name in _OF_LIGHTGBM if name in booster.params}
    grown = lightgbm.train(
        {**kept, "verbosity": -1},
        rows,
        num_boost_round=_more_rounds(booster.current_iteration()),
        init_model=booster,
    )
    if version.classes is not None:
        grown.classes_ = np.asarray(version.classes)  # type: ignore[attr-defined]  # by which it is registered
    return grown


def _xgboost(folder: Path, version: ServableVersion, inputs: Arrays, labels: NDArray[Any]) -> Any:
    import xgboost

    from noria.registry.runtimes.xgboost import FILE, read_booster

    loaded, booster = XgboostModel.load(folder, version), read_booster(folder / FILE)
    best = booster.attr("best_iteration")
    if best is not None:  # what came after it was not served
        booster = booster[: int(best) + 1]
        booster.set_attr(best_iteration=None, best_score=None)
    rows = xgboost.DMatrix(
        loaded.features(inputs), label=_codes(version.classes, labels), feature_names=booster.feature_names
    )
    n_rounds = _more_rounds(booster.num_boosted_rounds())
    return xgboost.train({"verbosity": 0}, rows, num_boost_round=n_rounds, xgb_model=booster)


def _codes(classes: Sequence[Any] | None, labels: NDArray[Any]) -> NDArray[Any]:
    """Give labels as the numbers by which boosters know classes."""
    if classes is None:
        return labels.astype(np.float64)
    _check_classes(classes, labels)
    numbers = {value: number for number, value in enumerate(classes)}
    return np.array([numbers[label] for label in labels.tolist()], dtype=np.float64)


def _check_classes(classes: Any, labels: NDArray[Any]) -> None:
    """See that rows have every class: what grows by them would not know the others any more."""
    if classes is None:
        return
    came = set(labels.tolist())
    missing = [each for each in np.asarray(classes).tolist() if each not in came]
    if missing:
        raise Invalid(f"No labelled row since the onset is of the class {missing[0]}, which it would forget")


def _more_rounds(n_rounds: int) -> int:
    return max(_FEWEST_ROUNDS, round(_SHARE_OF_ROUNDS * n_rounds))
