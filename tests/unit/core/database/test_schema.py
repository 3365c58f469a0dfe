"""Column types that read the same on every database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from noria.core.database.schema import JsonText, from_micros, to_micros

INSTANTS = st.datetimes(timezones=st.timezones() | st.just(UTC))


class Inner(msgspec.Struct, frozen=True):
    x: float
    tags: list[str] = []


@given(INSTANTS)
def test_an_instant_comes_back_to_the_microsecond(at: datetime) -> None:
    """In whichever zone it was given."""
    assert from_micros(to_micros(at)) == at.astimezone(UTC)


@given(INSTANTS, INSTANTS)
def test_instants_order_as_their_microseconds(one: datetime, other: datetime) -> None:
    """So that the database can compare them."""
    utc_one, utc_other = one.astimezone(UTC), other.astimezone(UTC)

    assert (utc_one < utc_other) == (to_micros(one) < to_micros(other))


def test_before_1970_and_after_a_second_fraction() -> None:
    """Whole microseconds, rounded nowhere."""
    assert to_micros(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == -1
    assert to_micros(datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))) == 0


def test_an_instant_without_a_zone_is_refused() -> None:
    """Nobody could say when it was."""
    with pytest.raises(ValueError, match="has no time zone"):
        to_micros(datetime(2026, 1, 1))  # noqa: DTZ001 - what is refused


@pytest.mark.parametrize(
    ("type_", "value"),
    [(Inner, Inner(0.1, ["a"])), (dict[str, float], {"a": 1.5}), (list[Inner], [Inner(2.0)]), (Inner, None)],
)
def test_a_json_value_comes_back_in_its_type(type_: object, value: object) -> None:
    """Null stays None."""
    column = JsonText(type_)
    dialect = sa.create_engine("sqlite://").dialect
    made = column.made()
    stored = made.process_bind_param(value, dialect)

    assert stored is None or isinstance(stored, str)
    assert stored == column.to_driver(value)
    assert made.process_result_value(stored, dialect) == column.from_driver(stored) == value
