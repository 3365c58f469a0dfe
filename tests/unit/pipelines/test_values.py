"""Fingerprints of values of every kind that steps take."""

from __future__ import annotations

import dataclasses
import enum
import functools
import logging
import re
import threading
from collections import OrderedDict, defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from noria.pipelines.cache_entities import StoredValue
from noria.pipelines.outputs import Output
from noria.pipelines.paths import InputMissing
from noria.pipelines.showing import shown
from noria.pipelines.values import Unfingerprintable, fingerprint, register_fingerprint


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Point(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    a: int
    b: Any = None


class Plain:
    def __init__(self, a: int) -> None:
        self.a = a

    def method(self) -> int:
        return self.a


class Record(msgspec.Struct):
    a: int
    b: str = "b"


def named(x: int) -> int:
    return x


RNG = np.random.default_rng(0)

DIFFERENT: list[Any] = [
    None,
    False,
    True,
    0,
    1,
    -1,
    2**70,
    0.0,
    -0.0,
    1.0,
    float("nan"),
    float("inf"),
    1j,
    "",
    "1",
    b"1",
    bytearray(b"1"),
    (),
    (1,),
    [1],
    [[1], 2],
    [1, [2]],
    [],
    {},
    {1},
    frozenset({1}),
    {"a": 1},
    {"a": 1, "b": 2},
    {"b": 2, "a": 1},
    OrderedDict(a=1),
    defaultdict(int, a=1),
    Colour.RED,
    Colour.BLUE,
    Point(1, 2),
    (1, 2),
    Slotted(1),
    Slotted(1, [2]),
    Plain(1),
    Plain(2),
    Record(a=1),
    Record(a=1, b="c"),
    date(2026, 3, 1),
    datetime(2026, 3, 1, tzinfo=UTC),
    datetime(2026, 3, 1),  # noqa: DTZ001 - one without a zone is another value
    timedelta(1),
    Decimal("1.0"),
    Decimal("1.00"),
    range(3),
    re.compile("a"),
    re.compile("a", re.IGNORECASE),
    np.float64(1.0),
    np.float32(1.0),
    np.int64(1),
    np.array(1.0),
    np.array([1.0]),
    np.array([[1.0]]),
    np.array([1], dtype=np.int64),
    np.array([1], dtype=np.int32),
    np.array(["a", "bc"]),
    np.array(["a", "bc"], dtype=object),
    np.array(["2026-01-01"], dtype="datetime64[D]"),
    np.array(["2026-01-01"], dtype="datetime64[s]"),
    np.array([(1, 2.0)], dtype=[("a", int), ("b", float)]),
    np.ma.masked_array([1.0], mask=[True]),
    np.zeros((2, 3)),
    np.zeros((3, 2)),
    np.zeros(0),
    np.zeros((0, 2)),
    pl.DataFrame({"a": [1]}),
    pl.DataFrame({"a": [1.0]}),
    pl.DataFrame({"b": [1]}),
    pl.Series("a", [1]),
    LogisticRegression(),
    LogisticRegression(C=2.0),
    LogisticRegression().fit(np.array([[0.0], [1.0]]), [0, 1]),
    RandomForestClassifier(2, random_state=0).fit(np.array([[0.0], [1.0]]), [0, 1]),
    RandomForestClassifier(2, random_state=1).fit(np.array([[0.0], [1.0]]), [0, 1]),
    np.random.default_rng(1),
    np.random.default_rng(2),
    named,
    Plain,
    Plain(1).method,
    Plain(2).method,
    functools.partial(named, 1),
    functools.partial(named, 2),
    len,
    np.add,
    np.mean,
    int,
    logging.getLogger("a"),
    logging.getLogger("b"),
    list[int],
]


def test_different_values_have_different_fingerprints() -> None:
    """No two values that a step could tell apart look the same, whatever their types."""
    seen: dict[str, Any] = {}
    for value in DIFFERENT:
        digest = fingerprint(value).digest
        assert digest not in seen, f"{value!r} looks like {seen.get(digest)!r}"
        seen[digest] = value


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.arange(12).reshape(3, 4)[:, ::2], np.ascontiguousarray(np.arange(12).reshape(3, 4)[:, ::2])),
        (np.asfortranarray(np.eye(3)), np.eye(3)),
        ({"b", "a", "c"}, {"c", "b", "a"}),
        (float("nan"), -float("nan")),
        (
            pl.concat([pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [2]})], rechunk=False),
            pl.DataFrame({"a": [1, 2]}),
        ),
        (pl.DataFrame({"a": [1, 2, 3]})[1:], pl.DataFrame({"a": [2, 3]})),
        (Slotted(1, {"x": np.eye(2)}), Slotted(1, {"x": np.eye(2)})),
        (LogisticRegression().fit([[0.0], [1.0]], [0, 1]), LogisticRegression().fit([[0.0], [1.0]], [0, 1])),
    ],
)
def test_equal_values_have_equal_fingerprints(one: Any, other: Any) -> None:
    """How a value lies in memory does not matter."""
    assert fingerprint(one).digest == fingerprint(other).digest


def test_containers_that_hold_themselves_are_told_apart() -> None:
    """A list that holds itself has a fingerprint, by how far up it points."""
    one: list[Any] = []
    one.append(one)
    two: list[Any] = [[]]
    two[0].append(two)

    three: list[Any] = [[]]

    assert len({fingerprint(value).digest for value in (one, two, three)}) == 3


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (threading.Lock(), "a `lock`"),
        ((n for n in range(3)), "a `generator` can be read only once"),
        (iter([1, 2]), "can be read only once"),
        ({"deep": [threading.Lock()]}, "a `lock`"),
    ],
)
def test_what_cannot_be_taken_apart_has_no_fingerprint(value: Any, told: str) -> None:
    """A lock, a generator or an iterator is refused by its type, also inside of containers."""
    with pytest.raises(Unfingerprintable, match=told):
        fingerprint(value)


def test_nesting_has_a_limit() -> None:
    """A value that is nested too deeply is refused instead of ending the process."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]

    with pytest.raises(Unfingerprintable, match="nested"):
        fingerprint(deep)
    while deep:  # freeing it in one go would need the depth again
        deep = deep.pop()


def test_paths_count_by_content_and_last_name(tmp_path: Path) -> None:
    """A file is its bytes and its name, a folder the names and bytes below it; where they lie does not matter."""
    for folder in ("a", "b"):
        (tmp_path / folder / "data").mkdir(parents=True)
        (tmp_path / folder / "data" / "x.csv").write_text("1")
    before = [fingerprint(tmp_path / folder / "data").digest for folder in ("a", "b")]
    (tmp_path / "b" / "data" / "x.csv").write_text("2")
    (tmp_path / "a" / "data" / "y.csv").write_text("1")
    digests = {
        fingerprint(tmp_path / place).digest
        for place in ("a/data", "b/data", "a/data/x.csv", "b/data/x.csv", "a/data/y.csv")
    }

    assert before[0] == before[1]
    assert len(digests | set(before)) == 6
    with pytest.raises(InputMissing, match="nowhere"):
        fingerprint({"in": [tmp_path / "nowhere"]})


def test_code_inside_of_a_value_is_handed_out() -> None:
    """Classes and functions met inside are given to whoever follows code."""
    assert Slotted in fingerprint([Slotted(1)]).code
    assert named in fingerprint({"f": functools.partial(named)}).code
    assert Colour in fingerprint(Colour.RED).code


def test_a_handle_counts_by_its_digest_without_being_loaded() -> None:
    """The output of another step is its stored form; nothing is read."""

    def never(_: StoredValue) -> Any:
        raise AssertionError("loaded")

    handles = [
        Output(StoredValue(codec="json", digest=digest, size_bytes=1, code=["m:C"]), never)
        for digest in "aab"
    ]
    one, same, other = (fingerprint([handle]) for handle in handles)

    assert one.digest == same.digest != other.digest
    assert one.named == ("m:C",)


def test_a_type_can_be_given_a_fingerprint() -> None:
    """What a registered function says is the content of values of a type and its subclasses."""

    class Connection:
        def __init__(self, table: str) -> None:
            self.table = table
            self.lock = threading.Lock()

    class Special(Connection):
        pass

    register_fingerprint(Connection, lambda connection: connection.table)
    digests = [
        fingerprint(value).digest
        for value in (Connection("a"), Connection("a"), Connection("b"), Special("a"))
    ]

    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1.0"),
        ("a", "'a'"),
        ("a" * 200, f"'{'a' * 78}…"),
        (Path("x/y.csv"), "'x/y.csv'"),
        ([1, "a", None], "[1, 'a', None]"),
        ({"a": (1,)}, "{'a': (1)}"),
        (list(range(100)), "<list>"),
        (np.zeros(3), "<ndarray>"),
    ],
)
def test_values_are_shown_briefly(value: Any, text: str) -> None:
    """A message shows small values and names the type of large ones."""
    assert shown(value) == text


def test_a_huge_integer_is_shown() -> None:
    """An integer that Python would not write out in decimal digits is cut."""
    assert shown(10**5000) == hex(10**5000)[:80]
