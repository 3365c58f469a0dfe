"""Sums that gates judge by."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from noria.core.ids import new_id
from noria.serving.first_predictions import MAX_REQUESTS, first_predictions
from noria.serving.modelserver.recorder import CapturedRequest, Recorder
from noria.serving.modelserver.records import by_endpoint
from noria.serving.packing import Unpacked, json_entry, pack
from noria.serving.predictions import Prediction
from noria.serving.sums import (
    MAX_CLASSES,
    OTHERS,
    Form,
    RowSums,
    Waiting,
    number_bin,
    pair_off,
)
from support.serving import predictions


def _packed(outputs: dict[str, Any], inputs: dict[str, Any], n: int = 1) -> Unpacked:
    recorder = Recorder()
    n_rows = len(next(iter(outputs.values())))
    records = [
        recorder.encode(CapturedRequest(("p", "e", 1, 1), new_id(), 9, 700, n_rows, inputs, outputs))
        for _ in range(n)
    ]
    return Unpacked(pack(by_endpoint(records)[("p", "e")]))


@pytest.mark.parametrize("n_rows", [1, 3])
@pytest.mark.parametrize("values", [[7, 1, 2], [0.5, 1.5, 2.5], ["cat", "", "dog"], [True, False, False]])
def test_the_first_prediction_is_read_alone(values: list[Any], n_rows: int) -> None:
    """Of numbers, texts and truth values, behind inputs of fixed and of any length and behind another output."""
    texts = np.array(["a", "longer", ""][:n_rows], dtype=object)
    inputs = {"x": np.arange(4.0 * n_rows).reshape(n_rows, 4), "name": texts}
    outputs = {"probabilities": np.zeros((n_rows, 2)), "predictions": np.array(values[:n_rows])}

    assert first_predictions(_packed(outputs, inputs, n=2), [0, 1]) == [values[0]] * 2


def test_requests_without_a_single_prediction_are_left_out() -> None:
    """Vectors, and models that call their output otherwise."""
    inputs = {"x": np.zeros((2, 3))}

    assert first_predictions(_packed({"predictions": np.zeros((2, 4))}, inputs), [0]) == []
    assert first_predictions(_packed({"embedding": np.zeros((2, 4))}, inputs), [0]) == []


def test_many_requests_are_looked_into_evenly() -> None:
    """What is captured at once may be long; JSON is read as well."""
    sent: list[Prediction] = list(predictions([new_id() for _ in range(3 * MAX_REQUESTS)]))
    entries = Unpacked(pack([json_entry(each) for each in sent]))
    found = first_predictions(entries, range(len(entries)))

    assert found == [each.outputs["predictions"] for each in sent[::3]]


def test_bins_are_in_the_order_of_the_numbers() -> None:
    """Negative, tiny, zero and huge ones."""
    numbers = [-1e300, -5.0, -4.0, -1e-3, -1e-30, 0.0, 1e-30, 1e-3, 1.0, 1.1, 4.0, 5.0, 1e300]
    bins = [number_bin(number) for number in numbers]

    assert bins == sorted(bins)
    assert number_bin(1.0) != number_bin(2.0)
    assert number_bin(-3.0) == -number_bin(3.0)


def test_blocks_are_full_before_they_count() -> None:
    """Rows that come in any portions make blocks of at least their length, and none is counted twice."""
    generator = np.random.default_rng(1)
    total = Form()
    values: list[float] = []
    while len(values) < 3000:
        portion = generator.random(int(generator.integers(1, 60))).tolist()
        values += portion
        total = total.plus(Form.of(portion))

    for rows, blocks in zip((10, 100, 1000), total.blocks, strict=True):
        n, mean_sum, squares = total.by(rows)
        assert n == blocks.n <= len(values) // rows
        assert n >= len(values) // (rows + 60) - 1
        assert mean_sum / n == pytest.approx(np.mean(values), abs=0.1)
        assert squares >= mean_sum**2 / n
    assert total.by(1) == pytest.approx((len(values), sum(values), sum(v * v for v in values)))


def test_each_row_is_compared_once() -> None:
    """By the scores, the greater class for the positive one; what is left waits, the newest ones."""
    low, high = Waiting(0, [0.2, 0.6, 0.9]), Waiting(1, [0.5, 0.6])

    assert pair_off(low, high) == ([1.0, 0.5], Waiting(0, [0.9]))
    assert pair_off(high, low) == ([1.0, 0.5], Waiting(0, [0.9]))
    assert pair_off(Waiting("a", [0.9]), Waiting("b", [0.1])) == ([0.0], Waiting("b", []))
    waiting = Waiting(1, [float(i) for i in range(300)])
    assert len(pair_off(waiting, waiting)[1].scores) == 256


def test_classes_without_end_are_counted_together() -> None:
    """A model that gives each row a class of its own does not fill the database."""
    total = RowSums()
    for start in range(0, 500, 50):
        total = total.plus(RowSums(predicted={str(i): 1 for i in range(start, start + 50)}))

    assert len(total.predicted) == MAX_CLASSES
    assert sum(total.predicted.values()) == 500
    assert total.predicted[OTHERS] == 500 - MAX_CLASSES + 1
