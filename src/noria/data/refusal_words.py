"""Why a version of data is not found: kept in English, told in the language of the page."""

from __future__ import annotations

from typing import Final

from noria.core.web.languages import mark
from noria.core.web.retelling import Retelling

retelling: Final = Retelling(
    mark("It was removed (see `%(command)s`)"),
    mark("All of its versions were removed (see `%(command)s`)"),
    mark("The dataset `%(name)s` had no version yet at %(moment)s"),
    mark("See the times in `%(command)s`; they are in UTC"),
    mark("The dataset `%(name)s` has no tag `%(tag)s`"),
    mark("Its tags: %(known_list)s"),
    mark("Its tags: none"),
    mark("`%(selector)s` in `%(ref)s` is not a version"),
    mark("Write `%(first)s`, `%(newest)s`, or a time as in `%(moment)s`"),
    mark("`%(moment)s` is no point in time: %(text)s"),
    # What Python says of a moment.
    mark("month must be in 1..12"),
    mark("day is out of range for month"),
    mark("hour must be in 0..23"),
    mark("minute must be in 0..59"),
    mark("second must be in 0..59"),
    mark("year 0 is out of range"),
    mark("Invalid isoformat string: %(text)s"),
    mark("Write a date such as `2026-01-31`, or `2026-01-31T12:30` with the time in UTC"),
)
"""Of messages and hints."""
