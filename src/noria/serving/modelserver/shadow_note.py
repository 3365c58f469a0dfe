"""What the process that predicts shadows is at, told to its parent on its page of the board.

One that hangs is killed and replaced, and its successor, which is handed the same requests again, passes by those that
it hung at.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import msgspec

from noria.serving.modelserver.board import Page, Word

Asked = tuple[int, str]
"""Version, and id of the request that it is asked about."""


class _Note(msgspec.Struct, frozen=True, array_like=True):
    """Requests that are passed by, and those that are being predicted."""

    passed: list[Asked] = []
    now: list[Asked] = []


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Note).decode


class ShadowNote:
    """The note of the process that predicts. Used by the thread that does.

    Attributes
    ----------
    passed
        Requests at which a process before this one hung.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self.passed: set[Asked] = set(_read(page).passed)

    def begin(self, version: int, ids: Iterable[str]) -> None:
        """Tell what is predicted from now on."""
        self._page.write_note(_encode(_Note(list(self.passed), [(version, identity) for identity in ids])))
        self._page.words[Word.OLDEST_NS] = time.monotonic_ns()

    def end(self) -> None:
        """Tell that it is predicted."""
        self._page.words[Word.OLDEST_NS] = 0

    def forget(self) -> None:
        """Let go of what was passed by: it does not come again."""
        self.passed.clear()


def hangs(page: Page, hung_after_s: float) -> bool:
    """Tell whether the process of a page is at one prediction for longer than that."""
    oldest_ns = int(page.words[Word.OLDEST_NS])
    return oldest_ns > 0 and time.monotonic_ns() - oldest_ns > hung_after_s * 1e9


def settle(page: Page, *, hung: bool) -> int:
    """Leave the next process a note of what a dead one hung at, and tell how many requests it hung at.

    Parameters
    ----------
    hung
        False when it died otherwise: what it was at is predicted again.
    """
    note = _read(page)
    dropped = note.now if hung else []
    page.clear()
    page.write_note(_encode(_Note([*note.passed, *dropped])))
    return len(dropped)


def _read(page: Page) -> _Note:
    note = page.read_note()
    return _Note() if note is None else _decode(note)
