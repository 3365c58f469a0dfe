"""What pages hand to the parts of templates: columns that sort, tabs, pagers. Pure; `templates/_*.html` show them."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple


class Direction(enum.StrEnum):
    """How a column is sorted, in the words of `aria-sort`."""

    NONE = "none"
    ASCENDING = "ascending"
    DESCENDING = "descending"

    @property
    def sign(self) -> str:
        """The direction as an arrow."""
        return {"none": "", "ascending": "\N{UPWARDS ARROW}", "descending": "\N{DOWNWARDS ARROW}"}[self.value]


class Sign(NamedTuple):
    """The state of a badge, a sign for those who see no colour, and words to be translated."""

    state: str
    sign: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    key
        Its name in addresses and forms.
    words
        Its heading: words of ours, to be translated, or a user's name (`is_ours=False`).
    url
        Sorts the table by it, or turns the order round; None where it cannot be sorted by.
    direction
        How the table is sorted by it now.
    is_number
        Whether it is set flush right.
    is_ours
        Whether the heading is words of ours.
    group
        Heading over several columns that follow one another: `Params`, `Metrics`; words of ours.
    """

    key: str
    words: str
    url: str | None = None
    direction: Direction = Direction.NONE
    is_number: bool = False
    is_ours: bool = True
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tab:
    """A view of a thing that has several.

    Attributes
    ----------
    words
        To be translated.
    url
        Where it is.
    is_current
        Whether it is this page.
    count
        How many things are in it; None where that is not counted.
    """

    words: str
    url: str
    is_current: bool = False
    count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pager:
    """The place of a page in a list that is read by key.

    Attributes
    ----------
    first
        The beginning; None when this is it.
    following
        The next page; None at the end.
    previous
        The page before, where the list can be read backwards.
    n_shown
        Rows on this page.
    total
        Rows of the whole list; None where nobody counted.
    is_capped
        Whether there are more than `total`.
    """

    first: str | None = None
    following: str | None = None
    previous: str | None = None
    n_shown: int = 0
    total: int | None = None
    is_capped: bool = False

    @property
    def is_first(self) -> bool:
        """Whether the list begins here."""
        return self.first is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Something that may be ticked: a column to show.

    Attributes
    ----------
    value
        As the form sends it.
    words
        A user's name, or words of ours (`is_ours`).
    is_chosen
        Whether it is ticked.
    group
        Heading over several that follow one another; words of ours.
    """

    value: str
    words: str
    is_chosen: bool
    is_ours: bool = False
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """Neighbours that have a heading in common; the heading may be empty."""

    words: str
    items: tuple[Any, ...]

    @property
    def n(self) -> int:
        """How many they are."""
        return len(self.items)


def together(items: Sequence[Any], attribute: str) -> list[Together]:
    """Put neighbours with equal attributes together, without changing the order.

    Examples
    --------
    >>> columns = [Column(key=k, words=k, group=g) for k, g in (("a", ""), ("b", "P"), ("c", "P"))]
    >>> [(each.words, each.n) for each in together(columns, "group")]
    [('', 1), ('P', 2)]
    """
    grouped = itertools.groupby(items, attrgetter(attribute))
    return [Together(words=words, items=tuple(found)) for words, found in grouped]
