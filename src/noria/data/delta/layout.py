"""How the rows of a table are spread over data files, so that there are few files and little is written twice."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from noria.data.delta.log import Part

FULL_BYTES = 128 << 20
"""Files of this size are left as they are."""
_FAN = 8
_SMALLEST_BYTES = 16 << 10
_ORDER_DIGITS = 12
_PART = re.compile(r"part-\d{12}-[0-9a-f]{16}\.parquet")


def part_path(order: int, digest: str) -> str:
    """Name a data file so that names in order are rows in order."""
    return f"part-{order:0{_ORDER_DIGITS}d}-{digest.partition(':')[2][:16]}.parquet"


def is_part(path: str) -> bool:
    """Tell whether a file is named as data files of tables are."""
    return _PART.fullmatch(path) is not None


def order_of(path: str) -> int:
    """Give the place of a data file among the others, from its name."""
    return int(path.split("-")[1])


def size_class(size_bytes: int) -> int:
    """Give how often a file was gathered: each class holds files `_FAN` times as large as the one below.

    Examples
    --------
    >>> size_class(1_000), size_class(100_000), size_class(1_000_000)
    (0, 1, 2)
    """
    found, bound = 0, _SMALLEST_BYTES
    while size_bytes > bound:
        found, bound = found + 1, bound * _FAN
    return found


def due(sizes: Sequence[int]) -> int:
    """Tell how many of the last files are to become one, 0 for none.

    Files at the end of the table are gathered when there are `_FAN` of one class. A row is so written again about once
    a class, and a table that grew by any number of appends has few files in each class.

    Examples
    --------
    >>> due([10_000] * 7), due([10_000] * 8), due([5_000_000, *[10_000] * 8])
    (0, 8, 8)
    """
    files = [(size, 1) for size in sizes]  # size, and how many files it is made of
    for found in range(size_class(FULL_BYTES) + 1):
        n_run = _run(files, found)
        classes = [size_class(size) for size, _ in files[len(files) - n_run :]]
        n_same = classes.count(found)
        # Smaller files that larger ones part never make a class full; too many of them are gathered all the same.
        if n_same >= _FAN or n_run - n_same >= _FAN * max(1, found):
            gathered = files[len(files) - n_run :]
            files[len(files) - n_run :] = [(sum(size for size, _ in gathered), sum(n for _, n in gathered))]
    return files[-1][1] if files and files[-1][1] > 1 else 0


def _run(files: Sequence[tuple[int, int]], bound: int) -> int:
    """Count the files at the end that are of a class or below."""
    n_run = 0
    for size, _ in reversed(files):
        if size_class(size) > bound or size >= FULL_BYTES:
            break
        n_run += 1
    return n_run


def gatherable(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """Give runs of neighbouring small files that together make one of usual size at most."""
    run: list[Part] = []
    for part in parts:
        if run and sum(p.size_bytes for p in run) + part.size_bytes > FULL_BYTES:
            if len(run) > 1:
                yield run
            run = []
        run.append(part)
    if len(run) > 1:
        yield run
