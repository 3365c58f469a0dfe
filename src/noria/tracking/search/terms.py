"""What runs are ordered by: how the value of each is read, and the index in which they stand in this order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from noria.tracking.search.attributes import ARTIFACT_URI, AUTHOR, ENDED, ID, NAME, STARTED, STATUS
from noria.tracking.search.conditions import (
    Condition,
    Place,
    compared,
    head_condition,
    metric_condition,
    missing_condition,
    nan_condition,
    text_condition,
)
from noria.tracking.search.evaluate import Fact
from noria.tracking.search.statement import Reader, Sql
from noria.tracking.tables import HEAD_CHARS


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One key of an order.

    Attributes
    ----------
    ascending
        Direction of its numbers or texts.
    place
        The index that is walked in its order; None when there is none.
    """

    ascending: bool = True
    place: Place | None = None

    @property
    def kind(self) -> type:
        """Type of its values."""
        return str

    @property
    def is_walked(self) -> bool:
        """Whether an index stands in its order."""
        return self.place is not None

    def read(self, reader: Reader, keys: Sequence[int]) -> dict[int, Fact]:
        """Read the values of some runs; those without one are left out."""
        raise NotImplementedError

    def foremost(
        self, reader: Reader, keys: Sequence[int], least: Fact, limit: int
    ) -> list[tuple[int, Fact]] | None:
        """Sort some runs in the database, so that not the values of all have to be read.

        Parameters
        ----------
        least
            What of a value the order begins at; None for its beginning.
        limit
            How many runs at most.

        Returns
        -------
        list of (int, value) or None
            The first runs with a number or a text, and what of it the index holds; None where only values that are
            read can be sorted.
        """
        source = self._looked_up()
        if source is None or self.place is None:
            return None
        column, direction = f"c.{self.place.column}", "asc" if self.ascending else "desc"
        begun = Sql(f"{column} is not null")
        if least is not None:
            begun = Sql(f"{column} {'>=' if self.ascending else '<='} ?", (least,))
        return reader.rows(
            Sql(f"select o.run_pk, {column} from").then(
                reader.listed(keys),
                Sql("cross join"),
                source,
                Sql("and"),
                begun,
                Sql(f"order by {column} {direction} limit ?", (limit,)),
            )
        )

    def _looked_up(self) -> Sql | None:
        """Give the table and the row, called `c`, in which the value of the run `o.run_pk` stands."""
        return None

    def group(self, value: Fact) -> Fact:
        """Give what of a value the index is ordered by."""
        return value

    def whole(self, group: Fact) -> bool:  # noqa: ARG002 - most indexes hold everything
        """Tell whether what the index holds is all of the value."""
        return True

    def same(self, group: Fact, *, is_sqlite: bool) -> tuple[Condition, tuple[Term, ...]]:
        """Give the condition of the runs of one group, and what of this term still orders them."""
        raise NotImplementedError

    def missing(self) -> Condition | None:
        """Give the condition of the runs without a value, or None if every run has one."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricTerm(Term):
    """The latest value of a metric."""

    place: Place

    @property
    def kind(self) -> type:
        """Type of its values."""
        return float

    def read(self, reader: Reader, keys: Sequence[int]) -> dict[int, Fact]:
        """Read the values of some runs; those without one are left out."""
        rows = reader.rows(
            Sql("select o.run_pk, c.value, c.is_nan from").then(
                reader.listed(keys),
                Sql("cross join metric_latest as c where c.run_pk = o.run_pk and"),
                self.place.fixed,
            )
        )
        return {key: math.nan if is_nan else value for key, value, is_nan in rows}

    def _looked_up(self) -> Sql:
        row = Sql("metric_latest as c where c.run_pk = o.run_pk and is_nan = 0 and")
        return row.then(self.place.fixed)

    def same(self, group: Fact, *, is_sqlite: bool) -> tuple[Condition, tuple[Term, ...]]:  # noqa: ARG002 - the base's
        """Give the condition of the runs of one value."""
        return metric_condition(self.place, "=", float(group or 0.0)), ()

    def nan(self) -> Condition:
        """Give the condition of the runs whose value is NaN."""
        return nan_condition(self.place)

    def missing(self) -> Condition | None:
        """Give the condition of the runs without the metric."""
        return missing_condition(self.place)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTerm(Term):
    """The value of a param or a tag."""

    place: Place

    def read(self, reader: Reader, keys: Sequence[int]) -> dict[int, Fact]:
        """Read the values of some runs; those without one are left out."""
        rows = reader.rows(
            Sql("select o.run_pk, c.value from").then(
                reader.listed(keys),
                Sql(f"cross join {self.place.table} as c where c.run_pk = o.run_pk and"),
                self.place.fixed,
            )
        )
        return dict(rows)

    def _looked_up(self) -> Sql | None:
        row = Sql(f"{self.place.table} as c where c.run_pk = o.run_pk and")
        return row.then(self.place.fixed) if self.is_walked else None

    def group(self, value: Fact) -> Fact:
        """Give its first characters."""
        return value[:HEAD_CHARS] if isinstance(value, str) else value

    def whole(self, group: Fact) -> bool:
        """Tell whether the first characters are all."""
        return isinstance(group, str) and len(group) < HEAD_CHARS

    def same(self, group: Fact, *, is_sqlite: bool) -> tuple[Condition, tuple[Term, ...]]:
        """Give the condition of the runs whose values begin so; longer ones are ordered by what follows."""
        head = str(group)
        if len(head) < HEAD_CHARS:
            return text_condition(self.place, "=", head, is_sqlite=is_sqlite), ()
        return head_condition(self.place, head), (UnindexedText(place=self.place, ascending=self.ascending),)

    def missing(self) -> Condition | None:
        """Give the condition of the runs without the key."""
        return missing_condition(self.place)


class UnindexedText(TextTerm):
    """Values that an index does not tell apart, since they begin alike."""

    __slots__ = ()

    @property
    def is_walked(self) -> bool:
        """Whether an index stands in its order: it would lead back to the same runs."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnTerm(Term):
    """A column of runs."""

    column: str
    place: Place

    @property
    def kind(self) -> type:
        """Type of its values."""
        return int if self.place in (STARTED, ENDED) else str

    def read(self, reader: Reader, keys: Sequence[int]) -> dict[int, Fact]:
        """Read the values of some runs; those without one are left out."""
        rows = reader.rows(
            Sql(f"select o.run_pk, c.{self.column} from").then(
                reader.listed(keys), Sql("cross join runs as c where c.pk = o.run_pk")
            )
        )
        return {key: value for key, value in rows if value is not None}

    def _looked_up(self) -> Sql:
        return Sql("runs as c where c.pk = o.run_pk")

    def same(self, group: Fact, *, is_sqlite: bool) -> tuple[Condition, tuple[Term, ...]]:  # noqa: ARG002 - the base's
        """Give the condition of the runs of one value."""
        return compared(self.place, "=", group), ()

    def missing(self) -> Condition | None:
        """Give the condition of the runs that have not ended."""
        return missing_condition(ENDED) if self.place == ENDED else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputedTerm(Term):
    """What stands in no column: it is read of all runs that are found, and they are sorted."""

    expression: str
    source: str

    def read(self, reader: Reader, keys: Sequence[int]) -> dict[int, Fact]:
        """Read the values of some runs; those without one are left out."""
        rows = reader.rows(
            Sql(f"select o.run_pk, {self.expression} from").then(
                reader.listed(keys), Sql(f"cross join {self.source} where r.pk = o.run_pk")
            )
        )
        return {key: value for key, value in rows if value is not None}


def started_term(*, ascending: bool) -> ColumnTerm:
    """Order by start."""
    return ColumnTerm(column="started_at", place=STARTED, ascending=ascending)


def id_term(*, ascending: bool = True) -> ColumnTerm:
    """Order by the id of the run, which makes every order complete."""
    return ColumnTerm(column="id", place=ID, ascending=ascending)


def attribute_term(key: str, *, ascending: bool) -> Term:
    """Order by an attribute."""
    if key == "artifact_uri":
        source = "runs as r join experiments as x on x.pk = r.experiment_pk"
        return ComputedTerm(expression=ARTIFACT_URI, source=source, ascending=ascending)
    if key == "run_id":
        return id_term(ascending=ascending)
    places = {"run_name": NAME, "user_id": AUTHOR, "status": STATUS, "start_time": STARTED, "end_time": ENDED}
    return ColumnTerm(column=places[key].column, place=places[key], ascending=ascending)


def parent_term(key: int | None, *, ascending: bool) -> Term:
    """Order by what the tag of this key, or else the parent's id, says of the run inside which a run was started."""
    source = "runs as r left join runs as p on p.pk = r.parent_pk"
    tagged = f"(select value from run_tags as t where t.run_pk = r.pk and t.key_pk = {key or 0})"  # noqa: S608 - a number
    return ComputedTerm(expression=f"coalesce({tagged}, p.id)", source=source, ascending=ascending)
