"""Any changes of a table leave it, in each of its versions, as a list of rows that went through the same."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noria.core.config import load_settings
from noria.core.workspace import Workspace, open_workspace
from noria.data.client import dataset

SCHEMA = {"k": pl.Int64, "v": pl.String}
KEYS = st.integers(0, 12)
ROWS = st.lists(st.tuples(KEYS, st.sampled_from(["a", "b", None])), max_size=5)
NEW_ROWS = st.lists(st.tuples(KEYS, st.sampled_from(["x", "y"])), max_size=4, unique_by=lambda row: row[0])
CHANGES = st.one_of(
    st.tuples(st.just("append"), ROWS),
    st.tuples(st.just("overwrite"), ROWS),
    st.tuples(st.just("merge"), NEW_ROWS),
    st.tuples(st.just("delete"), KEYS),
    st.tuples(st.just("compact"), st.none()),
)  # fmt: skip
EXAMPLES = max(8, settings().max_examples // 12)
"""Each takes as long as hundreds of examples in memory."""
_names = itertools.count()


@dataclass(frozen=True, slots=True)
class Model:
    """The same changes on a list of rows, as plainly as they can be written."""

    rows: tuple[tuple[int, str | None], ...] = ()

    def after(self, kind: str, given: Any) -> Model:
        """Give the rows after a change."""
        if kind == "append":
            return Model((*self.rows, *given))
        if kind == "overwrite":
            return Model(tuple(given))
        if kind == "delete":
            return Model(tuple(row for row in self.rows if row[0] <= given))
        if kind == "merge":
            new = dict(given)
            known = {key for key, _ in self.rows}
            kept = tuple((key, new.get(key, value)) for key, value in self.rows)
            return Model((*kept, *(row for row in given if row[0] not in known)))
        return self


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Open a workspace in a folder, once."""
    folder = tmp_path_factory.mktemp("workspace")
    with open_workspace(load_settings(workspace=str(folder)), send_left=False) as found:
        yield found


def frame(rows: Any) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=SCHEMA, orient="row")


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
@given(first=ROWS, changes=st.lists(CHANGES, max_size=8))
def test_a_table_is_what_its_changes_made_of_it(
    workspace: Workspace, first: list[Any], changes: list[tuple[str, Any]]
) -> None:
    """Rows, their order and their number are right in the newest version and in all before it."""
    handle = dataset(f"t{next(_names)}", workspace=workspace)
    model = Model(tuple(first))
    states = {handle.append(frame(first)).version: model}
    for kind, given_ in changes:
        model = model.after(kind, given_)
        if kind == "delete":
            version = handle.delete(f"k > {given_}")
        elif kind == "compact":
            version = handle.compact()
        elif kind == "merge":
            version = handle.merge(frame(given_), on="k")
        else:
            version = getattr(handle, kind)(frame(given_))
        states[version.version] = model

    for number, state in states.items():
        found = dataset(f"{handle.name}@{number}", workspace=workspace)
        assert tuple(found.polars().rows()) == state.rows
        assert found.current.n_rows == len(state.rows)
        assert found.polars(rows="v = 'a'").height == sum(1 for row in state.rows if row[1] == "a")
