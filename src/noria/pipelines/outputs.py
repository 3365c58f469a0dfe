"""The handle that stands for what a step made, inside the body of a running pipeline.

A handle is passed on to other steps by digest and loads its value only when the body itself looks at it: in a
condition, an operator, a loop, an index or an attribute. Plain Python control flow therefore works on handles as it
does on values::

    accuracy = evaluate(model, x, y)
    if accuracy > 0.9:          # loaded here
        publish(model)          # passed on by digest, never loaded
"""

from __future__ import annotations

import enum
import operator
import weakref
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol, SupportsIndex, cast

if TYPE_CHECKING:
    from noria.pipelines.cache_entities import StoredValue

MOST_TAKEN = 10_000

_UNARY = ("__neg__", "__pos__", "__abs__", "__invert__")
_BINARY = (
    "add",
    "sub",
    "mul",
    "matmul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "and",
    "or",
    "xor",
    "lshift",
    "rshift",
)
_OFTEN_ONE = (type(None), bool, int, float, complex, str, bytes, type, enum.Enum)
_NO_ITEMS = ()
_UNKNOWN: tuple[Callable[[], Any], None] = (lambda: None, None)
_COMPARISONS = ("__lt__", "__le__", "__gt__", "__ge__")


class Pending(Protocol):
    """Where the bytes of an output will be, once its step is over."""

    def wait(self) -> StoredValue:
        """Wait for the step.

        Raises
        ------
        StepFailed
            If it failed.
        """
        ...


class Taken:
    """What the body of a pipeline took out of handles, known by identity: where `parts["train"]` came from.

    Numbers and texts are not known again: equal ones are often one object. The last `MOST_TAKEN` are kept.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[Callable[[], Any], tuple[int, str]]] = {}

    def note(self, value: Any, source: tuple[int, str]) -> None:
        """Take in that a value was taken out of a handle."""
        if isinstance(value, _OFTEN_ONE) or value is _NO_ITEMS:
            return
        try:
            kept: Callable[[], Any] = weakref.ref(value)
        except TypeError:
            kept = lambda: value  # noqa: E731 - lists and dicts, which the handle's own value holds as well
        if len(self._known) >= MOST_TAKEN:
            del self._known[next(iter(self._known))]
        self._known[id(value)] = (kept, source)

    def sources_in(self, value: Any) -> Iterator[tuple[int, str]]:
        """Give where a value, or the items of a list, tuple or dict, were taken out."""
        if not self._known:
            return
        kind = type(value)
        items = value.values() if kind is dict else value if kind in (list, tuple) else ()
        for one in (value, *items):
            kept, source = self._known.get(id(one), _UNKNOWN)
            if source is not None and kept() is one:
                yield source


taken_around: ContextVar[Taken | None] = ContextVar("noria_taken", default=None)


class Output:
    """A step's output: stored, and loaded when looked at.

    Parameters
    ----------
    stored
        Where its bytes are, or will be.
    load
        Makes the value of these bytes.
    source
        Position of the step that made it, and which of its outputs it is.
    """

    __slots__ = ("_load", "_loaded", "_pending", "_source", "_stored", "_value")

    def __init__(
        self,
        stored: StoredValue | Pending,
        load: Callable[[StoredValue], Any],
        source: tuple[int, str] | None = None,
    ) -> None:
        self._stored: StoredValue | None = None
        self._pending: Pending | None = None
        if hasattr(stored, "wait"):
            self._pending = stored
        else:
            self._stored = stored
        self._load = load
        self._source = source
        self._loaded = False
        self._value: Any = None

    @property
    def digest(self) -> str:
        """Digest of its stored form."""
        return self.stored.digest

    @property
    def stored(self) -> StoredValue:
        """Where its bytes are; waits for the step that makes it."""
        if self._stored is None:
            self._stored = cast("Pending", self._pending).wait()
            self._pending = None
        return self._stored

    @property
    def pending(self) -> Pending | None:
        """What it waits for; None once its bytes are known."""
        return self._pending

    @property
    def source(self) -> tuple[int, str] | None:
        """Position of the step that made it, and which of its outputs it is."""
        return self._source

    @property
    def value(self) -> Any:
        """The value itself, loaded at the first look."""
        if not self._loaded:
            self._value = self._load(self.stored)
            self._loaded = True
        return self._value

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """Type of the value, so that `isinstance` answers as for the value itself."""
        return type(self.value)

    def __repr__(self) -> str:
        if self._loaded:
            return f"Output({self._value!r})"
        if self.pending is not None:
            return "Output(not made yet)"
        return f"Output({self.stored.codec}, {self.digest[:19]}…)"

    def __deepcopy__(self, _memo: object) -> Output:
        """Give itself: what it stands for never changes."""
        return self

    def __getattr__(self, name: str) -> Any:
        # The machinery of Python looks for optional protocols by private names; a handle has none of them.
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return self._taken(getattr(self.value, name))

    def _taken(self, value: Any) -> Any:
        taken = taken_around.get()
        if taken is not None and self._source is not None:
            taken.note(value, self._source)
        return value

    def __str__(self) -> str:
        return f"{self.value}"

    def __format__(self, spec: str) -> str:
        return format(self.value, spec)

    def __bool__(self) -> bool:
        return bool(self.value)

    def __eq__(self, other: object) -> bool:
        return bool(self.value == settle(other))

    def __hash__(self) -> int:
        return hash(self.value)

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[Any]:
        return map(self._taken, self.value)

    def __contains__(self, item: object) -> bool:
        return item in self.value

    def __getitem__(self, key: Any) -> Any:
        return self._taken(self.value[settle(key)])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the value."""
        return self.value(*args, **kwargs)

    def __int__(self) -> int:
        return int(self.value)

    def __float__(self) -> float:
        return float(self.value)

    def __index__(self) -> int:
        return operator.index(self.value)

    def __round__(self, n_digits: SupportsIndex | None = None) -> Any:
        return round(self.value) if n_digits is None else round(self.value, n_digits)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        import numpy as np

        return np.array(self.value, dtype=dtype) if copy else np.asarray(self.value, dtype=dtype)


def settle(value: Any) -> Any:
    """Give the value behind a handle, or what was given when it is none."""
    return value.value if type(value) is Output else value


def holds_output(value: Any) -> bool:
    """Tell whether a value is a handle, or a list, tuple or dict with one inside."""
    kind = type(value)
    if kind is Output:
        return True
    if kind is dict:
        return any(map(holds_output, value.values()))
    return (kind is list or isinstance(value, tuple)) and any(map(holds_output, value))


def outputs_in(value: Any) -> Iterator[Output]:
    """Give the handles in a value; lists, tuples and dicts are looked into."""
    kind = type(value)
    if kind is Output:
        yield value
    elif kind is dict or kind is list or isinstance(value, tuple):
        for item in value.values() if kind is dict else value:
            yield from outputs_in(item)


def map_outputs(value: Any, change: Callable[[Output], Any]) -> Any:
    """Rebuild a value with every handle in it changed; lists, tuples and dicts are looked into."""
    kind = type(value)
    if kind is Output:
        return change(value)
    if not holds_output(value):
        return value
    if kind is dict:
        return {key: map_outputs(item, change) for key, item in value.items()}
    items = [map_outputs(item, change) for item in value]
    if kind is list:
        return items
    return kind(*items) if hasattr(kind, "_fields") else kind(items)


def _forwarded(apply: Callable[..., Any]) -> Callable[..., Any]:
    def forward(self: Output, *others: Any) -> Any:
        return apply(self.value, *map(settle, others))

    return forward


def _reflected(apply: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def forward(self: Output, other: Any) -> Any:
        return apply(settle(other), self.value)

    return forward


for _name in (*_UNARY, *_COMPARISONS):
    setattr(Output, _name, _forwarded(getattr(operator, _name)))
for _name in _BINARY:
    _apply = getattr(operator, f"{_name}_" if _name in ("and", "or") else _name)
    setattr(Output, f"__{_name}__", _forwarded(_apply))
    setattr(Output, f"__r{_name}__", _reflected(_apply))
