"""The text of a filter as tokens, and tokens as comparisons: what they mean is for `grammar.py`."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<number>-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![\w.`"']))
    | (?P<text>'(?:[^']|'')*')
    | (?P<name>(?:[^\W\d]\w*|`[^`]*`|"[^"]*")(?:\.(?:\w+|`[^`]*`|"[^"]*"))*)
    | (?P<operator>[<>=!~]+)
    | (?P<comma>,) | (?P<open>\() | (?P<close>\)) | (?P<end>;)
    | (?P<other>[^\s;,()<>=!~]+|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_ORDER = re.compile(
    r"""\s*(?P<name>(?:[^\W\d]\w*|`[^`]*`)(?:\.(?:\w+|`[^`]*`|"[^"]*"))*)(?:\s+(?P<direction>\w+))?\s*""",
    re.VERBOSE,
)
_CONSTANTS = frozenset({"TRUE", "FALSE", "NULL"})
_WORDS = frozenset({"LIKE", "ILIKE", "RLIKE"})


class Kind(enum.Enum):
    """What a token is."""

    NAME = enum.auto()
    NUMBER = enum.auto()
    TEXT = enum.auto()
    LIST = enum.auto()
    OPERATOR = enum.auto()
    COMMA = enum.auto()
    OPEN = enum.auto()
    CLOSE = enum.auto()
    END = enum.auto()
    OTHER = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A piece of a filter.

    Attributes
    ----------
    text
        As written.
    value
        A text without its quotes.
    items
        Of a list: its texts, or None if something else stands in it.
    ill_formed
        Whether the commas of a list stand where they should not.
    """

    kind: Kind
    text: str
    start: int = 0
    value: str = ""
    items: tuple[str, ...] | None = None
    ill_formed: bool = False

    @property
    def word(self) -> str:
        """A bare word in upper case; empty for everything else."""
        return self.text.upper() if self.kind is Kind.NAME and self.text.isidentifier() else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Three pieces in the right places; `right` is empty for `IS NULL`."""

    left: Token
    comparator: str
    right: Token


_MAX_TAKEN_APART = 200
"""Tokens of a clause beyond which nobody looks for its comparisons: the time grows with the square of the length."""

_NOTHING = Token(kind=Kind.OTHER, text="")


def split_filter(text: str, spaced_keys: frozenset[str], *, quoted: bool = True) -> list[Comparison] | str:
    """Take a filter apart, or tell why it is none.

    Parameters
    ----------
    spaced_keys
        Names of two words that stand without quotes.
    quoted
        Whether a clause that is none is shown as it stands, between quotes, rather than those of its words that belong
        to no comparison.
    """
    tokens = list(_tokens(text))
    if any(token.kind is Kind.END for token in tokens[:-1]):
        return f"Search filter contained multiple expression {text!r}. Provide AND-ed expression list."
    found, wrong = [], []
    for clause in _clauses(tokens):
        comparison = _comparison(_joined(clause, spaced_keys))
        if comparison is None:
            wrong.append(f"'{_source(text, clause)}'" if quoted else _strays(text, clause))
        else:
            found.append(comparison)
    return f"Invalid clause(s) in filter string: {', '.join(wrong)}" if wrong else found


def split_order(text: str, spaced_keys: frozenset[str]) -> tuple[str, str] | None:
    """Take `metrics.acc DESC` apart: the name and its direction (`asc` unless written), or None."""
    stripped = text.strip()
    for key in spaced_keys:
        if stripped == key or stripped.startswith(f"{key} "):
            return key, stripped[len(key) :].strip() or "asc"
    found = _ORDER.fullmatch(text)
    return (found["name"], found["direction"] or "asc") if found else None


def _tokens(text: str) -> Iterator[Token]:
    for match in _TOKEN.finditer(text):
        kind = str(match.lastgroup)
        if kind != "space":
            yield _token(Kind[kind.upper()], match[0], match.start())


def _token(kind: Kind, text: str, start: int) -> Token:
    if kind is Kind.TEXT:
        return Token(kind=kind, text=text, start=start, value=text[1:-1].replace("''", "'"))
    return Token(kind=kind, text=text, start=start)


def _clauses(tokens: list[Token]) -> Iterator[list[Token]]:
    """Give what stands between the `AND`s, without empty pieces."""
    clause: list[Token] = []
    for token in tokens:
        if token.word != "AND":
            clause.append(token)
        elif clause:
            yield clause
            clause = []
    if clause:
        yield clause


def _joined(clause: list[Token], spaced_keys: frozenset[str]) -> list[Token]:
    """Make one token of each key of two words, and of each list in brackets."""
    if len(clause) > 2 and f"{clause[0].text} {clause[1].text}" in spaced_keys:
        name = f"{clause[0].text} {clause[1].text}"
        clause = [Token(kind=Kind.NAME, text=name, start=clause[0].start), *clause[2:]]
    opened = next((i for i, token in enumerate(clause) if token.kind is Kind.OPEN), None)
    if opened is None or clause[-1].kind is not Kind.CLOSE:
        return clause
    return [*clause[:opened], _list(clause[opened:])]


def _strays(text: str, clause: list[Token]) -> str:
    """Give what stands between the comparisons of a clause; all of its words if nothing does."""
    if len(clause) > 2 and clause[0].kind is Kind.OPEN and clause[-1].kind is Kind.CLOSE:
        return _source(text, clause)
    strays: list[str] = []
    at = 0
    while at < len(clause) <= _MAX_TAKEN_APART:
        length = _length_of_comparison(clause[at:])
        if not length:
            strays.append(clause[at].text)
        at += length or 1
    return ", ".join(strays or [token.text for token in clause])


def _length_of_comparison(tokens: list[Token]) -> int:
    """Give how many tokens the comparison takes that a list of them begins with; 0 if it begins with none."""
    opened = next((at for at in (2, 3) if len(tokens) > at and tokens[at].kind is Kind.OPEN), None)
    closed = next((at for at, token in enumerate(tokens) if token.kind is Kind.CLOSE), None)
    lengths = (4, 3) if opened is None or closed is None else (closed + 1,)
    return next(
        (
            length
            for length in lengths
            if length <= len(tokens) and _comparison(_joined(tokens[:length], frozenset())) is not None
        ),
        0,
    )


def _list(tokens: list[Token]) -> Token:
    inner = tokens[1:-1]
    if inner and inner[-1].kind is Kind.COMMA:  # a comma may follow the last one
        inner = inner[:-1]
    items, commas = [_unquoted(token) for token in inner[::2]], inner[1::2]
    alternate = all(comma.kind is Kind.COMMA for comma in commas) and len(items) == len(commas) + 1
    texts = tuple([item for item in items if item is not None])
    return Token(
        kind=Kind.LIST,
        text="".join(", " if token.kind is Kind.COMMA else token.text for token in tokens),
        start=tokens[0].start,
        items=texts if len(texts) == len(items) else None,
        ill_formed=len(tokens) > 2
        and (not alternate or any(token.kind is Kind.COMMA for token in inner[::2])),
    )


def _unquoted(token: Token) -> str | None:
    if token.kind is Kind.TEXT:
        return token.value
    if _is_double_quoted(token):
        return token.text[1:-1]
    return None


def _comparison(clause: list[Token]) -> Comparison | None:
    if len(clause) < 3:
        return None
    left, rest = clause[0], clause[1:]
    if left.kind not in (Kind.NAME, Kind.NUMBER, Kind.TEXT) or left.word in _CONSTANTS:
        return None
    words = [token.word for token in rest]
    if words in (["IS", "NULL"], ["IS", "NOT", "NULL"]):
        return Comparison(left=left, comparator=" ".join(words), right=_NOTHING)
    comparator, right = _comparator(rest), rest[-1]
    if comparator is None or not _is_value(right) or (right.kind is Kind.LIST) != comparator.endswith("IN"):
        return None
    if _is_double_quoted(right):
        right = Token(kind=Kind.TEXT, text=right.text, start=right.start, value=right.text[1:-1])
    return Comparison(left=left, comparator=comparator, right=right)


def _comparator(rest: list[Token]) -> str | None:
    """Read what stands between the name and the value."""
    between = rest[:-1]
    words = [token.word for token in between]
    if len(between) == 1 and between[0].kind is Kind.OPERATOR:
        return between[0].text
    if len(between) == 1 and words[0] in (*_WORDS, "IN"):
        return words[0]
    if len(between) == 2 and words[0] == "NOT" and words[1] in (*_WORDS, "IN"):
        return f"NOT {words[1]}"
    return None


def _is_value(token: Token) -> bool:
    return token.kind in (Kind.NAME, Kind.NUMBER, Kind.TEXT, Kind.LIST) and token.word not in _CONSTANTS


def _is_double_quoted(token: Token) -> bool:
    text = token.text
    return (
        token.kind is Kind.NAME and len(text) >= 2 and text[0] == '"' and text.find('"', 1) == len(text) - 1
    )


def _source(text: str, clause: list[Token]) -> str:
    return text[clause[0].start : clause[-1].start + len(clause[-1].text)]
