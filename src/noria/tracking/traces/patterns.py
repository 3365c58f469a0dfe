"""Patterns of `LIKE` and `ILIKE`: for SQL on either database, and for texts at hand.

Nothing is escaped: `%` is any text, `_` is one character. `ILIKE` takes ASCII letters in either case as the same.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

Test = Callable[[str], bool]

_SPECIAL = re.compile(r"[*?\[]")


def like_sql(dialect: str, column: sa.ColumnElement[Any], pattern: str) -> sa.ColumnElement[bool]:
    """Compare a column with a pattern, by case."""
    if dialect == "sqlite":
        # Its LIKE does not tell cases apart; GLOB does, and knows other wildcards.
        return column.op("GLOB")(_glob(pattern))
    return column.like(pattern, escape="")


def ilike_sql(dialect: str, column: sa.ColumnElement[Any], pattern: str) -> sa.ColumnElement[bool]:
    """Compare a column with a pattern, in any case."""
    if dialect == "sqlite":
        return column.op("LIKE")(pattern)
    return column.ilike(pattern, escape="")


@functools.lru_cache(maxsize=256)
def like(pattern: str, *, any_case: bool = False) -> Test:
    """Give a test of texts, which takes a time in proportion to the text whatever the pattern.

    Examples
    --------
    >>> like("%cat_")("a wildcat!"), like("cat%")("a cat"), like("%CAT%", any_case=True)("a cat")
    (True, False, True)
    """
    fold = _lower if any_case else str
    first, *rest = fold(pattern).split("%")
    if not rest:
        return lambda text: len(text) == len(first) and _fits(fold(text), first, 0)
    *inner, last = rest

    def test(text: str) -> bool:
        text = fold(text)
        end = len(text) - len(last)
        at = len(first)
        if at > end or not _fits(text, first, 0) or not _fits(text, last, end):
            return False
        for piece in inner:
            found = _find(text, piece, at, end)
            if found < 0:
                return False
            at = found + len(piece)
        return at <= end

    return test


def _glob(pattern: str) -> str:
    escaped = _SPECIAL.sub(lambda match: f"[{match[0]}]", pattern)
    return escaped.replace("%", "*").replace("_", "?")


def _lower(text: str) -> str:
    return text.translate(_TO_LOWER)


_TO_LOWER = {ord(upper): ord(upper) + 32 for upper in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


def _fits(text: str, piece: str, at: int) -> bool:
    """Tell whether a piece without `%` stands at a position."""
    if "_" not in piece:
        return text.startswith(piece, at)
    return len(text) >= at + len(piece) and all(
        wanted in ("_", text[at + i]) for i, wanted in enumerate(piece)
    )


def _find(text: str, piece: str, start: int, end: int) -> int:
    """Find where a piece without `%` stands first, or -1."""
    if "_" not in piece:
        return text.find(piece, start, end)
    found = re.compile(_regular(piece), re.DOTALL).search(text, start, end)
    return -1 if found is None else found.start()


def _regular(piece: str) -> str:
    """Give the regular expression of a piece: one without repetitions, so that it is quick."""
    return "".join("." if char == "_" else re.escape(char) for char in piece)
