"""Tokens carry a place in an order, and fit one search."""

import base64
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.tracking.search.evaluate import MISSING, NOT_A_NUMBER, NUMBER, Fact
from noria.tracking.search.page_tokens import PageTokenInvalid, mark_of, read_token, write_token

MARK = mark_of("metrics.a > 1", ["metrics.a"])

values = st.one_of(
    st.floats(allow_nan=False),
    st.integers(-(2**63), 2**63 - 1),
    st.text(st.characters(exclude_categories=["Cs"])),
)
ranked = st.tuples(st.just(NUMBER), values) | st.tuples(st.sampled_from([NOT_A_NUMBER, MISSING]), st.none())


@given(place=st.lists(ranked, min_size=1).map(tuple))
def test_a_token_brings_back_its_place(place: tuple[tuple[int, Fact], ...]) -> None:
    """Every float, infinities too, every integer and every text comes back as it was."""
    kinds = tuple([type(value) if rank == NUMBER else str for rank, value in place])

    assert read_token(write_token(MARK, place), MARK, kinds) == place


def test_a_token_of_another_search_is_refused() -> None:
    """Its mark differs."""
    token = write_token(MARK, ((NUMBER, 1.0),))
    with pytest.raises(PageTokenInvalid, match="another search"):
        read_token(token, mark_of("metrics.a > 2", ["metrics.a"]), (float,))


def _made(*content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


@pytest.mark.parametrize(
    "token",
    [
        "",
        "nonsense",
        "é\ud800",
        base64.b64encode(b'{"offset": 3}').decode(),
        _made(MARK, [[0, "f", "one"]]),
        _made(MARK, [[0, "f", "0x1p99999"]]),
        _made(MARK, [[0, "i", "1" * 5_000]]),
        _made(MARK, [[0, "s", "text"]]),
        _made(MARK, [[7, "f", "0x1p0"]]),
        _made(MARK, []),
        _made(MARK, [[0, "f", "0x1p0"], [0, "f", "0x1p0"]]),
        _made(MARK),
    ],
)
def test_what_is_no_token_is_refused(token: str) -> None:
    """Whatever was sent, the answer is the same kind of error."""
    with pytest.raises(PageTokenInvalid, match="Invalid page token"):
        read_token(token, MARK, (float,))


def test_nan_is_a_rank_and_no_value() -> None:
    """A place at NaN holds no float that would compare with nothing."""
    token = write_token(MARK, ((NOT_A_NUMBER, None), (NUMBER, math.inf)))
    assert read_token(token, MARK, (float, float)) == ((NOT_A_NUMBER, None), (NUMBER, math.inf))
