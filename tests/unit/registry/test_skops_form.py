"""Files of skops in one form: equal estimators give equal bytes."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from noria.registry.runtimes.sklearn import load_estimator, save_estimator


@pytest.mark.parametrize(
    "make",
    [
        lambda: make_pipeline(FunctionTransformer(np.log1p), StandardScaler(), LogisticRegression()),
        lambda: RandomForestClassifier(n_estimators=5, random_state=0),
        lambda: HistGradientBoostingClassifier(max_iter=5, random_state=0),
    ],
)
def test_estimators_that_were_fitted_alike_give_the_same_file(tmp_path: Path, make: Any) -> None:
    """Fitted twice on the same rows, an estimator is the same bytes, which load to the same predictions."""
    x, y = load_iris(return_X_y=True)
    kept = []  # so that the second one cannot lie where the first one lay in memory
    for name in ("a.skops", "b.skops"):
        fitted = make().fit(x, y)
        save_estimator(fitted, tmp_path / name)
        kept.append(fitted)
    assert (tmp_path / "a.skops").read_bytes() == (tmp_path / "b.skops").read_bytes()
    loaded = load_estimator(tmp_path / "a.skops")
    np.testing.assert_array_equal(loaded.predict(x), kept[0].predict(x))
    with zipfile.ZipFile(tmp_path / "a.skops") as opened:
        assert {member.date_time for member in opened.infolist()} == {(1980, 1, 1, 0, 0, 0)}
