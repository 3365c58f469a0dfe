"""Train classifiers of handwritten digits that tell how sure they are, for the page to draw on.

noria run page_pipeline:train -p dataset=digits-scans@1
"""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

import noria

CANDIDATES = ("logistic regression", "extra trees", "neural network")
MANY_IMAGES = 10_000


@noria.step
def fit(candidate: str, x: np.ndarray, y: np.ndarray, seed: int) -> BaseEstimator:
    """Fit one candidate; with many images, fewer passes over them do."""
    many = len(y) > MANY_IMAGES
    estimators = {
        "logistic regression": LogisticRegression(
            C=0.1 if many else 1.0, max_iter=1000, tol=1e-2 if many else 1e-4
        ),
        "extra trees": ExtraTreesClassifier(30 if many else 100, random_state=seed),
        "neural network": MLPClassifier(
            (128,),
            max_iter=10 if many else 60,
            learning_rate_init=0.001 if many else 0.005,
            batch_size=256 if many else "auto",
            early_stopping=True,  # which ends it without a complaint that more passes would help
            n_iter_no_change=10,
            random_state=seed,
        ),
    }
    return estimators[candidate].fit(x, y)


@noria.step
def accuracy(model: BaseEstimator, x: np.ndarray, y: np.ndarray) -> float:
    """Give the share of images that the model names rightly."""
    return float(model.score(x, y))


@noria.pipeline
def train(dataset: str, model: str = "digits", seed: int = 0) -> str:
    """Fit every candidate, register the one that is best on the held-back images, and give its reference."""
    images = noria.dataset(dataset).arrays()
    held = images["held"].astype(bool)
    x, y, x_held, y_held = images["x"][~held], images["y"][~held], images["x"][held], images["y"][held]
    fitted = {name: fit(name, x, y, seed) for name in CANDIDATES}
    scores = {name: float(accuracy(fitted[name], x_held, y_held)) for name in CANDIDATES}
    best = max(scores, key=scores.__getitem__)
    noria.log({f"accuracy {name}": score for name, score in scores.items()})
    version = noria.register(
        fitted[best],
        model,
        x={"x": x},
        y=y,
        holdout=({"x": x_held}, y_held),
        metrics={"accuracy": scores[best]},
        message=f"{best}: accuracy {scores[best]:.3f} on {len(y_held)} held-back images",
    )
    noria.choose(
        version.ref,
        candidates={name: {"accuracy": score} for name, score in scores.items()},
        choice=best,
        reason=f"highest accuracy on {len(y_held)} held-back images",
    )
    return version.ref
