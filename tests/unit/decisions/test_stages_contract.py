"""Contract tests on columns of several data sets, as they are and broken in one way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine

from noria.decisions.stages.contract import contract

Columns = dict[str, Any]


def halves(load: Callable[..., Any], seed: int = 0) -> tuple[Columns, Columns]:
    """Part a data set at random: training sample and live rows of the same kind."""
    x = load().data.astype(float)
    order = np.random.default_rng(seed).permutation(len(x))
    first, second = np.array_split(order, 2)
    return tuple({f"c{i}": x[rows, i].copy() for i in range(x.shape[1])} for rows in (first, second))  # type: ignore[return-value]


LOADERS = [load_iris, load_wine, load_breast_cancer, load_diabetes, load_digits]


def judged(reference: Columns, current: Columns) -> Any:
    return contract(reference, current, n_rows=len(current["c0"]))


@pytest.mark.parametrize("load", LOADERS, ids=lambda load: load.__name__)
@pytest.mark.parametrize("seed", range(5))
def test_rows_of_the_same_kind_keep_it(load: Callable[..., Any], seed: int) -> None:
    """A random half of a data set keeps the contract of the other half."""
    assert judged(*halves(load, seed)).verdict == "kept"


@pytest.mark.parametrize("load", [load_wine, load_breast_cancer], ids=lambda load: load.__name__)
def test_ordinary_drift_keeps_it(load: Callable[..., Any]) -> None:
    """Rows from the upper part of one column are drift, not a broken contract."""
    reference, current = halves(load)
    upper = current["c0"] > np.median(current["c0"])

    assert judged(reference, {name: column[upper] for name, column in current.items()}).verdict == "kept"


@pytest.mark.parametrize("load", LOADERS[:4], ids=lambda load: load.__name__)
def test_missing_values_corrupt(load: Callable[..., Any]) -> None:
    """A column of which a third is missing is named."""
    reference, current = halves(load)
    current["c1"][::3] = np.nan
    found = judged(reference, current)

    assert (found.verdict, found.subject) == ("corrupt", "column c1")
    assert found.figures["breaches"][0]["kind"] == "missing"


@pytest.mark.parametrize("load", LOADERS[:4], ids=lambda load: load.__name__)
def test_a_frozen_column_corrupts(load: Callable[..., Any]) -> None:
    """A column that says the same in every row is named."""
    reference, current = halves(load)
    current["c0"][:] = current["c0"][0]
    found = judged(reference, current)

    assert (found.verdict, found.subject) == ("corrupt", "column c0")
    assert found.figures["breaches"][0]["kind"] == "frozen"


def test_a_constant_of_the_training_data_is_not_frozen() -> None:
    """A column that never moved need not move now."""
    reference, current = halves(load_wine)
    for side in (reference, current):
        side["c9"] = np.ones(len(side["c0"]))

    assert judged(reference, current).verdict == "kept"


@pytest.mark.parametrize("load", [load_wine, load_breast_cancer], ids=lambda load: load.__name__)
@pytest.mark.parametrize("factor", [2.54, 1000.0, 0.001])
def test_another_unit_is_found_by_its_constant_ratio(load: Callable[..., Any], factor: float) -> None:
    """A column in another unit is named with its factor."""
    reference, current = halves(load)
    current["c1"] *= factor
    found = judged(reference, current)
    breach = found.figures["breaches"][0]

    assert (found.verdict, breach["column"], breach["kind"]) == ("changed", "c1", "rescaled")
    assert breach["figure"] == pytest.approx(factor, rel=0.1)


def test_absurd_values_corrupt() -> None:
    """A tenth of the rows with an error code in a column of measures is found."""
    reference, current = halves(load_breast_cancer)
    current["c3"][::10] = -99999.0
    found = judged(reference, current)

    assert (found.verdict, found.subject) == ("corrupt", "column c3")
    assert found.figures["breaches"][0]["kind"] == "absurd"


def test_new_codes_change_it() -> None:
    """Codes that the training rows did not have are named; rare ones that were to be expected are not."""
    rng = np.random.default_rng(1)
    reference = {"c0": rng.choice(["red", "green", "blue"], 300)}
    kept = {"c0": rng.choice(["red", "green", "blue"], 100)}
    changed = {"c0": rng.choice(["RED", "green", "blue"], 100)}

    assert judged(reference, kept).verdict == "kept"
    assert judged(reference, changed).verdict == "changed"
    assert "`RED`" in judged(reference, changed).sentence


def test_codes_that_are_mostly_unique_may_be_new() -> None:
    """Where most codes occur once, an unknown one is no breach (Good and Turing)."""
    rng = np.random.default_rng(1)
    reference, current = ({"c0": rng.integers(0, 10**9, n).astype(str)} for n in (300, 100))

    assert judged(reference, current).verdict == "kept"


def test_exchanged_codes_change_it() -> None:
    """Two codes that swapped meanings have the same shares in other places."""
    rng = np.random.default_rng(2)
    reference = {"c0": rng.choice(["a", "b", "c"], 2000, p=[0.7, 0.2, 0.1])}
    current = {"c0": rng.choice(["b", "c", "a"], 1000, p=[0.7, 0.2, 0.1])}

    assert judged(reference, current).verdict == "changed"


def test_it_says_what_it_lacks() -> None:
    """Without a training sample, or with a handful of rows, there is no verdict."""
    reference, current = halves(load_iris)

    assert contract(None, current, n_rows=75).verdict == "lacks"
    few = {name: column[:5] for name, column in current.items()}
    assert contract(reference, few, n_rows=5).verdict == "lacks"
