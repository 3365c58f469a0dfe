"""What the process that predicts shadows is at, told to its parent on its page of the board.

One that hangs is killed and replaced, and its successor, which is handed the same requests again, passes by those that
it hung at.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import msgspec

from noria.core.priority import process_held_up_s
from noria.serving.modelserver.board import Page, Word

_MOST = 10

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


class HangWatch:
    """Tells when the process of a page hangs at a prediction although it could go on.

    It predicts when others leave it a processor, so the time does not count in which it was ready and got none; but
    after `_MOST` times as long it is let go of as well.

    Parameters
    ----------
    hung_after_s
        At one prediction for longer is too long.
    held_up
        Gives for how many seconds a process was ready and got no processor, since it began.
    """

    def __init__(
        self, page: Page, hung_after_s: float, held_up: Callable[[int], float] = process_held_up_s
    ) -> None:
        self._page = page
        self._hung_after_s = hung_after_s
        self._held_up = held_up
        self._slow = (0, 0.0)

    def hangs(self, pid: int, now_ns: int) -> bool:
        """Tell whether it hangs.

        Parameters
        ----------
        now_ns
            Of the monotonic clock.
        """
        began_ns = int(self._page.words[Word.OLDEST_NS])
        at_it_s = (now_ns - began_ns) / 1e9
        if not began_ns or at_it_s <= self._hung_after_s / 2:
            return False
        held_up = self._held_up(pid)
        if self._slow[0] != began_ns:  # the half before is not looked at: most predictions never come so far
            self._slow = began_ns, held_up
        most_s = (_MOST - 1) * self._hung_after_s
        return at_it_s - min(max(0.0, held_up - self._slow[1]), most_s) > self._hung_after_s


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
