"""Columns of vectors: real images as embeddings, and vectors that cannot be compared."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from noria.data.profiling.sources import FrameTable
from noria.monitoring.reports.comparing import compare_tables

DIGITS, KIND = load_digits(return_X_y=True)
EMBEDDED = PCA(16, random_state=0).fit_transform(DIGITS)


def _table(vectors: Any, **columns: Any) -> FrameTable:
    return FrameTable(pl.DataFrame({"embedding": vectors, **columns}, strict=False))


def test_images_of_the_same_kind_do_not_differ() -> None:
    """Of ten splits of the digits, none or one is said to differ at 1 %."""
    n_differing = 0
    for seed in range(10):
        halves = np.array_split(np.random.default_rng(seed).permutation(len(EMBEDDED)), 2)
        found = compare_tables(*(_table(EMBEDDED[half].tolist()) for half in halves))
        n_differing += found.vectors[0].differs
        assert not found.columns
        assert not found.not_compared
    assert n_differing <= 1


def test_another_mix_of_images_differs() -> None:
    """More zeros than before: the classifier and the distances both see it, and other columns are compared as ever."""
    rng = np.random.default_rng(0)
    before = rng.choice(len(KIND), 600)
    after = np.concatenate([rng.choice(len(KIND), 350), rng.choice(np.flatnonzero(KIND == 0), 250)])
    found = compare_tables(
        _table(EMBEDDED[before].tolist(), size=rng.normal(size=600)),
        _table(EMBEDDED[after].tolist(), size=rng.normal(size=600)),
    )
    (told,) = found.vectors

    assert told.differs
    assert told.lower > 0.5
    assert told.energy_p_value < 0.01
    assert told.n_dimensions == 16
    assert [column.name for column in found.columns] == ["size"]


def test_missing_vectors_and_gaps_are_counted() -> None:
    """A null, and a vector with NaN in it, are missing; the others are compared."""
    rows: list[Any] = EMBEDDED[:100].tolist()
    odd: list[Any] = [*rows[:80], *[None] * 10, *[[float("nan"), *row[1:]] for row in rows[90:]]]
    (told,) = compare_tables(_table(rows), _table(odd)).vectors

    assert told.n_current == 80
    assert told.missing_current == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        ([[1.0, 2.0]] * 30 + [[1.0]] * 30, "different lengths, 1 to 2 numbers"),
        ([[1.0] * 4] * 60, "vectors of 16 and of 4 numbers"),
        (EMBEDDED[:19].tolist(), "19 rows with a whole vector"),
        ([[float("nan")] * 16] * 60, "0 rows with a whole vector"),
        ([[float("inf")] * 16] * 60, "inf"),
        ([[]] * 60, "vectors without a number"),
    ],
)
def test_vectors_that_cannot_be_compared_are_named_with_the_reason(vectors: Any, said: str) -> None:
    """Lengths that differ, too few, all missing, infinite, empty."""
    current = FrameTable(pl.DataFrame({"embedding": vectors}, schema={"embedding": pl.List(pl.Float64)}))
    found = compare_tables(_table(EMBEDDED[:60].tolist()), current)

    assert not found.vectors
    assert said in found.not_compared[0].why


def test_all_missing_and_lists_of_texts_are_said() -> None:
    """A column of nulls has no vector; lists of texts are no vectors."""
    nothing = FrameTable(pl.DataFrame({"embedding": [None] * 60}, schema={"embedding": pl.List(pl.Float64)}))
    texts = FrameTable(pl.DataFrame({"words": [["a", "b"]] * 60}))

    assert (
        compare_tables(_table(EMBEDDED[:60].tolist()), nothing).not_compared[0].why
        == "all vectors are missing"
    )
    assert compare_tables(texts, texts).not_compared[0].why == "lists or records"


def test_arrays_and_whole_numbers_are_vectors_too() -> None:
    """Polars arrays of fixed length, of integers."""
    wide = pl.Series("embedding", DIGITS[:200].astype(int).tolist(), dtype=pl.Array(pl.Int32, 64))
    table = FrameTable(pl.DataFrame({"embedding": wide}))
    (told,) = compare_tables(table, table).vectors

    assert not told.differs
    assert told.n_dimensions == 64
