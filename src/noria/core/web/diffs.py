"""A unified diff as rows that a page can show, with the numbers of the lines on both sides. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_LINES = 2000
"""Lines that a page shows; the whole diff is an artifact of its own."""

_PLACE = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")
_NO_NEWLINE = "\\ No newline"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffRow:
    """A line of a diff.

    Attributes
    ----------
    kind
        `added`, `removed`, `same`, or `place` for what tells the file or the place in it.
    sign
        `+` or the minus sign, for who sees no colour.
    old, new
        Number of the line on each side; None where it is not there.
    """

    kind: str
    sign: str
    text: str
    old: int | None = None
    new: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """A diff, with how many of its lines were left out."""

    rows: tuple[DiffRow, ...]
    n_added: int
    n_removed: int
    n_left_out: int


def read_diff(text: str, max_lines: int = MAX_LINES) -> Diff:
    r"""Read a unified diff, as git and difflib write it.

    Examples
    --------
    >>> [(row.sign, row.old, row.new) for row in read_diff("@@ -4 +4 @@\n-a\n+b\n c").rows]
    [('', None, None), ('\u2212', 4, None), ('+', None, 4), ('', 5, 5)]
    """
    lines = text.splitlines()
    rows: list[DiffRow] = []
    old = new = 0
    in_place = False
    for line in lines:
        if found := _PLACE.match(line):
            old, new, in_place = int(found[1]), int(found[2]), True
            rows.append(DiffRow(kind="place", sign="", text=line))
        elif not in_place or line.startswith(("diff ", "index ", _NO_NEWLINE)):
            in_place = in_place and not line.startswith("diff ")
            rows.append(DiffRow(kind="place", sign="", text=line))
        elif line.startswith("+"):
            rows.append(DiffRow(kind="added", sign="+", text=line[1:], new=new))
            new += 1
        elif line.startswith("-"):
            rows.append(DiffRow(kind="removed", sign="\N{MINUS SIGN}", text=line[1:], old=old))
            old += 1
        else:
            rows.append(DiffRow(kind="same", sign="", text=line[1:], old=old, new=new))
            old, new = old + 1, new + 1
    return Diff(
        rows=tuple(rows[:max_lines]),
        n_added=sum(row.kind == "added" for row in rows),
        n_removed=sum(row.kind == "removed" for row in rows),
        n_left_out=max(0, len(rows) - max_lines),
    )
