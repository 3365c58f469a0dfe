"""What clauses and orders mean."""

import math

import pytest

from noria.tracking.search.evaluate import Facts, like, matches, order_key
from noria.tracking.search.fields import RUNS

NAN = math.nan
RUN = Facts(
    of={
        "metric": {"acc": 0.9, "bad": NAN, "huge": math.inf},
        "parameter": {"lr": "0.1"},
        "tag": {},
        "attribute": {"status": "FINISHED", "start_time": 1000, "end_time": None, "run_id": "a"},
    },
    parts={
        "dataset": [
            {"name": "one", "digest": "1", "context": "train"},
            {"name": "two", "digest": "2", "context": None},
        ]
    },
)

HOLDS = [
    "metrics.acc > 0.8 and params.lr = '0.1'",
    "metrics.bad != 1",
    "metrics.huge > 1e308",
    "tags.team IS NULL",
    "params.lr IS NOT NULL",
    "params.lr LIKE '0_1'",
    "status ILIKE 'fin%'",
    "start_time >= 999.5",
    "run_id IN ('b', 'a')",
    "datasets.name = 'one' and datasets.name = 'two'",
    "datasets.name = 'two' and datasets.context = 'train'",
    "datasets.name != 'one'",
]
FAILS = [
    "metrics.acc > 0.8 and params.lr = '0.2'",
    "metrics.bad = 0",
    "metrics.bad < 1",
    "metrics.none != 1",
    "tags.team != 'x'",
    "params.lr IS NULL",
    "params.lr LIKE '0'",
    "status LIKE 'fin%'",
    "end_time > 0",
    "end_time != 5",
    "run_id NOT IN ('b', 'a')",
    "datasets.context NOT IN ('train')",
]


@pytest.mark.parametrize("text", HOLDS)
def test_these_hold(text: str) -> None:
    """NaN differs from every number, and one data set that fits is enough."""
    assert matches(RUNS.parse_filter(text), RUN)


@pytest.mark.parametrize("text", FAILS)
def test_these_do_not_hold(text: str) -> None:
    """What is missing is neither equal nor different, and NaN is neither smaller nor greater."""
    assert not matches(RUNS.parse_filter(text), RUN)


@pytest.mark.parametrize(
    ("pattern", "text", "sensitive", "insensitive"),
    [
        ("a%", "abc", True, True),
        ("A%", "abc", False, True),
        ("%", "", True, True),
        ("_", "é", True, True),
        ("É", "é", False, False),
        ("a.c", "abc", False, False),
        ("100\\%", "100\\ok", True, True),
        ("%b%", "a\nb\nc", True, True),
        ("a", "ab", False, False),
    ],
)
def test_like_matches_the_whole_text(pattern: str, text: str, sensitive: bool, insensitive: bool) -> None:
    """`%` and `_` are the only signs, and `ILIKE` folds ASCII letters."""
    assert bool(like(pattern).fullmatch(text)) is sensitive
    assert bool(like(pattern, any_case=True).fullmatch(text)) is insensitive


@pytest.mark.parametrize(("direction", "expected"), [("ASC", "abcde"), ("DESC", "cbade")])
def test_nan_and_missing_come_last_either_way(direction: str, expected: str) -> None:
    """The direction turns numbers round, not what is no number."""
    values = {"e": None, "d": NAN, "c": math.inf, "b": 0.0, "a": -math.inf}
    orders = RUNS.parse_orders([f"metrics.x {direction}"])

    found = sorted(values, key=lambda name: order_key(orders, Facts(of={"metric": {"x": values[name]}})))

    assert "".join(found) == expected


def test_texts_are_ordered_by_code_points() -> None:
    """Capitals come before small letters, and letters with accents after both."""
    values = ["b", "B", "á", "a", ""]
    orders = RUNS.parse_orders(["params.x"])
    found = sorted(values, key=lambda value: order_key(orders, Facts(of={"parameter": {"x": value}})))
    assert found == ["", "B", "a", "b", "á"]
