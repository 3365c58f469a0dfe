"""Counters of a stream are the same however it was split, in whatever order its pieces came."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.core.errors import Invalid
from noria.core.stats.counters import TableCounter, TableCounts, empty_counts, merged, moments
from noria.core.stats.grouped_counters import count_groups
from noria.core.stats.profiles import cell_counts, profile_table

REFERENCE = profile_table(
    {
        "x": np.random.default_rng(1).gamma(2.0, 3.0, 400),
        "constant": np.full(400, 7.0),
        "kind": np.array([f"k{i % 5}" for i in range(400)]),
    },
)
ROWS = st.lists(
    st.tuples(
        st.one_of(st.floats(), st.floats(0, 20), st.just(math.nan)),
        st.floats(allow_infinity=False),
        st.one_of(st.none(), st.sampled_from(["k0", "k1", "new", ""]), st.integers(0, 400).map(str)),
    ),
    max_size=300,
)


def batch(rows: list[Any]) -> dict[str, Any]:
    """Give rows as columns."""
    columns = zip(*rows, strict=True) if rows else ([], [], [])
    x, constant, kind = (list(column) for column in columns)
    return {
        "x": np.array(x, dtype=float),
        "constant": np.array(constant, dtype=float),
        "kind": np.array(kind, dtype=object),
    }


def counted(rows: list[Any], cuts: list[int]) -> TableCounts:
    counter = TableCounter(REFERENCE)
    ends = sorted({min(cut, len(rows)) for cut in cuts} | {len(rows)})
    for start, end in zip([0, *ends], ends, strict=False):
        counter.update(batch(rows[start:end]))
    return counter.counts


@given(rows=ROWS, data=st.data())
def test_any_split_and_order_gives_the_same(rows: list[Any], data: st.DataObject) -> None:
    """Digit for digit, as JSON: batches, pieces merged in any order and grouping, and pieces sent as JSON."""
    whole = counted(rows, [])
    shuffled = data.draw(st.permutations(rows)) if len(rows) < 60 else rows[::-1]
    cuts = data.draw(st.lists(st.integers(0, max(1, len(rows))), max_size=5))
    ends = sorted({0, *cuts, len(rows)})
    pieces = [counted(shuffled[a:b], cuts) for a, b in itertools.pairwise(ends)] or [whole]
    pieces = [msgspec.json.decode(msgspec.json.encode(piece), type=TableCounts) for piece in pieces]
    order = data.draw(st.permutations(pieces))
    from_left = empty_counts(REFERENCE)
    for piece in order:
        from_left = merged(from_left, piece)
    from_right = empty_counts(REFERENCE)
    for piece in reversed(order):
        from_right = merged(piece, from_right)

    assert msgspec.json.encode(from_left) == msgspec.json.encode(from_right) == msgspec.json.encode(whole)
    assert msgspec.json.encode(counted(rows, cuts)) == msgspec.json.encode(whole)


@given(rows=ROWS, cuts=st.lists(st.integers(1, 299), max_size=8))
def test_groups_are_counted_as_each_alone(rows: list[Any], cuts: list[int]) -> None:
    """Digit for digit, whatever is missing, infinite or new in some of them."""
    ends = sorted({cut for cut in cuts if cut < len(rows)} | ({len(rows)} - {0}))
    bounds = list(itertools.pairwise([0, *ends]))

    together = count_groups(REFERENCE, batch(rows), [end - start for start, end in bounds])

    assert together == [counted(rows[start:end], []) for start, end in bounds]


def test_groups_that_do_not_fit_are_refused() -> None:
    """By what does not: a group without rows, other rows than the columns have, a column that is not there."""
    columns = batch([(1.0, 7.0, "k0")] * 3)
    with pytest.raises(Invalid, match="at least one row, not `0`"):
        count_groups(REFERENCE, columns, [3, 0])
    with pytest.raises(Invalid, match=r"Column `x` has the shape `\(3,\)`, and the groups have 4 rows"):
        count_groups(REFERENCE, columns, [3, 1])
    with pytest.raises(Invalid, match="no column `kind`"):
        count_groups(REFERENCE, {name: columns[name] for name in ("x", "constant")}, [3])
    with pytest.raises(Invalid, match="rows are counted at once"):
        count_groups(REFERENCE, columns, [1 << 23])


@given(rows=ROWS)
def test_counts_are_those_of_all_rows(rows: list[Any]) -> None:
    """Cells as one count of all rows gives them; extremes; labels one by one; moments as fractions give them."""
    found = counted(rows, [7, 50])
    columns = batch(rows)
    finite = [value for value in columns["x"].tolist() if math.isfinite(value)]
    labels = Counter(row[2] for row in rows if row[2] is not None and not row[2].startswith("k"))

    assert found.n_rows == len(rows)
    for name, column in found.columns.items():
        if rows:
            assert column.cells == cell_counts(REFERENCE.columns[name], columns[name]).tolist()
    assert found.columns["x"].minimum == (min(finite) if finite else None)
    assert found.columns["x"].maximum == (max(finite) if finite else None)
    assert all(labels[new.label] == new.n for new in found.columns["kind"].new)
    assert len(found.columns["kind"].new) == min(64, len(labels))
    near = [value for value in finite if abs(value) < 1e3]
    if near and len(near) == len(finite):
        mean = sum(map(Fraction, near)) / len(near)
        told = moments(found.columns["x"], REFERENCE.columns["x"])

        assert told is not None
        assert abs(told[0] - float(mean)) <= (REFERENCE.columns["x"].std or 0) / 2000
