"""The filter of a search for logged models, as text and as comparisons.

::

    metrics.accuracy > 0.9 AND params.depth = '3' AND tags.`my tag` LIKE 'a%' AND name IN ('forest', 'tree')

The grammar is MLflow's, which differs a little from that of runs: comparisons joined by `AND`; keys in backticks or
double quotes where they hold spaces; attributes by their name, with or without `attributes.` before it.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from noria.core.errors import near
from noria.tracking.limits import shorten
from noria.tracking.search.grammar import MAX_CLAUSES, FilterInvalid

NUMBER_OPERATORS = ("<", "<=", ">", ">=", "=", "!=")
TEXT_OPERATORS = ("=", "!=", "LIKE", "ILIKE", "IN", "NOT IN")

NUMBERS = {
    "creation_time": "created_at",
    "creation_timestamp": "created_at",
    "creation_timestamp_ms": "created_at",
    "last_updated_timestamp": "updated_at",
    "last_updated_timestamp_ms": "updated_at",
}
"""Attribute → its column; the values are milliseconds."""

TEXTS = {
    "name": "name",
    "model_id": "id",
    "model_type": "model_type",
    "status": "status",
    "status_message": "status_message",
    "source_run_id": "source_run",
}
"""Attribute → its column."""

MAX_FILTER_CHARS = 20_000

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<text>'(?:[^']|'')*')
      | (?P<operator>>=|<=|!=|<>|==|=|>|<)
      | (?P<mark>[(),])
      | (?P<word>(?:`[^`]*`|"[^"]*"|[^\s'"`=<>!(),])+)
    )""",
    re.VERBOSE,
)
_ENTITY = re.compile(r"([a-z]+)\.(.+)", re.DOTALL)


class Kind(enum.Enum):
    """What a comparison looks at."""

    ATTRIBUTE = "attributes"
    METRIC = "metrics"
    PARAM = "params"
    TAG = "tags"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison.

    Attributes
    ----------
    key
        Key of the metric, param or tag, or column of the attribute.
    operator
        In capitals; of `NUMBER_OPERATORS` for numbers, of `TEXT_OPERATORS` for text.
    value
        A number, a text, or texts (`IN`, `NOT IN`).
    """

    kind: Kind
    key: str
    operator: str
    value: float | str | tuple[str, ...]


def parse_filter(text: str) -> list[Comparison]:
    """Read a filter; empty text has no comparisons.

    Raises
    ------
    FilterInvalid
        With what is wrong, in MLflow's words.

    Examples
    --------
    >>> parse_filter("metrics.`a b` >= 0.5")
    [Comparison(kind=<Kind.METRIC: 'metrics'>, key='a b', operator='>=', value=0.5)]
    """
    if not text.strip():
        return []
    if len(text) > MAX_FILTER_CHARS:
        raise FilterInvalid(f"The filter has {len(text)} characters; at most {MAX_FILTER_CHARS} are read")
    reader = _Reader(text)
    found = [reader.comparison()]
    while not reader.at_end():
        reader.expect_and()
        found.append(reader.comparison())
    if len(found) > MAX_CLAUSES:
        raise FilterInvalid(f"The filter has {len(found)} clauses", hint=f"Give at most {MAX_CLAUSES}")
    return found


class _Reader:
    """Reads tokens from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._next = 0

    def at_end(self) -> bool:
        return self._next >= len(self._tokens)

    def expect_and(self) -> None:
        kind, token = self._take()
        if kind != "word" or token.upper() != "AND":
            raise _no_list(self._text)

    def comparison(self) -> Comparison:
        kind, identifier = self._take()
        if kind != "word":
            raise _no_list(self._text)
        operator = self._operator()
        what, key = _entity(identifier)
        is_number = what is Kind.METRIC or (what is Kind.ATTRIBUTE and key in NUMBERS.values())
        allowed = NUMBER_OPERATORS if is_number else TEXT_OPERATORS
        if operator not in allowed:
            raise FilterInvalid(
                f"Invalid comparison operator for {what.value}.{key}: {operator!r}. Expected one of {allowed}."
            )
        value: float | str | tuple[str, ...]
        value = self._number() if is_number else self._list() if operator.endswith("IN") else self._value()
        if what is Kind.ATTRIBUTE and key == "status":
            value = tuple(map(str.lower, value)) if isinstance(value, tuple) else str(value).lower()
        return Comparison(what, key, operator, value)

    def _operator(self) -> str:
        kind, token = self._take()
        word = token.upper()
        if kind == "word" and word == "NOT":
            word = f"NOT {self._take()[1].upper()}"
        return word

    def _number(self) -> float:
        kind, token = self._take()
        try:
            return float(token if kind == "word" else "")
        except ValueError as error:
            raise FilterInvalid(
                f"Invalid filter string: {self._text!r}. Expected a number, not {token}."
            ) from error

    def _value(self) -> str:
        kind, token = self._take()
        if kind == "text":
            return token[1:-1].replace("''", "'")
        if kind != "word":
            raise _no_list(self._text)
        return token[1:-1] if token[0] == token[-1] == '"' and len(token) > 1 else token

    def _list(self) -> tuple[str, ...]:
        self._expect_mark("(")
        values = [self._value()]
        while self._take_mark(",") and not self._is_mark(")"):
            values.append(self._value())
        self._expect_mark(")")
        return tuple(values)

    def _is_mark(self, mark: str) -> bool:
        return not self.at_end() and self._tokens[self._next] == ("mark", mark)

    def _take_mark(self, mark: str) -> bool:
        found = self._is_mark(mark)
        self._next += found
        return found

    def _expect_mark(self, mark: str) -> None:
        if not self._take_mark(mark):
            raise _no_list(self._text)

    def _take(self) -> tuple[str, str]:
        if self.at_end():
            raise _no_list(self._text)
        self._next += 1
        return self._tokens[self._next - 1]


def attribute_column(name: str) -> str:
    """Give the column of an attribute.

    Raises
    ------
    FilterInvalid
        If there is no such attribute.
    """
    column = NUMBERS.get(name) or TEXTS.get(name)
    if column is None:
        close = near(name, [*NUMBERS, *TEXTS])
        raise FilterInvalid(
            f"Invalid attribute key '{shorten(name)}' of a logged model",
            hint=f"Did you mean `{close}`?" if close else "Known: " + ", ".join([*TEXTS, *NUMBERS]),
        )
    return column


def _entity(identifier: str) -> tuple[Kind, str]:
    match = _ENTITY.fullmatch(identifier)
    if match is None:
        return Kind.ATTRIBUTE, attribute_column(_bare(identifier))
    try:
        kind = Kind(match[1])
    except ValueError as error:
        known = [each.value for each in Kind]
        raise FilterInvalid(f"Invalid entity type: {match[1]!r}. Expected one of {known}.") from error
    key = _bare(match[2])
    return kind, attribute_column(key) if kind is Kind.ATTRIBUTE else key


def _bare(key: str) -> str:
    return key[1:-1] if len(key) > 1 and key[0] == key[-1] and key[0] in '`"' else key


def _tokens(text: str) -> list[tuple[str, str]]:
    found = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at, end)
        if match is None or match.lastgroup is None:
            raise _no_list(text)
        found.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return found


def _no_list(text: str) -> FilterInvalid:
    return FilterInvalid(
        f"Invalid filter string: {text!r}. Expected a list of comparisons separated by 'AND'"
        " (e.g. 'metrics.loss > 0.1 AND params.lr = 0.01')."
    )
