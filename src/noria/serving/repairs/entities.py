"""Repairs of inputs as data, so that what was tried is what is applied, by any process and in any version."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated

import msgspec

MAX_COLUMNS = 64
MAX_CODES = 1_000
MAX_WEIGHTS = 10_000
MAX_KNOWN = 400

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Words = Annotated[str, msgspec.Meta(max_length=500)]
Code = Annotated[str, msgspec.Meta(max_length=1_000)]


class ByLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="line"):
    """Another unit: what was sent is `slope` times what is meant, and `offset`.

    Attributes
    ----------
    low, high
        Where values lay in training. A value that lies there as it was sent, and would not once it was changed, stays:
        it comes from a sender that is right, or right again.
    points
        Values of training in order, where they come in few steps: what comes to lie on one but for rounding is it.
    """

    slope: float
    offset: float = 0.0
    low: float | None = None
    high: float | None = None
    points: Annotated[list[float], msgspec.Meta(max_length=5_000)] = []


class ByFactor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="outside"):
    """Another unit of some rows: what lies outside `low` to `high` is divided by `factor`."""

    factor: float
    low: float
    high: float


class ByTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="table"):
    """Other codes: what was sent → what is meant. What the table does not hold stays."""

    codes: Annotated[dict[str, Code], msgspec.Meta(max_length=MAX_CODES)]


class Bad(enum.StrEnum):
    """Which values are no values, and are estimated."""

    ALL = "all"
    MISSING = "missing"
    OUTSIDE = "outside"
    VALUE = "value"
    UNSEEN = "unseen"


class ByEstimate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="estimate"):
    """Values in place of what is lost: of the other columns, or the middle of training.

    A number is estimated as `middle` and the sum over the columns j of `weights[j]` times (value of j - its middle),
    held to `low` to `high`; what is missing of a column counts as its middle. A code becomes `code`.

    Attributes
    ----------
    bad
        Which values are estimated.
    value
        With `bad` = `value`: the one that stands for none.
    known
        With `bad` = `unseen`: the codes that are none of it.
    weights, middles
        By the name of a column of numbers.
    """

    bad: Bad
    value: str | None = None
    known: Annotated[list[str], msgspec.Meta(max_length=MAX_CODES)] = []
    code: str | None = None
    middle: float = 0.0
    low: float | None = None
    high: float | None = None
    weights: Annotated[dict[str, float], msgspec.Meta(max_length=MAX_WEIGHTS)] = {}
    middles: dict[str, float] = {}


class ByExchange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="exchange"):
    """Two columns that have each other's values: each gets its own again."""

    other: Name


Change = ByLine | ByFactor | ByTable | ByEstimate | ByExchange


class Usual(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a column was like in training, by which is told when its sender is right again.

    Attributes
    ----------
    values
        A few hundred values: quantiles of numbers, or codes as often as they came.
    error, error_broken
        Where a column is estimated whole: how far the estimates lay from its values in training, and from what is sent
        since it is broken, as medians of the absolute difference.
    """

    values: Annotated[list[float | str], msgspec.Meta(max_length=MAX_KNOWN)] = []
    error: float | None = None
    error_broken: float | None = None


class ColumnRepair(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one column is put right.

    Attributes
    ----------
    column
        An input, or a place in one of several: `x[3]`, `image[4,5]`.
    words
        What is done, for people.
    usual
        None when nothing tells by itself that the repair is due no more.
    """

    column: Name
    change: Change
    words: Words = ""
    usual: Usual | None = None


def places_of(repair: ColumnRepair) -> tuple[str, ...]:
    """Name the columns that a repair changes."""
    change = repair.change
    return (repair.column, change.other) if isinstance(change, ByExchange) else (repair.column,)


class NewRepair(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A repair to begin with; it takes the place of the one before.

    Attributes
    ----------
    columns
        Put right one after the other.
    decision_id
        The decision that asks for it. Asking again with the same id gives the repair that it began.
    """

    columns: Annotated[list[ColumnRepair], msgspec.Meta(min_length=1, max_length=MAX_COLUMNS)]
    reason: Words = ""
    decision_id: str | None = None


class InputRepair(msgspec.Struct, frozen=True, kw_only=True):
    """A repair of an endpoint's inputs, from its beginning to its end.

    Attributes
    ----------
    number
        Counts the endpoint's repairs, from 1.
    revision
        Of the endpoint, under which the first requests were repaired; captured rows carry theirs.
    position
        Of the last row that was captured before.
    ended_revision
        Under which nothing is repaired any more.
    """

    id: str
    project: str
    endpoint: str
    number: int
    columns: list[ColumnRepair]
    reason: str
    decision_id: str | None
    started_by: str
    created_at: datetime
    revision: int
    position: int
    ended_at: datetime | None = None
    ended_by: str | None = None
    ended_revision: int | None = None
    ended_why: str | None = None

    @property
    def words(self) -> str:
        """What is done, in a sentence."""
        return "; ".join(column.words or f"`{column.column}` is changed" for column in self.columns)


class RepairPage(msgspec.Struct, frozen=True, kw_only=True):
    """Repairs of an endpoint, newest first."""

    items: list[InputRepair]


class EndRepair(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The wish to end a repair, or a part of it.

    Attributes
    ----------
    columns
        That are put right no more; empty for all.
    id
        Of the repair that is meant: where another one stands by now, nothing is done.
    """

    columns: list[Name] = []
    reason: Words = ""
    id: str | None = None
