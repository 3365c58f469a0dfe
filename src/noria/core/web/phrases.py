"""Phrases with places in which names and figures stand: what a page says of something in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What stands in a place of a phrase.

    Attributes
    ----------
    text
        A user's name; words of ours, to be translated, with `is_ours`.
    number
        A figure instead; with `is_share` one from 0 to 1, told in per cent.
    """

    text: str = ""
    is_ours: bool = False
    number: float | None = None
    is_share: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """A sentence.

    Attributes
    ----------
    words
        Of ours, to be translated, with `%(name)s` for each place.
    places
        What stands in them; there may be more than the words have.
    """

    words: str
    places: Mapping[str, Place] = field(default_factory=dict)
