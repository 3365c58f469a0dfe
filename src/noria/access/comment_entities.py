"""Comments: what people say about things of any capability."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

MAX_COMMENT_CHARS: Final = 20_000


class NewComment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something to say.

    Attributes
    ----------
    on
        What it is about: `run:ID`, `model:NAME@VERSION`, `dataset:NAME@VERSION`, `endpoint:NAME`, `incident:ID` or
        `record:ID` (a decision).
    text
        Markdown, 1 to 20,000 characters.
    """

    on: str
    text: str


class CommentChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another text.

    Attributes
    ----------
    revision
        Of the comment that the text was made from; a newer one is not written over. None: whatever it is.
    """

    text: str
    revision: int | None = None


class Comment(msgspec.Struct, frozen=True, kw_only=True):
    """Something that somebody said.

    Attributes
    ----------
    on
        What it is about; the kind and the id of the thing, which outlast its name.
    revision
        Counts its texts, from 1.
    edited_at
        When the author last changed the text; None for a text that is the first.
    deleted_at
        None for one that is shown. A removed one can be restored until the grace period is over.
    """

    id: str
    project: str
    on: str
    author: str
    text: str
    revision: int
    created_at: datetime
    edited_at: datetime | None = None
    deleted_at: datetime | None = None


class CommentPage(msgspec.Struct, frozen=True, kw_only=True):
    """The last comments in the order in which they were said; `next` continues with those before, or is None."""

    items: list[Comment]
    next: str | None
