"""Train classifiers of handwritten digits that tell how sure they are, for the page to draw on.

noria run page_pipeline:train -p dataset=digits-scans@1
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

import noria

CANDIDATES = ("logistic regression", "extra trees", "neural network")
NETWORK = "convolutional network"
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
def fit_network(x: np.ndarray, y: np.ndarray, seed: int) -> Any:
    """Fit a convolutional network of PyTorch to square images; it gives the probability of each digit."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    side = round(x.shape[1] ** 0.5)
    body = nn.Sequential(
        nn.Unflatten(1, (1, side, side)),
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.25),
        nn.Linear(32 * (side // 2) ** 2, 10),
    )
    descent = torch.optim.Adam(body.parameters(), lr=2e-3)
    images, digits = torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(y)
    for _ in range(2 if len(y) > MANY_IMAGES else 40):
        for part in torch.randperm(len(y)).split(128):
            descent.zero_grad()
            nn.functional.cross_entropy(body(images[part]), digits[part]).backward()
            descent.step()
    return nn.Sequential(body, nn.Softmax(1)).eval()


@noria.step
def accuracy(model: Any, x: np.ndarray, y: np.ndarray) -> float:
    """Give the share of images that the model names rightly."""
    return float((predict(model, x) == y).mean())


def predict(model: Any, x: np.ndarray) -> np.ndarray:
    """Name images, by an estimator or by a network."""
    if hasattr(model, "predict"):
        return np.asarray(model.predict(x))
    import torch

    with torch.no_grad():
        return np.asarray(model.eval()(torch.from_numpy(x)).argmax(1))


@noria.pipeline
def train(dataset: str, model: str = "digits", seed: int = 0) -> str:
    """Fit every candidate, register the one that is best on the held-back images, and give its reference."""
    images = noria.dataset(dataset).arrays()
    held = images["held"].astype(bool)
    x, y, x_held, y_held = images["x"][~held], images["y"][~held], images["x"][held], images["y"][held]
    fitted = {name: fit(name, x, y, seed) for name in CANDIDATES}
    if find_spec("torch") and find_spec("onnxscript"):  # which makes the graph that is kept of a network
        fitted[NETWORK] = fit_network(x, y, seed)
    scores = {name: float(accuracy(model, x_held, y_held)) for name, model in fitted.items()}
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
