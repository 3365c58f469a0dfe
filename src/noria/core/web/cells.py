"""Rows of long tables as HTML, made in Python: calls within a template take longer than all the rest of such a page."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from markupsafe import Markup, escape

from noria.core.web.formats import NOTHING, Formats, clipped
from noria.core.web.languages import mark
from noria.core.web.parts import Sign

_WORKER: Final = re.compile(r"worker:(?P<id>[0-9a-f]{32})")
_END_OF_ID: Final = 8
_SHOWN: Final = 80
_TOLD: Final = 500
_SURELY_FITS: Final = 16
"""Letters that no column is too narrow for. A cell that may have to cut its text is a layer of its own to a browser."""


def author(name: str) -> Markup:
    """Give who did something; a worker, whose name holds its whole id, by the end of that.

    Examples
    --------
    >>> author("ana & co")
    Markup('ana &amp; co')
    >>> author("worker:01a206d8cc7a77429c451fd3eecda2ab")
    Markup('<span title="worker:01a206d8cc7a77429c451fd3eecda2ab">worker …eecda2ab</span>')
    """
    worker = _WORKER.fullmatch(name)
    if worker is None:
        return escape(name)
    return Markup('<span title="{}">worker …{}</span>').format(name, worker["id"][-_END_OF_ID:])


class CellKind(enum.StrEnum):
    """What the values of a column are."""

    NUMBER = "number"
    SECONDS = "seconds"
    TEXT = "text"
    AUTHOR = "author"
    MOMENT = "moment"
    BADGE = "badge"
    MEAN = "mean"
    PEAK = "peak"

    @property
    def is_flush_right(self) -> bool:
        """Whether its values stand below one another by their last digit."""
        return self in (CellKind.NUMBER, CellKind.SECONDS, CellKind.MEAN, CellKind.PEAK)


class Mean(NamedTuple):
    """The mean of some numbers, between the least and the greatest of them.

    Attributes
    ----------
    half
        Half the width of the mean's interval; None of fewer than two numbers.
    """

    mean: float
    least: float
    greatest: float
    half: float | None
    n: int


class Peak(NamedTuple):
    """A number, and which end of its column it is: `greatest`, `least`, or empty for neither."""

    value: float
    end: str = ""


class Cells:
    """Makes the cells of a row.

    Parameters
    ----------
    formats
        Of the reader's language.
    words
        Translates words of ours.
    """

    def __init__(self, formats: Formats, words: Callable[[str], str]) -> None:
        self._formats = formats
        self._words = words
        self._makers: dict[CellKind, Callable[[Any], str]] = {
            CellKind.NUMBER: self._number,
            CellKind.SECONDS: self._seconds,
            CellKind.TEXT: self._text,
            CellKind.AUTHOR: self._author,
            CellKind.MOMENT: self._moment,
            CellKind.BADGE: self._badge,
            CellKind.MEAN: self._mean,
            CellKind.PEAK: self._peak,
        }
        self._badges: dict[Sign, str] = {}

    def __call__(self, values: Sequence[Any], kinds: Sequence[CellKind]) -> Markup:
        r"""Give one cell for each value; None is shown as a dash.

        Parameters
        ----------
        kinds
            What each value is: a number, seconds, a text, who did it, a `datetime`, a `Sign`, a `Mean` or a `Peak`.

        Examples
        --------
        >>> from noria.core.web.languages import Language
        >>> Cells(Formats(Language.SPANISH), str)([0.5, "<b>"], [CellKind.NUMBER, CellKind.TEXT])
        Markup('<td class="is-number">0,5</td><td class="nowrap">&lt;b&gt;</td>')
        """
        makers = self._makers
        made = [
            _EMPTY[kind] if value is None else makers[kind](value)
            for value, kind in zip(values, kinds, strict=True)
        ]
        # Without space between them: a browser keeps a node for each gap.
        return Markup("".join(made))  # noqa: S704 - texts are escaped by their maker

    def _number(self, value: float) -> str:
        return f'<td class="is-number">{self._formats.brief(value)}</td>'

    def _seconds(self, value: float) -> str:
        return f'<td class="is-number">{self._formats.brief_duration(value)}</td>'

    def _moment(self, value: datetime) -> str:
        return f'<td class="nowrap">{self._formats.brief(value)}</td>'

    def _text(self, value: str) -> str:
        if len(value) <= _SURELY_FITS:
            # Letters and digits need no escaping, which takes longer than all the rest of such a cell.
            return f'<td class="nowrap">{value if value.isalnum() else escape(value)}</td>'
        if len(value) <= _SHOWN:
            return f'<td class="is-text">{escape(value)}</td>'
        told, shown = escape(clipped(value, _TOLD)), escape(clipped(value, _SHOWN))
        return f'<td class="is-text" title="{told}">{shown}</td>'

    def _author(self, value: str) -> str:
        return f'<td class="is-text">{author(value)}</td>'

    def _mean(self, value: Mean) -> str:
        brief = self._formats.brief
        half = "" if value.half is None else f' <span class="quiet">± {brief(value.half)}</span>'
        ends = f'<span class="spread">{brief(value.least)} … {brief(value.greatest)}</span>'
        shown = f'<span class="figure">{brief(value.mean)}</span>{half}{ends if value.n > 1 else ""}'
        return f'<td class="is-number">{shown}</td>'

    def _peak(self, value: Peak) -> str:
        number = self._formats.brief(value.value)
        if not value.end:
            return f'<td class="is-number">{number}</td>'
        sign, words = _ENDS[value.end]
        said = escape(self._words(words))
        drawn = f'<span class="peak" title="{said}" role="img" aria-label="{said}">{sign}</span>'
        return f'<td class="is-number is-peak">{drawn} {number}</td>'

    def _badge(self, value: Sign) -> str:
        made = self._badges.get(value)
        if made is None:
            sign = f'<span class="sign" aria-hidden="true">{escape(value.sign)}</span>' if value.sign else ""
            inner = f"{sign}{escape(self._words(value.words))}"
            made = f'<td class="nowrap"><span class="badge is-{escape(value.state)}">{inner}</span></td>'
            self._badges[value] = made
        return made


_ENDS: Final = {"greatest": ("▲", mark("the greatest")), "least": ("▽", mark("the least"))}
_EMPTY = {
    kind: f'<td class="quiet{" is-number" if kind.is_flush_right else ""}">{NOTHING}</td>'
    for kind in CellKind
}
