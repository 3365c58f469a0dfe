"""How predictions fare beside their labels, row by row."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from noria.serving.sums import ClassSums, Form, RowSums, Waiting, class_name, number_bin, pair_off

_MAX_RELATIVE_ERROR = 1.0


class LabelSums:
    """Takes labelled rows of one version, and gives their sums."""

    def __init__(self) -> None:
        self.n = 0
        self._values: dict[str, list[float]] = {}
        self._classes: dict[str, ClassSums] = {}
        self._waiting = Waiting()

    def take(self, task: str, outputs: Mapping[str, Any], truth: Any) -> None:
        """Take a row; what has no single prediction is only counted."""
        self.n += 1
        predicted = outputs.get("predictions")
        if predicted is None or isinstance(predicted, (list, dict)):
            return
        if task == "regression" and not isinstance(predicted, str):
            self._measure(float(predicted), float(truth))
        else:
            self._judge(predicted, truth)
            self._rank(outputs.get("probabilities"), truth)

    def sums(self) -> RowSums:
        """Give what was taken."""
        forms = {name: Form.of(values) for name, values in self._values.items()}
        return RowSums(forms=forms, classes=self._classes, waiting=self._waiting)

    def _measure(self, predicted: float, truth: float) -> None:
        size = abs(predicted - truth)
        self._add("abs_error", size)
        self._add("squared_error", size * size)
        self._add("relative_error", relative_error(predicted, truth))

    def _judge(self, predicted: Any, truth: Any) -> None:
        self._add("correct", float(predicted == truth))
        named, true = class_name(predicted), class_name(truth)
        self._count(true, ClassSums(1, int(named == true), int(named == true)))
        if named != true:
            self._count(named, ClassSums(0, 1, 0))

    def _rank(self, probabilities: Any, truth: Any) -> None:
        if not isinstance(probabilities, list) or len(probabilities) != 2:
            return
        if not isinstance(probabilities[1], (int, float)) or not math.isfinite(probabilities[1]):
            return
        compared, self._waiting = pair_off(self._waiting, Waiting(truth, [float(probabilities[1])]))
        for value in compared:
            self._add("auc", value)

    def _add(self, form: str, value: float) -> None:
        self._values.setdefault(form, []).append(value)

    def _count(self, name: str, more: ClassSums) -> None:
        known = self._classes.get(name)
        self._classes[name] = more if known is None else known.plus(more)


def relative_error(predicted: float, truth: float) -> float:
    """Give the absolute error as a share of the truth, at most 1.

    Examples
    --------
    >>> relative_error(9.0, 10.0), relative_error(50.0, 10.0), relative_error(0.0, 0.0), relative_error(1.0, 0.0)
    (0.1, 1.0, 0.0, 1.0)
    """
    size = abs(predicted - truth)
    if size >= abs(truth):
        return _MAX_RELATIVE_ERROR if size else 0.0
    return size / abs(truth)


def predicted_sums(task: str, values: Iterable[Any]) -> RowSums:
    """Count what was predicted: numbers of a regressor by bin, anything else by class."""
    if task == "regression":
        numbers = [float(value) for value in values if not isinstance(value, str)]
        return RowSums(bins=dict(Counter(map(number_bin, numbers))))
    return RowSums(predicted=dict(Counter(map(class_name, values))))
