"""Which kinds of models a search for a new one begins with: those that won in records of similar problems. Pure.

The share of wins of a kind is the mean of a beta distribution that starts as if it had won one of three problems,
(1 + won) / (3 + tried), each record counted by how similar its problem is. So what was never tried stands before what
has lost, and without records the order is the usual one.

References
----------
Gelman, A. et al. (2013). Bayesian Data Analysis, 3rd ed., section 2.4, for the mean. Feurer, M., Springenberg, J. and
Hutter, F. (2015). Initializing Bayesian hyperparameter optimization via meta-learning. AAAI, for beginning with what
was best on similar data, told by plain properties of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from noria.catalog.entities import DecisionRecord
from noria.decisions.entities import Remedy

SEARCHED = "searched_"
"""Begins the names of the metrics of a version that hold the score of each kind that its search tried."""

_WON, _TRIED = 1.0, 3.0
_COUNTS = ("n_columns", "n_reference", "n_classes")
_WORDS = {
    "boosting": ("boost", "lgbm", "lightgbm", "xgb", "gbm"),
    "forest": ("forest", "extra_trees", "extratrees", "extra trees"),
    "network": ("network", "mlp", "perceptron"),
    "neighbours": ("neighbo", "knn"),
    "linear": ("linear", "logistic", "logreg", "ridge", "lasso", "elastic"),
}
"""Kind → words in the name that a person gave a candidate of it."""


def kinds_first(
    kinds: Sequence[str],
    records: Iterable[DecisionRecord],
    *,
    model: str,
    task: str,
    fingerprint: Mapping[str, Any],
) -> tuple[list[str], int]:
    """Order kinds of models by how they fared in similar problems, and tell how many records spoke.

    Parameters
    ----------
    kinds
        In the usual order.
    model
        Whose successor is looked for: selections for it count as the same problem.
    fingerprint
        What its data is like, as decision records have it.
    """
    won = dict.fromkeys(kinds, 0.0)
    tried = dict.fromkeys(kinds, 0.0)
    n_records = 0
    for record in records:
        weight = 1.0 if record.subject == f"model:{model}" else _similarity(record, task, fingerprint)
        scores = _searched(record) or _selected(record)
        known = {kind: score for kind, score in scores.items() if kind in won}
        if len(known) < 2 or weight <= 0:
            continue
        n_records += 1
        best = max(known, key=lambda kind: known[kind])
        won[best] += weight
        for kind in known:
            tried[kind] += weight
    shares = {kind: (_WON + won[kind]) / (_TRIED + tried[kind]) for kind in kinds}
    return sorted(kinds, key=lambda kind: -shares[kind]), n_records


def _similarity(record: DecisionRecord, task: str, fingerprint: Mapping[str, Any]) -> float:
    """Give 1 for data of the same shape, e⁻¹ where one count is e times another, 0 for another task or unknown data."""
    there = record.data_fingerprint
    if record.task != task or any(name not in there or name not in fingerprint for name in _COUNTS):
        return 0.0
    apart: float = sum(abs(math.log((1 + there[name]) / (1 + fingerprint[name]))) for name in _COUNTS)
    numeric = abs(_share_of_numbers(there) - _share_of_numbers(fingerprint))
    return math.exp(-apart - numeric)


def _share_of_numbers(fingerprint: Mapping[str, Any]) -> float:
    return float(fingerprint.get("n_numeric", 0) / max(1, fingerprint["n_columns"]))


def _searched(record: DecisionRecord) -> dict[str, float]:
    """Give the scores of the kinds that a decision's search tried."""
    return next((each.ways for each in record.candidates if each.name == Remedy.NEW_MODEL.value), {})


def _selected(record: DecisionRecord) -> dict[str, float]:
    """Give 1 for the kind that a person chose among named candidates, 0 for the others; kinds are told by names."""
    found: dict[str, float] = {}
    for each in record.candidates:
        kind = kind_of(each.name)
        if kind is not None:
            found[kind] = max(found.get(kind, 0.0), float(each.name == record.choice))
    return found if any(found.values()) else {}


def kind_of(name: str) -> str | None:
    """Tell a kind by the name of a candidate; None when it says none.

    Examples
    --------
    >>> kind_of("RandomForest-200"), kind_of("logistic, l2"), kind_of("ours")
    ('forest', 'linear', None)
    """
    lowered = name.lower()
    return next((kind for kind, words in _WORDS.items() if any(word in lowered for word in words)), None)
