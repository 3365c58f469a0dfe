"""Train several classifiers of handwritten digits, register the best, and say why it was chosen.

noria run digits_pipeline:train -p dataset=digits-train@1
"""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import noria

CANDIDATES = ("logistic regression", "support vectors", "extra trees")


@noria.step
def split(
    x: np.ndarray, y: np.ndarray, seed: int, share: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Keep `share` of the images apart, the same share of each digit."""
    return tuple(train_test_split(x, y, test_size=share, random_state=seed, stratify=y))


@noria.step
def fit(candidate: str, x: np.ndarray, y: np.ndarray, seed: int) -> BaseEstimator:
    """Fit one candidate."""
    estimators = {
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000)),
        "extra trees": ExtraTreesClassifier(100, random_state=seed),
        "support vectors": make_pipeline(StandardScaler(with_std=False), SVC(C=10.0, gamma=0.0005)),
    }
    return estimators[candidate].fit(x, y)


@noria.step
def accuracy(model: BaseEstimator, x: np.ndarray, y: np.ndarray) -> float:
    """Give the share of images that the model names rightly."""
    return float(model.score(x, y))


@noria.pipeline
def train(dataset: str, model: str = "digits", seed: int = 0, holdout: float = 0.2, only: str = "") -> str:
    """Fit every candidate, register the one that is best on the held-out images, and give its reference.

    The dataset holds the digits as `y`, and what the model takes: the pixels as `x`, or measures as columns. `only`
    names the one candidate to fit.
    """
    candidates = [only] if only else list(CANDIDATES)
    arrays = noria.dataset(dataset).arrays()
    names = [name for name in arrays if name != "y"]
    x, x_held, y, y_held = split(side_by_side(arrays, names), arrays["y"], seed, holdout)
    fitted = {name: fit(name, x, y, seed) for name in candidates}
    scores = {name: float(accuracy(fitted[name], x_held, y_held)) for name in candidates}
    best = max(scores, key=scores.__getitem__)
    noria.log({f"accuracy {name}": score for name, score in scores.items()})
    version = noria.register(
        fitted[best],
        model,
        x=as_inputs(x, names),
        y=y,
        holdout=(as_inputs(x_held, names), y_held),
        metrics={"accuracy": scores[best]},
        message=f"{best}: accuracy {scores[best]:.3f} on {len(y_held)} held-out images",
    )
    noria.choose(
        version.ref,
        candidates={name: {"accuracy": score} for name, score in scores.items()},
        choice=best,
        reason=f"highest accuracy on {len(y_held)} held-out images",
    )
    return version.ref


def side_by_side(arrays: dict[str, np.ndarray], names: list[str]) -> np.ndarray:
    """Give inputs as one matrix, shape (n, width)."""
    return np.hstack([arrays[name].reshape(len(arrays[name]), -1) for name in names])


def as_inputs(rows: np.ndarray, names: list[str]) -> dict[str, np.ndarray]:
    """Give a matrix back as inputs: one input is all of it, several are a column each."""
    rows = np.asarray(rows)
    return {names[0]: rows} if len(names) == 1 else {name: rows[:, i] for i, name in enumerate(names)}
