"""Large tables and arrays: kept as files that are mapped, by whoever takes them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from noria.core.clock import SystemClock
from noria.core.objects.local import LocalObjectStore
from noria.core.objects.store import ObjectCorrupt
from noria.pipelines.mapped import LARGE_BYTES
from noria.pipelines.storing import ValueStore

N_ROWS = LARGE_BYTES // 16
FRAME = pl.DataFrame(
    {
        "n": np.arange(N_ROWS),
        "x": np.arange(N_ROWS) / 7,
        "at": pl.repeat(datetime(2024, 1, 1, tzinfo=UTC), N_ROWS, eager=True),
        "name": pl.repeat("a", N_ROWS, eager=True).zip_with(
            pl.Series(np.arange(N_ROWS) % 2 == 0), pl.repeat(None, N_ROWS, dtype=pl.String, eager=True)
        ),
    }
)


@pytest.fixture
def objects(tmp_path: Path) -> LocalObjectStore:
    """Give an empty store."""
    return LocalObjectStore(tmp_path / "objects", SystemClock())


def test_a_large_frame_is_mapped_out_of_the_store(objects: LocalObjectStore) -> None:
    """What was saved comes back equal, in another process too, and the object is as good as any other."""
    stored = ValueStore(objects).save(FRAME)
    place = objects.place_of(stored.digest)
    elsewhere = ValueStore(objects)
    elsewhere.flush([stored])

    assert stored.codec == "arrow"
    assert place is not None
    assert list(objects.verify([stored.digest])) == []
    taken = elsewhere.load(stored)
    assert _is_mapped(place)
    assert_frame_equal(taken, FRAME)


@pytest.mark.parametrize(
    "value",
    [
        np.arange(LARGE_BYTES // 4, dtype=np.float32).reshape(2, -1),
        [np.zeros(LARGE_BYTES, dtype=np.uint8), "beside"],
        {"table": FRAME, "n": 3},
    ],
    ids=["array", "in a list", "in a dict"],
)
def test_large_parts_come_back_and_each_has_its_own(objects: LocalObjectStore, value: Any) -> None:
    """A value that was loaded may be changed: neither the stored bytes nor those who load it again see it."""
    values = ValueStore(objects)
    stored = values.save(value)
    first = values.load(stored)
    array = next((part for part in [first, *_parts(first)] if type(part) is np.ndarray), None)
    if array is not None:
        array[...] = 1

    for mine, again in zip(_parts(value), _parts(values.load(stored)), strict=True):
        if isinstance(mine, pl.DataFrame):
            assert_frame_equal(mine, again)
        else:
            assert np.array_equal(mine, again)


def test_changing_a_mapped_frame_changes_nothing_else(objects: LocalObjectStore) -> None:
    """Columns that are written to become the frame's own."""
    values = ValueStore(objects)
    stored = values.save(FRAME)
    taken = values.load(stored)
    taken[0, "x"] = 99.0
    taken.insert_column(0, pl.Series("new", np.zeros(N_ROWS)))

    assert taken[0, "x"] == 99.0
    assert_frame_equal(values.load(stored), FRAME)


def test_a_damaged_file_is_not_mapped(objects: LocalObjectStore) -> None:
    """Whoever did not write a file checks it before it is mapped."""
    stored = ValueStore(objects).save(FRAME)
    place = objects.place_of(stored.digest)
    assert place is not None
    place.chmod(0o600)
    with place.open("r+b") as file:
        file.seek(LARGE_BYTES // 2)
        file.write(b"other")

    with pytest.raises(ObjectCorrupt):
        ValueStore(objects).load(stored)


def test_a_file_that_changed_since_it_was_written_is_checked_again(objects: LocalObjectStore) -> None:
    """Also by the process that wrote it."""
    values = ValueStore(objects)
    stored = values.save(FRAME)
    place = objects.place_of(stored.digest)
    assert place is not None
    values.load(stored)
    place.chmod(0o600)
    with place.open("r+b") as file:
        file.write(b"other")

    with pytest.raises(ObjectCorrupt):
        values.load(stored)


def test_frames_that_arrow_keeps_otherwise_stay_parquet(objects: LocalObjectStore) -> None:
    """A column of categories, or of lists, has its usual form whatever its size."""
    values = ValueStore(objects)
    frame = FRAME.select(pl.col("x"), pl.col("n"), pl.lit("a").cast(pl.Categorical).alias("kind"))
    stored = values.save(frame)

    assert stored.codec == "parquet"
    assert_frame_equal(values.load(stored), frame)


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [part for part in value.values() if not isinstance(part, int)]
    return [part for part in value if not isinstance(part, str)] if isinstance(value, list) else [value]


def _is_mapped(place: Path) -> bool:
    # Linux only; elsewhere that it came back equal has to do.
    maps = Path("/proc/self/maps")
    return not maps.exists() or str(place) in maps.read_text()
