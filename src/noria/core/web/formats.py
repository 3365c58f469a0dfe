"""Numbers, dates and JSON values as readers of a language write them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from babel.core import Locale
from babel.dates import format_datetime, format_timedelta
from babel.numbers import format_decimal, format_percent

from noria.core.web.languages import Language, translations

NOTHING = "–"

_LISTED = 8
_CLIPPED = 240
_COMMA_FOR_POINT = str.maketrans(",.", ".,")
_FIGURE = re.compile(r"[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?%?")
_BYTE_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


class Formats:
    """Formats for one language."""

    def __init__(self, language: Language) -> None:
        self._locale = Locale.parse(language.value)
        self._gettext = translations(language).gettext
        self.has_decimal_comma = str(self._locale.number_symbols["latn"]["decimal"]) == ","

    def number(self, value: float | None, digits: int = 3) -> str:
        """Give a number with so many significant digits; whole numbers in full."""
        if value is None:
            return NOTHING
        if not math.isfinite(value):
            return str(value)
        if value == int(value) and abs(value) < 1e15:
            return str(format_decimal(int(value), locale=self._locale))
        rounded = float(f"{value:.{digits}g}")
        places = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
        if places > 9:
            return f"{value:.{digits - 1}e}"
        return str(format_decimal(rounded, format="#,##0." + "#" * places, locale=self._locale))

    def brief(self, value: float | str | datetime | None) -> str:
        """Give a value for a long table: four significant digits, and quick, since such a table has thousands."""
        if value is None:
            return NOTHING
        if isinstance(value, str):
            return clipped(value, 80)
        if isinstance(value, datetime):
            return f"{value:%Y-%m-%d %H:%M:%S}"
        is_whole = math.isfinite(value) and value == int(value) and abs(value) < 1e15
        text = f"{int(value):,d}" if is_whole else f"{value:,.4g}"
        return text.translate(_COMMA_FOR_POINT) if self.has_decimal_comma else text

    def percent(self, share: float | None) -> str:
        """Give a share between 0 and 1 in per cent, with one decimal where it tells something."""
        if share is None or not math.isfinite(share):
            return NOTHING
        pattern = "#,##0\N{NO-BREAK SPACE}%" if share in (0.0, 1.0) else "#,##0.0\N{NO-BREAK SPACE}%"
        return str(format_percent(share, format=pattern, locale=self._locale))

    def whole_percent(self, share: float) -> str:
        """Give a share between 0 and 1 in per cent with at most one decimal, none when it is zero."""
        return str(format_percent(share, format="#,##0.#\N{NO-BREAK SPACE}%", locale=self._locale))

    def figure(self, text: str) -> str:
        """Give a figure as programs write it, `0.25` or `12.3%`, as readers do; any other text as it is."""
        if not _FIGURE.fullmatch(text):
            return text
        shown = text.replace("%", "\N{NO-BREAK SPACE}%")
        return shown.translate(_COMMA_FOR_POINT) if self.has_decimal_comma else shown

    def moment(self, at: datetime | None) -> str:
        """Give date and time to the minute, in UTC."""
        if at is None:
            return NOTHING
        return f"{format_datetime(at, 'd MMM y, HH:mm', locale=self._locale)} UTC"

    def clock_time(self, at: datetime) -> str:
        """Give the time of the day to the second, in UTC."""
        return str(format_datetime(at, "HH:mm:ss", locale=self._locale))

    def day(self, at: datetime) -> str:
        """Give the day without its year, in UTC."""
        return str(format_datetime(at, "d MMM", locale=self._locale))

    def ago(self, at: datetime, now: datetime) -> str:
        """Give how long ago something was, at least a second."""
        age = max(now - at, timedelta(seconds=1))
        return str(format_timedelta(-age, add_direction=True, locale=self._locale))

    def duration(self, seconds: float | None) -> str:
        """Give a length of time in its largest unit; below ten seconds with a decimal."""
        if seconds is None:
            return NOTHING
        if seconds < 10:
            return f"{self.number(round(seconds, 1))} s"
        return str(format_timedelta(timedelta(seconds=seconds), format="short", locale=self._locale))

    def brief_duration(self, seconds: float | None) -> str:
        """Give a length of time for a long table, in its two largest units, and quick: `1 h 05 min`."""
        if seconds is None:
            return NOTHING
        if seconds < 60:
            return f"{self.brief(round(seconds, 0 if seconds >= 10 else 1))} s"
        minutes, rest = divmod(round(seconds), 60)
        if minutes < 60:
            return f"{minutes} min {rest:02} s"
        hours, minutes = divmod(minutes, 60)
        return f"{hours} h {minutes:02} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"

    def size(self, size_bytes: int) -> str:
        """Give an amount of bytes in its largest unit."""
        power = min(max(size_bytes.bit_length() - 1, 0) // 10, len(_BYTE_UNITS) - 1)
        return f"{self.number(size_bytes / (1 << 10 * power))} {_BYTE_UNITS[power]}"

    def value(self, value: Any) -> str:
        """Give any JSON value as short text."""
        return clipped(self._value(value))

    def _value(self, value: Any) -> str:
        if value is None:
            return NOTHING
        if isinstance(value, bool):
            return self._gettext("yes") if value else self._gettext("no")
        if isinstance(value, int | float):
            return self.number(value)
        if isinstance(value, Mapping):
            return "; ".join(f"{key}: {self._value(inner)}" for key, inner in _first(list(value.items())))
        if isinstance(value, Sequence) and not isinstance(value, str):
            shown = ", ".join(self._value(inner) for inner in value[:_LISTED])
            return f"{shown} …" if len(value) > _LISTED else shown
        return str(value)


def clipped(text: str, length: int = _CLIPPED) -> str:
    """Give a text, cut with an ellipsis where it is longer than `length` characters."""
    return text if len(text) <= length else text[: length - 1] + "…"


def _first(items: list[Any]) -> list[Any]:
    return items[:_LISTED]
