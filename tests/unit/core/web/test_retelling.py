"""Sentences that are stored in English are found again by their words."""

from __future__ import annotations

import pytest
from markupsafe import Markup

from noria.core.web.languages import Language, mark
from noria.core.web.rendering import environment
from noria.core.web.retelling import LONGEST, Retelling, Sentence

SHARE = mark("%(failed)s of %(all)s requests failed, %(share)s (99%% interval)")
PLACE = mark("Where `%(segment)s`: %(text)s")
LISTED = mark("%(text)s. Segments: %(segment_list)s")
FOUND = Retelling(LISTED, PLACE, SHARE)


def english(sentence: Sentence) -> str:
    """Put a sentence together again."""
    if not sentence.is_known:
        return sentence.words
    return sentence.words % {name: english(value) for name, value in sentence.values.items()}


@pytest.mark.parametrize(
    "text",
    [
        "3 of 40 requests failed, 7.5% (99% interval)",
        "Where `region = 50% north`: 3 of 40 requests failed, 7.5% (99% interval)",
        "Where `a`: Where `b`: 3 of 40 requests failed, 7.5% (99% interval). Segments: `x`, `y: z`",
        "Somebody else wrote 3 of this",
        "",
    ],
)
def test_what_is_found_says_the_same(text: str) -> None:
    """The words with their values are the text, whoever said it."""
    assert english(FOUND.find(text)) == text


def test_sentences_that_stand_behind_one_another_are_found_one_by_one() -> None:
    """A sentence with a semicolon of its own stays whole, and one that nobody knows makes the whole unknown."""
    own = mark("%(n_words)s wait; %(m)s do not")
    joined = Retelling(own, SHARE).find(
        "3 old ones wait; 2 do not; 1 of 2 requests failed, 50.0% (99% interval)"
    )

    assert [each.words for each in joined.values.values()] == [own, SHARE]
    assert english(joined) == "3 old ones wait; 2 do not; 1 of 2 requests failed, 50.0% (99% interval)"
    assert not Retelling(own, SHARE).find("3 wait; 2 do not; so they say").is_known


def test_only_our_words_are_known() -> None:
    """A text of a user is told as it stands."""
    assert FOUND.find("1 of 2 requests failed, 50.0% (99% interval)").words == SHARE
    assert not FOUND.find("requests failed").is_known


def test_a_hostile_text_is_cut_in_one_way() -> None:
    """A text made to be cut in many ways is not found (soon: the test ends); one that is too long is not looked at."""
    assert not FOUND.find("Where `" * 500).is_known
    assert not FOUND.find("x. Segments: `a" * 250).is_known
    assert not FOUND.find("3" * (LONGEST + 1)).is_known
    with pytest.raises(ValueError, match="more than one place"):
        Retelling("%(text)s and %(text)s")


def told(text: str, language: Language, length: int = 2000) -> Markup:
    """Tell a text as pages do."""
    shown: Markup = environment(language).filters["told"](ALERTS.find(text), length)
    return shown


ALERTS = Retelling("No more than %(share)s of the requests failed in %(windows)s windows in a row", PLACE)


def test_a_sentence_of_ours_is_told_in_the_readers_language() -> None:
    """With figures in the reader's form; what stands in backticks is a name, and stays."""
    text = "Where `1.5`: No more than 2.5% of the requests failed in 2 windows in a row"

    assert told(text, Language.ENGLISH) == text.replace("`1.5`", "<code>1.5</code>").replace("%", "\xa0%")
    assert told(text, Language.SPANISH) == (
        "Donde <code>1.5</code>: No fallaron más de 2,5\xa0% de las peticiones en 2 ventanas seguidas"
    )


def test_a_sentence_of_somebody_else_stays_and_is_marked_as_english() -> None:
    """Markup in it is text."""
    assert told("<b>`<i>`", Language.SPANISH) == '<span lang="en">&lt;b&gt;<code>&lt;i&gt;</code></span>'
    assert told("Where `<b>`: <b>", Language.SPANISH) == "Donde <code>&lt;b&gt;</code>: &lt;b&gt;"
    assert told("abcdef", Language.ENGLISH, 4) == '<span lang="en">abc…</span>'
