"""What may follow in a filter: every suggestion is a filter that is read, or the beginning of one."""

from __future__ import annotations

import pytest

from noria.tracking.known import KeyKind, KnownKeys
from noria.tracking.search.completion import complete
from noria.tracking.search.fields import RUNS

KEYS = KnownKeys(params=("lr", "model/depth"), metrics=("acc", "loss", "val/acc"), tags=("team",))
VALUES = {"lr": ["0.1", "0.2"], "team": ["it's", "vision"]}


def values(kind: KeyKind, key: str, beginning: str) -> list[str]:
    """Give the values of a param or tag."""
    assert kind is not KeyKind.METRICS
    return [value for value in VALUES.get(key, []) if value.startswith(beginning)]


def offered(text: str) -> list[str]:
    """Give the filters that are suggested."""
    return [each.filter for each in complete(text, KEYS, values)]


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("", "status "),
        ("acc", "metrics.acc "),
        ("metrics.v", "metrics.`val/acc` "),
        ("params.`mo", "params.`model/depth` "),
        ("metrics.acc ", "metrics.acc = "),
        ("params.lr li", "params.lr LIKE "),
        ("tags.team is not", "tags.team IS NOT NULL AND "),
        ("status i", "status ILIKE "),
        ("status = ", "status = 'RUNNING' "),
        ("status = 'fi", "status = 'FINISHED' "),
        ("params.lr = '0.2", "params.lr = '0.2' "),
        ("tags.team = ", "tags.team = 'it''s' "),
        ("metrics.acc > 0.9 ", "metrics.acc > 0.9 AND "),
        ("metrics.acc > 0.9 and par", "metrics.acc > 0.9 and params.lr "),
        ("params.lr = 'a and b' ", "params.lr = 'a and b' AND "),
    ],
)
def test_what_may_follow_comes_first(typed: str, first: str) -> None:
    """The likeliest suggestion for a beginning is the whole filter that it makes."""
    assert offered(typed)[0] == first


@pytest.mark.parametrize(
    "typed", ["metrics.acc > ", "params.lr = 'a and b", "nothing.here = ", "'", "metrics.acc >> 1"]
)
def test_where_nothing_is_known_nothing_is_offered(typed: str) -> None:
    """Numbers, values that no run has and things that are no filter are left to who types."""
    assert not [each for each in offered(typed) if each != f"{typed.rstrip()} AND "]


def test_every_way_through_is_a_filter() -> None:
    """Whoever takes any suggestion, and one for what follows, has a filter that is read."""
    for key in offered("x") + offered("metrics.") + offered("params.") + offered("tags.") + offered("status"):
        for compared in offered(key):
            if "IN (" in compared:
                continue
            end = (
                ""
                if compared.endswith("AND ")
                else "1"
                if compared.startswith(("metrics", "start", "end"))
                else "'x'"
            )
            RUNS.parse_filter((compared + end).removesuffix(" AND "))
