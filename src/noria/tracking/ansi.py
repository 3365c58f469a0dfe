r"""Console output with its colours, as pieces of text with the names of their styles. Pure.

Of the control sequences of terminals (ECMA-48) those that set colours and weights (`SGR`) count; others are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_SEQUENCE = re.compile(r"\x1b(?:\[([0-9;:]*)([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_WEIGHTS = {1: "bold", 2: "faint", 3: "italic", 4: "underline"}
_ENDS = {22: ("bold", "faint"), 23: ("italic",), 24: ("underline",)}
_COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
_CUBE = (0, 95, 135, 175, 215, 255)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A stretch of text in one style.

    Attributes
    ----------
    styles
        Names for a style sheet, such as `ansi-red ansi-bold`; empty for plain text.
    """

    text: str
    styles: str = ""


@dataclass(frozen=True, slots=True)
class _Style:
    colour: str = ""
    weights: frozenset[str] = frozenset()

    @property
    def names(self) -> str:
        return " ".join(f"ansi-{name}" for name in (self.colour, *sorted(self.weights)) if name)


def pieces(text: str) -> list[Piece]:
    r"""Part text into pieces of one style each.

    Examples
    --------
    >>> [(piece.text, piece.styles) for piece in pieces("a \x1b[1;31mb\x1b[0m c")]
    [('a ', ''), ('b', 'ansi-red ansi-bold'), (' c', '')]
    """
    found: list[Piece] = []
    for part, style in _parts(text):
        shown = _UNSEEN.sub("", part)
        if not shown:
            continue
        if found and found[-1].styles == style.names:
            found[-1] = Piece(text=found[-1].text + shown, styles=style.names)
        else:
            found.append(Piece(text=shown, styles=style.names))
    return found


def _parts(text: str) -> Iterator[tuple[str, _Style]]:
    style = _Style()
    place = 0
    for sequence in _SEQUENCE.finditer(text):
        yield text[place : sequence.start()], style
        place = sequence.end()
        if sequence[2] == "m":
            style = _changed(style, sequence[1])
    yield text[place:], style


def _changed(style: _Style, parameters: str) -> _Style:
    numbers = iter([int(each[:4]) if each else 0 for each in re.split("[;:]", parameters)])
    for number in numbers:
        style = _with(style, number, numbers)
    return style


def _with(style: _Style, number: int, rest: Iterator[int]) -> _Style:
    colour, weights = style.colour, style.weights
    if number in _WEIGHTS:
        weights |= {_WEIGHTS[number]}
    elif number in _ENDS:
        weights -= {*_ENDS[number]}
    elif 30 <= number <= 37 or 90 <= number <= 97:
        colour = _COLOURS[number % 10]
    elif number in (38, 48):
        wide = _wide_colour(rest)
        colour = wide if number == 38 else colour
    elif number in (0, 39):
        colour, weights = "", weights if number else frozenset()
    return _Style(colour, weights)


def _wide_colour(rest: Iterator[int]) -> str:
    """Read a colour out of 256 or 16 million, and give the nearest of the eight."""
    kind = next(rest, 0)
    if kind == 5:
        return _nearest(*_of_palette(next(rest, 0)))
    if kind == 2:
        return _nearest(next(rest, 0), next(rest, 0), next(rest, 0))
    return ""


def _of_palette(number: int) -> tuple[int, int, int]:
    if number < 16:
        level = 255 if number >= 8 else 200
        return level * (number & 1), level * (number >> 1 & 1), level * (number >> 2 & 1)
    if number < 232:
        cube = number - 16
        return _CUBE[cube // 36], _CUBE[cube // 6 % 6], _CUBE[cube % 6]
    grey = 8 + 10 * (min(number, 255) - 232)
    return grey, grey, grey


def _nearest(red: int, green: int, blue: int) -> str:
    greatest = max(red, green, blue)
    if greatest - min(red, green, blue) < 40:
        return ""  # a grey: the ink of the page reads better
    half = (greatest + min(red, green, blue)) / 2
    return _COLOURS[(red > half) + 2 * (green > half) + 4 * (blue > half)]
