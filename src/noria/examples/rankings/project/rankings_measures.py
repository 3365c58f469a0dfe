"""The study's measures of one fitted forest, and the gate that its rule for the best run lacks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

SUMMED = ("precision", "recall", "f1", "accuracy")
"""What the study adds up to find the best run."""


def measures_of(model: Any, x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Measure predictions of rows; as in the study, the area under the curve is 0 where there is one class only."""
    guessed = model.predict(x)
    one_class = len(np.unique(y)) < 2
    return {
        "precision": float(precision_score(y, guessed, zero_division=0)),
        "recall": float(recall_score(y, guessed, zero_division=0)),
        "f1": float(f1_score(y, guessed, zero_division=0)),
        "accuracy": float(accuracy_score(y, guessed)),
        "roc_auc": 0.0 if one_class else float(roc_auc_score(y, model.predict_proba(x)[:, -1])),
    }


def confusion_of(model: Any, x: np.ndarray, y: np.ndarray) -> list[list[int]]:
    """Count rows by true and predicted label."""
    counts: list[list[int]] = confusion_matrix(y, model.predict(x), labels=[0, 1]).tolist()
    return counts


def confusion_figure(counts: Sequence[Sequence[int]]) -> str:
    """Draw a confusion matrix as SVG: true labels down, predicted ones across."""
    most = max(1, *(max(row) for row in counts))
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 260 240" font-family="sans-serif">']
    parts.append('<text x="150" y="16" text-anchor="middle" font-size="13">predicted</text>')
    parts.append('<text x="14" y="140" font-size="13" transform="rotate(-90 14 140)">true</text>')
    for i, row in enumerate(counts):
        parts.append(f'<text x="{100 + 100 * i}" y="34" text-anchor="middle" font-size="12">{i}</text>')
        parts.append(f'<text x="36" y="{94 + 100 * i}" font-size="12">{i}</text>')
        for j, count in enumerate(row):
            x, y, share = 50 + 100 * j, 40 + 100 * i, count / most
            ink = "#fff" if share > 0.5 else "#000"
            parts.append(
                f'<rect x="{x}" y="{y}" width="98" height="98" fill="#08519c" fill-opacity="{share:.3f}"/>'
            )
            parts.append(
                f'<text x="{x + 49}" y="{y + 55}" text-anchor="middle" font-size="18" fill="{ink}">{count}</text>'
            )
    return "\n".join([*parts, "</svg>", ""])


def refusals(y: np.ndarray, y_valid: np.ndarray) -> list[str]:
    """Say why figures measured on these labels tell nothing; nothing when they may be used.

    With one class, a model that always says the same has the best precision, recall, F1 and accuracy there are.
    """
    parts = {"training": y, "validation": y_valid}
    return [f"one class in {name}" for name, labels in parts.items() if len(np.unique(labels)) < 2]


def best_of(scores: Mapping[str, Sequence[Mapping[str, float]]], refused: Mapping[str, Sequence[str]]) -> str:
    """Give the candidate with the largest mean sum of measures over its draws, of those that are not refused.

    Raises
    ------
    ValueError
        If all are refused.
    """
    admitted = [name for name in scores if not refused.get(name)]
    if not admitted:
        raise ValueError(f"Every candidate is refused: {dict(refused)}")
    return max(admitted, key=lambda name: mean_sum(scores[name]))


def mean_sum(draws: Sequence[Mapping[str, float]]) -> float:
    """Give the mean over draws of the sum that the study ranks runs by."""
    return math.fsum(draw[key] for draw in draws for key in SUMMED) / len(draws)
