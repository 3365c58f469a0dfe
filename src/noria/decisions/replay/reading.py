"""Numbers that come as text: with a decimal comma, with marks of thousands, or with a unit beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from noria.decisions.replay.rows import Columns, columns_of, is_text_of_numbers
from noria.decisions.replay.world import Repair

if TYPE_CHECKING:
    import polars as pl

READ_SHARE = 0.95
"""Share of the texts that have to be numbers in a form."""

_NUMBER = r"([+-]?\d[\d.,]*(?:[eE][+-]?\d+)?|[+-]?[.,]\d+(?:[eE][+-]?\d+)?)"
_BLANKS = r"[\s\u00a0\u202f'’_]"

_FORMS = (
    ("a decimal comma", True, False),
    ("a decimal comma and points between thousands", True, True),
    ("marks between thousands, or units beside them", False, False),
)
"""What a form has, whether commas are decimal, and whether texts that are plain numbers are read by it too."""


def readings(
    name: str,
    reference: pl.DataFrame,
    raw: pl.DataFrame,
    current: Columns,
    shows: Callable[[Columns], bool],
) -> Iterator[tuple[str, Repair]]:
    """Give the ways to read a column of numbers that came as text, with what each does in words.

    Parameters
    ----------
    reference, raw
        Training rows, and rows of today.
    current
        Columns of today.
    shows
        Tells whether columns show a fault of this one: a form after which they still do is another one.
    """
    if not is_text_of_numbers(reference[name], raw[name]):
        return
    # Of texts without a comma the plainest form comes first.
    forms = _FORMS if raw[name].str.contains(",", literal=True).any() else _FORMS[::-1]
    for words, comma, every in forms:
        read = _reader(name, reference[name].dtype, comma=comma, every=every)
        found = read(raw)[name]
        there = raw.height - raw[name].null_count()
        if there and raw.height - found.null_count() >= READ_SHARE * there:
            values = columns_of(found.to_frame(), reference, [name])
            if not shows({**current, **values}):
                yield f"texts of `{name}` are read as numbers with {words}", read


def _reader(name: str, dtype: pl.DataType, *, comma: bool, every: bool) -> Repair:
    """Give what reads texts by a form: all of them, or those that are no plain numbers."""
    import polars as pl

    def read(raw: pl.DataFrame) -> pl.DataFrame:
        if name not in raw.columns or raw[name].dtype != pl.String:
            return raw
        text = pl.col(name).str.replace_all(_BLANKS, "").str.extract(_NUMBER)
        if comma:
            # A point behind a comma is what the other locale writes.
            with_comma = text.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
            with_comma = pl.when(~text.str.contains(r",.*\.")).then(with_comma)
            text = with_comma if every else pl.when(text.str.contains(",")).then(with_comma).otherwise(text)
        else:
            text = text.str.replace_all(",", "", literal=True)
        found = text.cast(pl.Float64, strict=False)
        plain = pl.col(name).cast(pl.Float64, strict=False)
        values = found if every else pl.coalesce(plain, found)
        values = values.round() if dtype.is_integer() else values
        return raw.with_columns(values.cast(dtype, strict=False).alias(name))

    return read
