"""Answers of a model for rows, in one form for every kind of model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Texts = NDArray[np.str_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """What a model answered.

    Attributes
    ----------
    values : ndarray, shape (n_rows,)
        Numbers, or classes as texts.
    shares : ndarray, shape (n_rows, n_classes), optional
        Probability of each of `classes`; None when the model gives none.
    """

    values: NDArray[Any]
    shares: Floats | None = None
    classes: Texts | None = None

    def __len__(self) -> int:
        return len(self.values)

    @classmethod
    def of_classes(cls, values: Texts, classes: Texts | None, scores: Mapping[str, Any] | None) -> Predicted:
        """Read what a classifier gave; scores of a decision function become probabilities by the logistic map."""
        if scores is None or classes is None:
            return cls(values=values, classes=classes)
        found = np.frombuffer(scores["data"], dtype=np.float64).reshape(-1, scores["width"]).copy()
        if scores["kind"] == "decision_function":
            found = _to_shares(found)
        if found.shape[1] != len(classes) or not np.isfinite(found).all():
            return cls(values=values, classes=classes)
        return cls(values=values, shares=found, classes=classes)

    def take(self, rows: NDArray[Any]) -> Predicted:
        """Give the answers of some rows."""
        return Predicted(
            values=self.values[rows],
            shares=None if self.shares is None else self.shares[rows],
            classes=self.classes,
        )

    def share_of(self, labels: Texts) -> Floats:
        """Give the probability that each row's label had; 0 for a class that the model does not know."""
        if self.shares is None or self.classes is None:
            return np.asarray(self.values == labels, dtype=np.float64)
        order = np.argsort(self.classes)
        at = np.clip(np.searchsorted(self.classes[order], labels), 0, len(order) - 1)
        known = self.classes[order][at] == labels
        return np.where(known, self.shares[np.arange(len(labels)), order[at]], 0.0)


def joined(parts: Iterable[Predicted]) -> Predicted:
    """Put answers of one model behind one another."""
    listed = list(parts)
    shares = [part.shares for part in listed]
    complete = all(share is not None for share in shares)
    return Predicted(
        values=np.concatenate([part.values for part in listed]),
        shares=np.concatenate([share for share in shares if share is not None]) if complete else None,
        classes=listed[0].classes,
    )


def texts(values: Iterable[Any]) -> Texts:
    """Give labels as texts; 3 and 3.0 are one class, as they are to a model."""
    return np.array([_text(value) for value in values], dtype=np.str_)


def _text(value: Any) -> str:
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _to_shares(scores: Floats) -> Floats:
    if scores.shape[1] == 1:
        positive = 1 / (1 + np.exp(-np.clip(scores[:, 0], -30, 30)))
        return np.column_stack([1 - positive, positive])
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
