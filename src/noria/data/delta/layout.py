"""How the rows of a table are spread over data files, so that there are few files and little is written twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from noria.data.delta.log import Part

FULL_BYTES = 128 << 20
"""Files of this size are left as they are."""
_FAN = 8
_SMALLEST_BYTES = 16 << 10
_ORDER_DIGITS = 12


def part_path(order: int, digest: str) -> str:
    """Name a data file so that names in order are rows in order."""
    return f"part-{order:0{_ORDER_DIGITS}d}-{digest.partition(':')[2][:16]}.parquet"


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

    Files at the end of the table of one class and below are gathered when there are `_FAN` of them. A row is written
    again once a class, so few times, and a table that grew by any number of appends has few files in each class.

    Examples
    --------
    >>> due([10_000] * 7), due([10_000] * 8), due([5_000_000, *[10_000] * 8])
    (0, 8, 8)
    """
    classes = [size_class(size) for size in sizes]
    longest = 0
    for bound in sorted({c for c, size in zip(classes, sizes, strict=True) if size < FULL_BYTES}):
        run = 0
        for found, size in zip(reversed(classes), reversed(sizes), strict=True):
            if found > bound or size >= FULL_BYTES:
                break
            run += 1
        if run >= _FAN:
            longest = run
    return longest


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
