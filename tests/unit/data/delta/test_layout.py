"""Few files, and rows that are written again few times."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from noria.data.delta.layout import FULL_BYTES, due, gatherable, order_of, part_path, size_class
from noria.data.delta.log import Part


def grown(sizes: list[int]) -> tuple[list[int], int]:
    """Append files of these sizes, gather as it says, and give what lies there and the bytes that were written."""
    files: list[int] = []
    written = 0
    for size in sizes:
        files.append(size)
        written += size
        n = due(files)
        if n:
            gathered = sum(files[-n:])
            files[-n:] = [gathered]
            written += gathered
    return files, written


@given(sizes=st.lists(st.integers(1, 2_000_000), max_size=150))
def test_a_table_that_grew_by_any_appends_has_few_files(sizes: list[int]) -> None:
    """A bounded number of small files stays, and no row is lost from the count."""
    files, _ = grown(sizes)

    assert sum(files) == sum(sizes)
    n_classes = size_class(FULL_BYTES) + 1
    assert sum(1 for size in files if size < FULL_BYTES) <= 8 * n_classes


def test_rows_of_small_appends_are_written_a_few_times() -> None:
    """Ten thousand appends of ten kilobytes write each byte once, and once more a class."""
    files, written = grown([10_000] * 10_000)

    assert len(files) < 40
    assert written / sum(files) <= size_class(sum(files)) + 2


def test_full_files_are_left_alone() -> None:
    """Neither gathered behind an append nor by compaction."""
    assert due([FULL_BYTES] * 20) == 0
    assert list(gatherable([Part(path=f"{n}", size_bytes=FULL_BYTES, n_rows=1) for n in range(3)])) == []


@given(sizes=st.lists(st.integers(1, FULL_BYTES * 2), max_size=30))
def test_compaction_gathers_neighbours_into_files_of_usual_size(sizes: list[int]) -> None:
    """Each run is two files or more that stand side by side, and makes one of usual size at most."""
    parts = [Part(path=f"{n:03d}", size_bytes=size, n_rows=1) for n, size in enumerate(sizes)]
    for run in gatherable(parts):
        first = parts.index(run[0])

        assert len(run) > 1
        assert run == parts[first : first + len(run)]
        assert sum(part.size_bytes for part in run) <= FULL_BYTES


def test_names_in_order_are_rows_in_order() -> None:
    """The place of a file stands in its name, so that sorting them is enough."""
    paths = [part_path(order, f"blake3:{'ab' * 32}") for order in (0, 9, 10, 123_456)]

    assert paths == sorted(paths)
    assert [order_of(path) for path in paths] == [0, 9, 10, 123_456]
