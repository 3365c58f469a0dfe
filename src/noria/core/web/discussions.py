"""What people said about the thing that a page shows, as `_comments.html` shows it. Knows no store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

EARLIER: Final = "comments"
"""The query parameter of pages with comments: show those before this id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A comment.

    Attributes
    ----------
    text
        Markdown, as it was written.
    revision
        Of the text.
    edited_at
        When its author last changed it; None for a first text.
    may_edit, may_remove
        What the reader may do with it.
    """

    id: str
    author: str
    text: str
    revision: int
    created_at: datetime
    edited_at: datetime | None
    may_edit: bool
    may_remove: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Discussion:
    """Comments on a thing.

    Attributes
    ----------
    on
        The thing, as the form sends it: `run:ID`.
    project
        Where it is.
    said
        Some comments, the newest last.
    earlier_url
        Those before; None where these are the first.
    latest_url
        The newest ones; None where these are.
    may_add
        Whether the reader may say something.
    max_chars
        Of a text.
    """

    on: str
    project: str
    said: tuple[Said, ...]
    earlier_url: str | None
    latest_url: str | None
    may_add: bool
    max_chars: int
