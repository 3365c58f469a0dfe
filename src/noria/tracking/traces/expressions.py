r"""Regular expressions that a caller may send: matched in a time in proportion to the text, whatever they say.

Python's own engine tries one way after another, and some expressions have exponentially many; while it tries, no other
request is served. Here all ways are followed at once (Thompson, "Regular expression search algorithm", 1968), and the
steps are remembered (Cox, "Regular Expression Matching Can Be Simple And Fast", 2007). What is known: characters, `.`,
classes, groups, `|`, repetitions, `^`, `$`, and `\d \w \s` with their opposites.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from noria.core.errors import Invalid
from noria.tracking.limits import shorten

MAX_EXPRESSION_CHARS: Final = 500
MAX_STATES: Final = 500
MAX_DEPTH: Final = 30
"""So many groups may lie inside one another."""

MAX_KEPT_STEPS: Final = 10_000
"""So many steps from place to place are remembered before all are forgotten."""

Accepts = Callable[[str], bool]


class ExpressionInvalid(Invalid):
    """A regular expression that cannot be read, or says what is not known here."""

    code = "expression_invalid"


@dataclass(slots=True, eq=False)
class _State:
    """A place in the expression.

    Attributes
    ----------
    accepts
        Which character leads on; None for a place that is passed without one.
    edge
        `^` or `$`: passed at the beginning, or at the end, of the text only.
    """

    accepts: Accepts | None = None
    edge: str = ""
    out: tuple[_State, ...] = ()


@dataclass(slots=True, eq=False)
class _Node:
    """All places where a reader of the text may be at once, and where each character leads.

    Attributes
    ----------
    fits
        Whether the expression fits what was read, wherever the text ends.
    fits_at_end
        Whether it fits if the text ends here; None until somebody asks.
    """

    states: frozenset[_State]
    fits: bool
    fits_at_end: bool | None = None
    after: dict[str, _Node] = field(default_factory=dict)


class Expression:
    """A regular expression, ready to be looked for in texts.

    What was found out about one text is kept for the next, up to a bound.
    """

    def __init__(self, first: _State, last: _State) -> None:
        self._first = first
        self._last = last
        self._start = self._node({first}, at_start=True)
        self._known: dict[frozenset[_State], _Node] = {}
        self._n_steps = 0

    def search(self, text: str) -> bool:
        """Tell whether it fits anywhere in the text."""
        node = self._start
        for char in text:
            if node.fits:
                return True
            after = node.after.get(char)
            node = after if after is not None else self._step(node, char)
        if node.fits_at_end is None:
            ends = _reached(node.states, at_start=node is self._start, at_end=True)
            node.fits_at_end = self._last in ends
        return node.fits_at_end

    def _step(self, node: _Node, char: str) -> _Node:
        self._n_steps += 1
        if self._n_steps > MAX_KEPT_STEPS:
            self._n_steps = 0
            self._known = {}
            self._start.after.clear()
        ways = {state.out[0] for state in node.states if state.accepts is not None and state.accepts(char)}
        after = self._node(ways | {self._first}, at_start=False)
        node.after[char] = after = self._known.setdefault(after.states, after)
        return after

    def _node(self, ways: set[_State], *, at_start: bool) -> _Node:
        states = _reached(ways, at_start=at_start, at_end=False)
        return _Node(frozenset(states), self._last in states)


def _reached(ways: Iterable[_State], *, at_start: bool, at_end: bool) -> set[_State]:
    """Give the places that are reached without a character; an edge that is not passed is one of them."""
    found: set[_State] = set()
    waiting = list(ways)
    while waiting:
        state = waiting.pop()
        if state in found:
            continue
        found.add(state)
        passed = {"": True, "^": at_start, "$": at_end}[state.edge]
        if passed and state.accepts is None:
            waiting += state.out
    return found


@functools.lru_cache(maxsize=64)
def expression(text: str) -> Expression:
    """Read a regular expression.

    Raises
    ------
    ExpressionInvalid
        If it cannot be read.

    Examples
    --------
    >>> expression("^prod-(eu|us)-[0-9]+$").search("prod-eu-12"), expression("(a+)+b").search("a" * 5000)
    (True, False)
    """
    if len(text) > MAX_EXPRESSION_CHARS:
        raise ExpressionInvalid(
            f"The regular expression `{shorten(text)}` has {len(text)} characters",
            hint=f"Use at most {MAX_EXPRESSION_CHARS}",
        )
    return _Reader(text).read()


Fragment = tuple[_State, _State]
"""First and last place of a part; the last leads nowhere yet."""


class _Reader:
    """Reads an expression from left to right, and builds its places."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._n_states = 0
        self._depth = 0

    def read(self) -> Expression:
        first, last = self._either()
        if self._at < len(self._text):
            raise self._wrong("a `)` closes nothing")
        return Expression(first, last)

    def _either(self) -> Fragment:
        branches = [self._sequence()]
        while self._take("|"):
            branches.append(self._sequence())
        if len(branches) == 1:
            return branches[0]
        last = self._state()
        for _, end in branches:
            end.out = (last,)
        return self._state(out=tuple(first for first, _ in branches)), last

    def _sequence(self) -> Fragment:
        first = last = self._state()
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            start, end = self._repeated()
            last.out = (*last.out, start)
            last = end
        return first, last

    def _repeated(self) -> Fragment:
        begin = self._at
        part = self._one()
        end = self._at
        while (bounds := self._bounds()) is not None:
            part = self._times(part, begin, end, *bounds)
            end = self._at
            self._take("?")  # reluctant or not, it fits or does not
        return part

    def _bounds(self) -> tuple[int, int | None] | None:
        for sign, known in _SIGNS.items():
            if self._take(sign):
                return known
        close = self._text.find("}", self._at)
        if not self._text.startswith("{", self._at) or close < 0:
            return None
        low, comma, high = self._text[self._at + 1 : close].partition(",")
        if not low.isdecimal() or not (high.isdecimal() or high == ""):
            return None
        self._at = close + 1
        least, most = int(low), (int(high) if high else None) if comma else int(low)
        if least > MAX_STATES or (most is not None and not least <= most <= MAX_STATES):
            raise self._wrong("it repeats too often")
        return least, most

    def _times(self, part: Fragment, begin: int, end: int, low: int, high: int | None) -> Fragment:
        """Repeat a part, which was written from `begin` to `end`."""
        after = self._at
        copies = itertools.chain([part], (self._again(begin, end) for _ in itertools.count()))
        first = last = self._state()
        for _ in range(low):
            part = next(copies)
            last = self._append(last, part)
        leave = self._state()
        if high is None:
            if low == 0:
                part = next(copies)
                last.out = (part[0], leave)
            part[1].out = (part[0], leave)
        for _ in range((high or low) - low):
            last.out = (*last.out, leave)
            last = self._append(last, next(copies))
        if high is not None:
            last.out = (*last.out, leave)
        self._at = after
        return first, leave

    def _again(self, begin: int, end: int) -> Fragment:
        inner = _Reader(self._text[begin:end])
        inner._n_states = self._n_states
        inner._depth = self._depth
        part = inner._repeated()
        self._n_states = inner._n_states
        return part

    @staticmethod
    def _append(last: _State, part: Fragment) -> _State:
        last.out = (*last.out, part[0])
        return part[1]

    def _one(self) -> Fragment:
        char = self._next()
        if char == "(":
            return self._group()
        if char in "^$":
            edge = self._state(edge=char)
            end = self._state()
            edge.out = (end,)
            return edge, end
        if char in "*+?":
            raise self._wrong(f"nothing stands before `{char}`")
        if char == "[":
            return self._accepting(self._class())
        if char == ".":
            return self._accepting(lambda each: each != "\n")
        return self._accepting(self._escaped() if char == "\\" else _same(char))

    def _group(self) -> Fragment:
        if self._take("?") and not self._take(":"):
            raise self._wrong("of groups that begin with `(?` only `(?:` is known")
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._wrong("too many groups lie inside one another")
        part = self._either()
        self._depth -= 1
        if not self._take(")"):
            raise self._wrong("a group is not closed")
        return part

    def _class(self) -> Accepts:
        is_not = self._take("^")
        members: list[Accepts] = []
        while (char := self._next()) != "]" or not members:
            members.append(self._member(char))
        return lambda each: is_not != any(accepts(each) for accepts in members)

    def _member(self, char: str) -> Accepts:
        if char == "\\":
            return self._escaped()
        if self._text.startswith("-", self._at) and self._text[self._at + 1 : self._at + 2] not in ("]", ""):
            self._at += 1
            high = self._next()
            return lambda each: char <= each <= high
        return _same(char)

    def _escaped(self) -> Accepts:
        char = self._next()
        kind = _KINDS.get(char.lower())
        if kind is not None:
            return kind if char.islower() else lambda each: not kind(each)
        if char.isalnum() and char not in _CONTROLS:
            raise self._wrong(f"`\\{char}` is not known")
        return _same(_CONTROLS.get(char, char))

    def _accepting(self, accepts: Accepts) -> Fragment:
        end = self._state()
        return self._state(accepts=accepts, out=(end,)), end

    def _state(
        self, *, accepts: Accepts | None = None, edge: str = "", out: tuple[_State, ...] = ()
    ) -> _State:
        self._n_states += 1
        if self._n_states > MAX_STATES:
            raise self._wrong("it repeats too often")
        return _State(accepts, edge, out)

    def _next(self) -> str:
        if self._at >= len(self._text):
            raise self._wrong("it ends too early")
        self._at += 1
        return self._text[self._at - 1]

    def _take(self, char: str) -> bool:
        if not self._text.startswith(char, self._at):
            return False
        self._at += len(char)
        return True

    def _wrong(self, why: str) -> ExpressionInvalid:
        return ExpressionInvalid(
            f"The regular expression `{shorten(self._text)}` cannot be read: {why}",
            hint="Use characters, `.`, classes, groups, `|`, `* + ? {2,3}`, `^` and `$`",
        )


def _same(char: str) -> Accepts:
    return lambda each: each == char


_SIGNS: Final[dict[str, tuple[int, int | None]]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_KINDS: Final[dict[str, Accepts]] = {
    "d": str.isdecimal,
    "s": str.isspace,
    "w": lambda each: each.isalnum() or each == "_",
}
_CONTROLS: Final = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v"}
