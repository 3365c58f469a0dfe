"""What a comparison of two tables finds is what turns the one into the other."""

from __future__ import annotations

from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from noria.data.diffing.tables import CHANGE, apply_changes, changed_rows, compare_tables
from noria.data.profiling.sources import FrameTable

SCHEMA = {"id": pl.Int64, "part": pl.String, "x": pl.Float64, "word": pl.String, "yes": pl.Boolean}
CELLS = st.tuples(
    st.sampled_from([None, 0.0, -0.0, 1.5, float("nan"), float("inf")]),
    st.sampled_from([None, "", "a", "ñ"]),
    st.sampled_from([None, True, False]),
)
KEYS = st.tuples(st.one_of(st.none(), st.integers(0, 6)), st.sampled_from([None, "p", "q"]))
ROWS = st.dictionaries(KEYS, CELLS, max_size=12)
Rows = dict[Any, Any]


def frame(rows: Rows) -> pl.DataFrame:
    listed = [(*key, *cells) for key, cells in rows.items()]
    return pl.DataFrame(listed, schema=SCHEMA, orient="row")


@given(ROWS, ROWS, st.randoms(use_true_random=False))
def test_a_diff_applied_to_the_one_gives_the_other(old: Rows, new: Rows, random: Any) -> None:
    """Rows of both in any order, missing keys and cells, and NaN; counts are those of brute force."""
    shared = {key: random.choice([new[key], cells]) for key, cells in old.items() if key in new}
    new = {**new, **shared}
    items = list(new.items())
    random.shuffle(items)
    before, after = frame(old), frame(dict(items))
    comparison = compare_tables(FrameTable(before), FrameTable(after), key=["id", "part"])
    changes = changed_rows(before, after, comparison)
    back = apply_changes(before, changes, ["id", "part"])

    assert_frame_equal(back, after, check_row_order=False, check_exact=True)
    rows = comparison.diff.rows
    assert (rows.n_added, rows.n_removed) == (len(new.keys() - old.keys()), len(old.keys() - new.keys()))
    assert rows.n_changed == sum(not same(old[key], new[key]) for key in old.keys() & new.keys())
    assert sum(rows.changed_cells.values()) == sum(
        not same((one,), (other,))
        for key in old.keys() & new.keys()
        for one, other in zip(old[key], new[key], strict=True)
    )
    assert set(changes[CHANGE]) <= {"insert", "delete", "update_preimage", "update_postimage"}


@given(st.lists(CELLS, max_size=15), st.lists(CELLS, max_size=15))
def test_without_a_key_rows_are_counted_as_a_bag(old: list[Any], new: list[Any]) -> None:
    """As a brute-force removal of equal rows counts them."""
    before = frame({(1, str(i)): cells for i, cells in enumerate(old)}).drop("id", "part")
    after = frame({(1, str(i)): cells for i, cells in enumerate(new)}).drop("id", "part")
    left, n_added = list(old), 0
    for row in new:
        found = next((place for place, other in enumerate(left) if same(row, other)), None)
        if found is None:
            n_added += 1
        else:
            del left[found]
    rows = compare_tables(FrameTable(before), FrameTable(after)).diff.rows

    assert (rows.n_added, rows.n_removed) == (n_added, len(left))


def same(one: Any, other: Any) -> bool:
    return all(a == b or (a != a and b != b) for a, b in zip(one, other, strict=True))  # noqa: PLR0124 - NaN
