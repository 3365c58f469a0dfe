"""Words and figures of the commands that handle files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_SHOWN: Final = 100
_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB", "PB")


def size(n_bytes: int) -> str:
    """Give a number of bytes with three digits and a unit.

    Examples
    --------
    >>> size(999), size(100_000_000), size(1_234)
    ('999 bytes', '100 MB', '1.23 kB')
    """
    value, unit = float(n_bytes), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{n_bytes} {_UNITS[0]}" if unit == 0 else f"{value:.3g} {_UNITS[unit]}"


def count(number: int, thing: str) -> str:
    """Give a number of things.

    Examples
    --------
    >>> count(1, "file"), count(10_000, "file")
    ('1 file', '10,000 files')
    """
    return f"{number:,} {thing}" + ("" if number == 1 else "s")


def visible(path: str) -> str:
    r"""Give a path with line ends and control characters made visible.

    Examples
    --------
    >>> print(visible("a\nb"), visible("año"))
    a\nb año
    """
    return path if path.isprintable() else repr(path)[1:-1]


def path_lines(sign: str, paths: Sequence[str]) -> list[str]:
    """Give a line for each path, and one for those that are too many."""
    lines = [f"  {sign} {visible(path)}" for path in paths[:_SHOWN]]
    if paths[_SHOWN:]:
        lines.append(f"  {sign} … and {len(paths) - _SHOWN:,} more")
    return lines
