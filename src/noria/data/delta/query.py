"""SQL over tables, by their references."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import polars as pl

from noria.core.errors import Invalid

_TABLE = re.compile(r"""\b(?:from|join)\s+(?:"(?P<quoted>[^"]+)"|(?P<plain>[A-Za-z_]\w*))""", re.IGNORECASE)
_OF_THE_QUERY = re.compile(r"(?:\bwith|,)\s+([A-Za-z_]\w*)\s+as\s*\(", re.IGNORECASE)


def tables_in(query: str) -> list[str]:
    """List the tables that a query reads, in the order of their first mention.

    Examples
    --------
    >>> tables_in('SELECT * FROM trips JOIN "weather@3" USING (day)')
    ['trips', 'weather@3']
    """
    own = {found.group(1) for found in _OF_THE_QUERY.finditer(query)}
    names = (found["quoted"] or found["plain"] for found in _TABLE.finditer(query))
    return [name for name in dict.fromkeys(names) if name not in own]


def run_query(query: str, open_table: Callable[[str], pl.LazyFrame]) -> pl.DataFrame:
    """Answer a query of SQL, reading only the columns and rows that it needs.

    Parameters
    ----------
    open_table
        Gives the rows of a reference.

    Raises
    ------
    Invalid
        If the query is wrong, or reads no table.
    """
    names = tables_in(query)
    if not names:
        raise Invalid(
            f"`{query}` reads no table",
            hint='Such as `SELECT * FROM trips`, or `FROM "trips@3"` for a version',
        )
    opened = dict(_opened(names, open_table))
    try:
        return pl.SQLContext(frames=opened).execute(query, eager=True)
    except pl.exceptions.PolarsError as error:
        raise Invalid(f"The query failed: {str(error).splitlines()[0]}") from error


def _opened(
    names: list[str], open_table: Callable[[str], pl.LazyFrame]
) -> Iterator[tuple[str, pl.LazyFrame]]:
    for name in names:
        yield name, open_table(name)
