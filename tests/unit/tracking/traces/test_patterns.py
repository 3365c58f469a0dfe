"""Patterns of LIKE, for texts at hand."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from noria.tracking.traces.patterns import like

patterns = st.text(alphabet="aAb%_.*[\n", max_size=8)
texts = st.text(alphabet="aAbB.*[\n", max_size=8)


@given(patterns, texts, st.booleans())
def test_patterns_mean_what_the_same_regular_expression_does(pattern: str, text: str, any_case: bool) -> None:
    """`%` is any text and `_` any character; nothing else is special."""
    wildcards = {"%": ".*", "_": "."}
    expression = "".join(wildcards.get(char, re.escape(char)) for char in pattern)
    flags = re.DOTALL | (re.IGNORECASE if any_case else 0)

    assert like(pattern, any_case=any_case)(text) == (re.fullmatch(expression, text, flags) is not None)


def test_letters_beyond_ascii_have_one_case() -> None:
    """As in both databases."""
    assert like("%ä%", any_case=True)("ä")
    assert not like("%ä%", any_case=True)("Ä")


def test_a_pattern_of_many_wildcards_takes_no_longer() -> None:
    """Each piece is looked for once, from where the one before ended."""
    assert not like("%a" * 2_000 + "%b")("a" * 20_000)
    assert not like("%a_" * 500 + "%b%c")("ab" * 20_000)
