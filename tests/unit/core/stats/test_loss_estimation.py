"""Estimates of a regression's error without labels, on real rows and at the edges."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression

from noria.core.errors import Invalid
from noria.core.stats.loss_estimation import LossModel, estimate_loss, fit_loss_model


def _noisy(
    rng: np.random.Generator, n: int, high: float = 1.0
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Give rows whose errors grow with an input: mean absolute error 2 x at x."""
    x = rng.uniform(0.1, high, size=n)
    kind = np.where(x > 0.5, "wide", "narrow")
    return {"x": x, "kind": kind}, np.zeros(n), rng.normal(scale=2 * x * np.sqrt(np.pi / 2))


@pytest.fixture(scope="module")
def model() -> LossModel:
    inputs, predicted, actual = _noisy(np.random.default_rng(0), 1500)
    return fit_loss_model(inputs, predicted, actual, rng=np.random.default_rng(1))


def test_the_estimate_follows_where_the_rows_are(model: LossModel) -> None:
    """Rows with large inputs are estimated to have large errors; the closed form lies in 95 % of windows, or nearly."""
    rng = np.random.default_rng(2)
    n_held = 0
    for _ in range(40):
        inputs, predicted, actual = _noisy(rng, 200)
        found = estimate_loss(model, inputs, predicted, rng=rng)
        n_held += found.low <= np.abs(actual).mean() <= found.high
    wide = {"x": np.full(200, 0.9), "kind": np.full(200, "wide")}
    narrow = {"x": np.full(200, 0.2), "kind": np.full(200, "narrow")}

    assert n_held >= 34  # 0.95 of 40 less three standard errors
    assert estimate_loss(model, wide, np.zeros(200), rng=rng).value == pytest.approx(1.8, rel=0.15)
    assert estimate_loss(model, narrow, np.zeros(200), rng=rng).value == pytest.approx(0.4, rel=0.25)


def test_real_rows_that_moved_are_estimated() -> None:
    """Diabetes: windows with a high or a low body mass have the error that the model of the loss expects."""
    x, y = load_diabetes(return_X_y=True)
    order = np.random.default_rng(8).permutation(len(y))
    train, held, live = np.split(order, [100, 300])
    line = LinearRegression().fit(x[train], y[train])
    rng = np.random.default_rng(2)
    columns = {f"x{i}": x[held, i] for i in range(x.shape[1])}
    loss = fit_loss_model(columns, line.predict(x[held]), y[held], rng=rng)
    for rows in (live, live[x[live, 2] > 0], live[x[live, 2] <= 0]):
        found = estimate_loss(loss, {f"x{i}": x[rows, i] for i in range(10)}, line.predict(x[rows]), rng=rng)
        assert found.low <= np.abs(y[rows] - line.predict(x[rows])).mean() <= found.high


def test_missing_columns_unknown_categories_and_infinities_are_taken(model: LossModel) -> None:
    """A column that is gone counts as missing, and so does a category that was never seen."""
    odd = {"x": np.array([np.nan, np.inf, -np.inf] * 10), "kind": np.array(["new"] * 30)}
    rng = np.random.default_rng(0)

    assert np.isfinite(estimate_loss(model, odd, np.zeros(30), rng=rng).value)
    assert np.isfinite(estimate_loss(model, {}, np.zeros(30), rng=rng).value)


def test_a_model_that_was_never_wrong_is_expected_not_to_be() -> None:
    """Its estimated error is 0."""
    x = np.arange(200.0)
    never = fit_loss_model({"x": x}, x, x, rng=np.random.default_rng(0))

    assert estimate_loss(never, {"x": x}, x, rng=np.random.default_rng(0)).value == 0.0


def test_what_is_no_number_is_refused(model: LossModel) -> None:
    """NaN and infinite predictions, no rows, and too many columns are named."""
    rng = np.random.default_rng(0)
    x = np.arange(120.0)
    with pytest.raises(Invalid, match="100 columns, and there are 101"):
        fit_loss_model({f"x{i}": x for i in range(101)}, x, x, rng=rng)
    with pytest.raises(Invalid, match="no prediction or no target"):
        fit_loss_model({"x": x}, x, np.where(x > 100, np.nan, x), rng=rng)
    with pytest.raises(Invalid, match="1 rows have no prediction"):
        estimate_loss(model, {}, np.array([1.0, np.nan]), rng=rng)
    with pytest.raises(Invalid, match="no values"):
        estimate_loss(model, {}, np.array([]), rng=rng)
