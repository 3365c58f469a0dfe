"""Calibration of probabilities, held to scikit-learn's own and to what it is for."""

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss
from sklearn.naive_bayes import GaussianNB

from noria.core.errors import Invalid
from noria.core.stats.calibration import fit_calibrator, resampled_calibrators


def _sharp(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Give probabilities of a model that is too sure, and labels."""
    true = rng.random(n)
    too_sure = true**3 / (true**3 + (1 - true) ** 3)
    return np.column_stack([1 - too_sure, too_sure]), (rng.random(n) < true).astype(np.int64)


@pytest.mark.parametrize(("n", "method"), [(400, "platt"), (4000, "isotonic")])
def test_a_model_that_is_too_sure_is_made_true(n: int, method: str) -> None:
    """Of fresh rows that are given 0.6 to 0.8 some seven in ten are positive, whatever the model said."""
    rng = np.random.default_rng(1)
    probabilities, labels = _sharp(rng, n)
    calibrator = fit_calibrator(probabilities, labels)
    fresh, known = _sharp(rng, 50_000)
    made = calibrator(fresh)
    between = (made[:, 1] > 0.6) & (made[:, 1] < 0.8)

    assert calibrator.method == method
    assert known[between].mean() == pytest.approx(made[between, 1].mean(), abs=0.04)
    assert np.allclose(made.sum(axis=1), 1.0)


def test_isotonic_calibration_is_that_of_scikit_learn_but_for_its_ends() -> None:
    """Probabilities between 0 and 1 are those of `CalibratedClassifierCV`; what it calls certain is nearly so."""
    x, y = load_digits(return_X_y=True)
    x, y = x[y < 2], y[y < 2]
    x = x + np.random.default_rng(0).normal(scale=20, size=x.shape)
    model = GaussianNB().fit(x[:100], y[:100])
    probabilities = model.predict_proba(x[100:])
    ours = fit_calibrator(probabilities, y[100:], method="isotonic")(probabilities)[:, 1]
    other = CalibratedClassifierCV(FrozenEstimator(model), method="isotonic").fit(x[100:], y[100:])
    theirs = other.predict_proba(x[100:])[:, 1]
    inner = (theirs > 0) & (theirs < 1)

    assert inner.sum() > 100
    assert np.allclose(ours[inner], theirs[inner])
    assert np.abs(ours - theirs).max() < 0.3
    assert 0 < ours.min() <= ours.max() < 1


def test_the_temperature_is_the_one_of_least_loss() -> None:
    """No power on a fine grid gives a smaller log loss on the rows it was learnt on, and loss falls further after."""
    x, y = load_digits(return_X_y=True)
    model = GaussianNB().fit(x[:600], y[:600])
    probabilities = model.predict_proba(x[600:])
    found = fit_calibrator(probabilities, y[600:])
    logs = np.log(np.clip(probabilities, 1e-6, 1))
    losses = [log_loss(y[600:], _powered(logs, power)) for power in np.linspace(0.01, 1.5, 300)]

    assert log_loss(y[600:], _powered(logs, found.sharpness)) == pytest.approx(min(losses), abs=1e-3)
    assert log_loss(y[600:], found(probabilities)) < 0.7 * log_loss(y[600:], probabilities)
    assert found(probabilities).max(axis=1).mean() == pytest.approx(
        np.mean(model.predict(x[600:]) == y[600:]), abs=0.01
    )


def _powered(logs: np.ndarray, power: float) -> np.ndarray:
    powers = np.exp(power * logs)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_model_that_made_no_mistake_is_not_called_infallible(n_classes: int) -> None:
    """Right and sure on 200 rows means nearly certain, not certain."""
    labels = np.arange(200) % n_classes
    probabilities = np.eye(n_classes)[labels]
    made = fit_calibrator(probabilities, labels)(probabilities)

    assert 0.97 < made.max(axis=1).min() <= made.max() < 1


def test_resamples_that_miss_a_class_calibrate_all_the_same() -> None:
    """With one positive row in a hundred, some resamples have none."""
    rng = np.random.default_rng(3)
    probabilities, labels = _sharp(rng, 100)
    labels[:] = 0
    labels[7] = 1
    found = resampled_calibrators(probabilities, labels, method="platt", n=30, rng=rng)

    assert all(np.isfinite(each(probabilities)).all() for each in found)


@pytest.mark.parametrize(
    ("probabilities", "labels", "said"),
    [
        (np.full((30, 2), 0.5), np.zeros(30, int), "one class"),
        (np.full((30, 1), 0.5), np.arange(30) % 2, "two classes"),
        (np.full((30, 2), 0.5), np.arange(29) % 2, "29 labels"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(
    probabilities: np.ndarray, labels: np.ndarray, said: str
) -> None:
    """The message says what is wrong."""
    with pytest.raises(Invalid, match=said):
        fit_calibrator(probabilities, labels)
