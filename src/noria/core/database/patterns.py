"""Compare text with patterns of SQL's `LIKE` alike on both databases."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

_GLOB = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}


def like(dialect: str, column: sa.ColumnElement[Any], pattern: str) -> sa.ColumnElement[bool]:
    """Give the condition that a text has the form of a pattern, its capitals told apart.

    Parameters
    ----------
    pattern
        `%` is any text and `_` one character; nothing escapes them.
    """
    if dialect == "sqlite":
        # Its LIKE does not tell capitals apart; its GLOB does, and has signs of its own.
        return column.op("glob", is_comparison=True)("".join(_GLOB.get(sign, sign) for sign in pattern))
    return column.like(_unescaped(pattern))


def ilike(dialect: str, column: sa.ColumnElement[Any], pattern: str) -> sa.ColumnElement[bool]:
    """Give the same condition, in which `a` and `A` are one."""
    return column.like(pattern) if dialect == "sqlite" else column.ilike(_unescaped(pattern))


def _unescaped(pattern: str) -> str:
    # PostgreSQL would take a backslash for an escape.
    return pattern.replace("\\", "\\\\")
