"""What the last action has to say, kept in a cookie until the next page shows it."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from noria.core.web.cookies import NOTICE_COOKIE, Cookie
from noria.core.web.seals import Seals

NOTICE_LIFE = timedelta(minutes=2)
_MOST = 3800
"""Browsers keep cookies of up to 4096 characters with name and attributes."""


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A sentence about what was done.

    Attributes
    ----------
    words
        To be translated, with `%(name)s` for values.
    values
        What is put in.
    undo, undo_fields
        Address of the action that takes it back, and the fields of its form; empty when there is none.
    secret
        What is shown this once.
    """

    words: str
    values: dict[str, str] = {}
    undo: str = ""
    undo_fields: list[tuple[str, str]] = []
    secret: str = ""


def close_notice(seals: Seals, notice: Notice) -> Cookie | None:
    """Give the cookie that carries a notice to the next page; without its way back, or None, where it is too long."""
    for each in (notice, msgspec.structs.replace(notice, undo="", undo_fields=[])):
        closed = seals.close(msgspec.json.encode(each).decode(), NOTICE_COOKIE)
        if len(closed) <= _MOST:
            return Cookie(name=NOTICE_COOKIE, value=closed, life=NOTICE_LIFE, is_strict=True)
    return None


def open_notice(seals: Seals, closed: str) -> Notice | None:
    """Give the notice of a cookie; None when it is not ours or too old."""
    opened = seals.open(closed, NOTICE_COOKIE, life=NOTICE_LIFE)
    return None if opened is None else msgspec.json.decode(opened, type=Notice)
