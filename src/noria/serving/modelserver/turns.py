"""Two versions that answer in turn: whether the first one is sure."""

from __future__ import annotations

import numpy as np

from noria.serving.modelserver.lanes import Outputs

CONFIDENCE = "confidence"
PROBABILITIES = "probabilities"


def is_sure(outputs: Outputs, min_confidence: float) -> bool:
    """Tell whether a version is sure of every row that it predicted.

    A row's confidence is the model's own output `confidence`, or else the largest of its `probabilities`. A model that
    gives neither is never sure, and NaN is not sure.

    Examples
    --------
    >>> is_sure({"probabilities": np.array([[0.9, 0.1], [0.2, 0.8]])}, 0.8)
    True
    >>> is_sure({"probabilities": np.array([[0.9, 0.1], [0.5, 0.5]])}, 0.8)
    False
    """
    confidence = outputs.get(CONFIDENCE)
    if confidence is None:
        probabilities = outputs.get(PROBABILITIES)
        if probabilities is None:
            return False
        confidence = probabilities.max(axis=-1)
    return bool(np.all(confidence >= min_confidence))
