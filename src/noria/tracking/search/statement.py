"""SQL in pieces, and its way to the driver.

Searches are put together of few shapes, each meant for one index. They go to the driver as text: what SQLAlchemy does
for one execution would cost more than most of them take. Every value is bound; the text is made of this package's
own words only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

Rows = list[tuple[Any, ...]]


class Sql(NamedTuple):
    """A piece of SQL.

    Attributes
    ----------
    text
        With a `?` for each value.
    values
        As many as there are `?`.
    """

    text: str
    values: tuple[Any, ...] = ()

    def then(self, *others: Sql) -> Sql:
        """Put pieces one after the other."""
        return joined(" ", [self, *others])


def joined(between: str, pieces: Iterable[Sql]) -> Sql:
    """Put pieces one after the other with `between` between them."""
    listed = list(pieces)
    values = tuple([value for piece in listed for value in piece.values])
    return Sql(between.join([piece.text for piece in listed]), values)


def all_of(pieces: Iterable[Sql]) -> Sql:
    """Give the condition that all of the pieces hold."""
    return joined(" and ", pieces)


def either_of(pieces: Iterable[Sql]) -> Sql:
    """Give the condition that one of the pieces holds."""
    inner = joined(" or ", pieces)
    return Sql(f"({inner.text})", inner.values)


class Reader:
    """Runs pieces of SQL on one connection.

    Attributes
    ----------
    is_sqlite
        Which of the two databases it is.
    n_statements
        How many it ran, for benchmarks and tests.
    """

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self.is_sqlite = connection.dialect.name == "sqlite"
        self.n_statements = 0
        if not self.is_sqlite:
            self._prefer_indexes()

    def rows(self, sql: Sql) -> Rows:
        """Run it and give every row."""
        return self._execute(sql).fetchall()  # type: ignore[no-any-return]

    def keys(self, sql: Sql) -> list[int]:
        """Run a query of one column of integers, which is called `run_pk`, and give them.

        They come as one value: a row for each costs five times as much.
        """
        if self.is_sqlite:
            whole = Sql(f"select json_group_array(run_pk) from ({sql.text})", sql.values)  # noqa: S608 - own words
            return _keys.decode(self._execute(whole).fetchone()[0])
        whole = Sql(f"select array_agg(run_pk) from ({sql.text}) as q", sql.values)  # noqa: S608 - own words
        return self._execute(whole).fetchone()[0] or []

    def number(self, sql: Sql) -> int:
        """Run a query of one number."""
        return int(self._execute(sql).fetchone()[0])

    def among(self, column: str, keys: Sequence[int]) -> Sql:
        """Give the condition that a column is one of some integers; the same text however many there are."""
        if len(keys) == 1:
            return Sql(f"{column} = ?", (keys[0],))
        if self.is_sqlite:
            return Sql(f"{column} in (select value from json_each(?))", (_text(keys),))  # noqa: S608 - own words
        return Sql(f"{column} = any(?::bigint[])", (list(keys),))

    def listed(self, keys: Sequence[int]) -> Sql:
        """Give integers as something to select from: `o` with the column `run_pk`."""
        if self.is_sqlite:
            return Sql("(select value as run_pk from json_each(?)) as o", (_text(keys),))
        return Sql("unnest(?::bigint[]) as o(run_pk)", (list(keys),))

    def paired(self, lows: Sequence[str], highs: Sequence[str]) -> Sql:
        """Give texts side by side as something to select from, as many as both have: `g` with `low` and `high`."""
        n = min(len(lows), len(highs))
        if self.is_sqlite:
            each = "json_extract(value, '$[0]') as low, json_extract(value, '$[1]') as high"
            pairs = _encoder.encode(list(zip(lows[:n], highs[:n], strict=True))).decode()
            return Sql(f"(select {each} from json_each(?)) as g", (pairs,))  # noqa: S608 - own words
        columns = "unnest(?::text[], ?::text[]) as g(low, high)"
        return Sql(columns, (list(lows[:n]), list(highs[:n])))

    def _execute(self, sql: Sql) -> Any:
        self.n_statements += 1
        connection = self._connection
        if not connection.in_transaction():
            connection.begin()
        driver: Any = connection.connection
        dialect: Any = connection.dialect
        text = sql.text if self.is_sqlite else sql.text.replace("?", "%s")
        try:
            if self.is_sqlite:
                cursor = driver.cursor()
                cursor.execute(text, sql.values)
            else:
                cursor = driver.cursor(binary=True)
                cursor.execute(text, sql.values, prepare=True)
        except dialect.loaded_dbapi.Error as error:
            kind = dialect.loaded_dbapi.Error
            raise sa.exc.DBAPIError.instance(text, None, error, kind, dialect=dialect) from error
        return cursor

    def _prefer_indexes(self) -> None:
        # Statistics of fresh rows are missing or old, and then PostgreSQL reads whole tables. Each statement is meant
        # for one plan whatever its values, and to plan a merge of many ranges anew takes ten times as long as to run
        # it. Until the end of this transaction only.
        off = ("enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin", "jit")
        settings = dict.fromkeys(off, "off") | {
            "max_parallel_workers_per_gather": "0",
            "plan_cache_mode": "force_generic_plan",
        }
        parts = [f"set_config('{name}', '{value}', true)" for name, value in settings.items()]
        self._execute(Sql(f"select {', '.join(parts)}"))


_keys = msgspec.json.Decoder(list[int])
_encoder = msgspec.json.Encoder()


def _text(keys: Sequence[int]) -> str:
    return _encoder.encode(list(keys)).decode()
