"""Sentences that are stored in English, found again by their words: pages tell them in the language of their reader.

What is stored has to be whole for mail, terminals and other programs, and what earlier releases stored stays as it is.
So a page does not translate a key beside the text: it looks for the words that made the text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

LONGEST: Final = 4_000
"""A longer text is told as it stands: none of ours has so many letters."""

TEXT: Final = "text"
CODE: Final = "_code"
LIST_ENDS: Final = "_list"
WORDS_END: Final = "_words"

Known = tuple[tuple[re.Pattern[str], str], ...]

_DEPTH: Final = 16
_BETWEEN: Final = ("; ", ", ")
_MOST_JOINED: Final = 12
_PLACE: Final = re.compile(r"%\((?P<name>\w+)\)s")
_TICKED: Final = r"[^`]+"


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words as the catalogues know them, and what stands in their places.

    Attributes
    ----------
    words
        With `%(name)s` for each place, and `%%` for a per cent sign; the text itself where nobody knows it.
    values
        By place: text of users, figures, or sentences of ours.
    is_known
        Whether the words are ours.
    """

    words: str
    values: Mapping[str, Sentence] = field(default_factory=dict)
    is_known: bool = True


class Retelling:
    """Finds the words of sentences.

    Parameters
    ----------
    words
        Texts that `mark` gathered, the more special first. A place in backticks holds anything but a backtick; one
        called `text` holds anything, and is told as a sentence if it is one; one whose name ends in `_words` holds a
        few words, and is told so too; one whose name ends in `_list` holds names in backticks with commas between
        them; every other holds letters without a space. What stands in one whose name has `_code` is no figure though
        it may look like one, a version for instance, and is told as it was written.

    also
        Others, whose words are known too, after these.

    Raises
    ------
    ValueError
        If words have more than one place called `text`: a long text could be cut in too many ways.
    """

    def __init__(self, *words: str, also: Sequence[Retelling] = ()) -> None:
        own = tuple((_pattern(each), each) for each in words)
        self._known: Known = own + tuple(known for other in also for known in other._known)

    def find(self, text: str) -> Sentence:
        """Give the sentence that a text is; one that is not known where nobody said it.

        Sentences with semicolons between them are one sentence, if each of them is known; so are words with commas.

        Examples
        --------
        >>> found = Retelling("%(n)s of %(all)s requests failed").find("3 of 4 requests failed")
        >>> found.words % {name: value.words for name, value in found.values.items()}
        '3 of 4 requests failed'
        >>> Retelling("nothing failed").find("all failed").is_known
        False
        """
        return self._find(text, _DEPTH, {}) if len(text) <= LONGEST else Sentence(text, is_known=False)

    def _find(self, text: str, depth: int, seen: dict[str, Sentence]) -> Sentence:
        if not depth:
            return Sentence(text, is_known=False)
        if text not in seen:
            found = self._matched(text, depth, seen)
            for between in _BETWEEN if found is None else ():
                found = found or self._joined(text, between, depth, seen)
            seen[text] = found or Sentence(text, is_known=False)
        return seen[text]

    def _matched(self, text: str, depth: int, seen: dict[str, Sentence]) -> Sentence | None:
        for pattern, words in self._known:
            if found := pattern.fullmatch(text):
                values = {
                    name: self._find(value, depth - 1, seen) for name, value in found.groupdict().items()
                }
                return Sentence(words, values)
        return None

    def _joined(self, text: str, between: str, depth: int, seen: dict[str, Sentence]) -> Sentence | None:
        """Find sentences that stand behind one another, each as long as can be: some have semicolons of their own."""
        parts = text.split(between)
        for end in range(len(parts) - 1, 0, -1) if len(parts) <= _MOST_JOINED else ():
            first = self._matched(between.join(parts[:end]), depth - 1, seen)
            if first is not None:
                rest = self._find(between.join(parts[end:]), depth - 1, seen)
                return (
                    Sentence(f"%(first)s{between}%(rest)s", {"first": first, "rest": rest})
                    if rest.is_known
                    else None
                )
        return None


def _pattern(words: str) -> re.Pattern[str]:
    names = _PLACE.findall(words)
    if names.count(TEXT) > 1:
        raise ValueError(f"Words with more than one place for any text: {words!r}")
    parts, here = [], 0
    for place in _PLACE.finditer(words):
        parts.append(_literal(words[here : place.start()]))
        is_ticked = words[place.start() - 1 : place.start()] == "`" and words[place.end() :][:1] == "`"
        parts.append(f"(?P<{place['name']}>{_shape(place['name'], is_ticked=is_ticked)})")
        here = place.end()
    return re.compile("".join([*parts, _literal(words[here:])]), re.DOTALL)


def _literal(text: str) -> str:
    return re.escape(text.replace("%%", "%"))


def _shape(name: str, *, is_ticked: bool) -> str:
    if is_ticked:
        return _TICKED
    if name == TEXT:
        return ".+"
    if name.endswith(WORDS_END):
        return r"[^;]{1,80}?"
    return rf"`{_TICKED}`(?:, `{_TICKED}`)*" if name.endswith(LIST_ENDS) else r"\S+?"
