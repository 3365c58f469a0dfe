"""Regular expressions that callers send."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.tracking.traces.expressions import MAX_EXPRESSION_CHARS, ExpressionInvalid, expression

atoms = st.sampled_from(
    [
        "a",
        "b",
        "1",
        ".",
        "[ab]",
        "[^a]",
        "[a-c1]",
        "[]a]",
        "[a-]",
        "\\d",
        "\\W",
        "\\s",
        "\\.",
        "\\n",
        "^",
        "$",
    ]
)
expressions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda both: f"({both[0]}|{both[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{0,}", "*?", "+?"])).map(
            lambda both: f"(?:{both[0]}){both[1]}"
        ),
    ),
    max_leaves=8,
)
texts = st.text(alphabet="abc1.]- \n", max_size=10)


@given(expressions, st.lists(texts, min_size=1, max_size=5))
def test_expressions_mean_what_pythons_do(written: str, texts: list[str]) -> None:
    """Anywhere in the text; `$` is the very end of it."""
    read = expression(written)
    other = re.compile(written.replace("$", "\\Z"))

    assert [read.search(text) for text in texts] == [other.search(text) is not None for text in texts]


@pytest.mark.parametrize(
    ("written", "text", "fits"),
    [
        ("", "", True),
        ("", "anything", True),
        ("^$", "", True),
        ("^$", "a", False),
        ("a{,2}", "a{,2}", True),
        ("x{", "x{", True),
        ("[a-z]+@", "ana@example", True),
        ("\\bword", "", None),
        ("ü+", "füür", True),
        ("[^\\d]", "123", False),
        ("[\\d.]+$", "v1.5", True),
        ("a|", "zzz", True),
    ],
)
def test_what_is_written_is_taken_word_for_word(written: str, text: str, fits: bool | None) -> None:
    """Signs that repeat nothing stand for themselves; what is not known is refused."""
    if fits is None:
        with pytest.raises(ExpressionInvalid):
            expression(written)
    else:
        assert expression(written).search(text) is fits


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("(", "a group is not closed"),
        ("(a", "a group is not closed"),
        ("a)", "closes nothing"),
        ("[a", "it ends too early"),
        ("*", "nothing stands before"),
        ("a\\", "it ends too early"),
        ("(?=a)", "only `(?:` is known"),
        ("(?i)a", "only `(?:` is known"),
        ("a{9999}", "repeats too often"),
        ("((a{30}){30}){30}", "repeats too often"),
        ("a{3,2}", "repeats too often"),
        ("\\p", "is not known"),
        ("(" * 40 + ")" * 40, "inside one another"),
        ("(a" * 40 + ")*" * 40, "inside one another"),
        ("a" * (MAX_EXPRESSION_CHARS + 1), "characters"),
    ],
)
def test_what_cannot_be_read_is_told(written: str, told: str) -> None:
    """With what is wrong, and what may be written."""
    with pytest.raises(ExpressionInvalid) as caught:
        expression(written)
    assert told in caught.value.message
    assert caught.value.hint


def test_groups_lie_inside_one_another() -> None:
    """And may be repeated at each level, as far as the whole stays small."""
    assert expression("(" * 30 + "a" + ")" * 30).search("a")
    assert expression("(?:" * 6 + "a" + ")+" * 6 + "$").search("aaaa")


@pytest.mark.parametrize(
    "written", ["(a+)+b", "(a|a)*b", "(a*)*b", "(.*a){12}b", "(a?){20}a{20}b", "(?:a|ab|b)*c"]
)
def test_expressions_that_take_forever_elsewhere_do_not_here(written: str) -> None:
    """Each way through the text is followed once."""
    assert expression(written).search("a" * 20_000) is False


def test_what_was_remembered_is_forgotten_in_time() -> None:
    """Many different characters do not fill the memory, nor change what fits."""
    read = expression("é[^x]z")
    for code in range(0x4E00, 0x4E00 + 12_000):
        assert read.search(f"é{chr(code)}z")
    assert len(read._start.after) < 12_000
    assert not read.search("éxz")
