"""What annotations say about values: does a value fit, and how a type is called in a message."""

from __future__ import annotations

import collections.abc
import numbers
import types
import typing
from typing import Any, Literal, Union

_NUMBERS: dict[type, type] = {int: numbers.Integral, float: numbers.Real, complex: numbers.Complex}


def is_union(annotation: Any) -> bool:
    """Tell whether an annotation is `A | B`, `Union[A, B]` or `Optional[A]`."""
    return typing.get_origin(annotation) in (Union, types.UnionType)


def plain(annotation: Any) -> Any:
    """Take `Annotated[…]` and a bare `None` off an annotation."""
    if typing.get_origin(annotation) is typing.Annotated:
        return plain(typing.get_args(annotation)[0])
    return types.NoneType if annotation is None else annotation


def describe(annotation: Any) -> str:
    """Give the name of a type as a person would write it.

    Examples
    --------
    >>> describe(float), describe(list[int] | None), describe(Literal["a", "b"])
    ('float', 'list[int] | None', "'a' | 'b'")
    """
    annotation = plain(annotation)
    if annotation is types.NoneType:
        return "None"
    if is_union(annotation):
        return " | ".join(describe(part) for part in typing.get_args(annotation))
    if typing.get_origin(annotation) is Literal:
        return " | ".join(repr(option) for option in typing.get_args(annotation))
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return annotation.__name__
    return str(annotation).replace("typing.", "")


def conforms(value: object, annotation: Any) -> bool:
    """Tell whether a value fits an annotation, as far as its outermost type says.

    The items of containers are not looked at, and what cannot be told at run time (type variables, protocols) fits.
    NumPy's numbers fit `int` and `float`; a bool is not a number.
    """
    annotation = plain(annotation)
    if is_union(annotation):
        return any(conforms(value, part) for part in typing.get_args(annotation))
    origin = typing.get_origin(annotation)
    if origin is Literal:
        return any(type(option) is type(value) and option == value for option in typing.get_args(annotation))
    if origin is tuple:
        return _conforms_to_tuple(value, typing.get_args(annotation))
    if origin is collections.abc.Callable:
        return callable(value)
    return _is_instance(value, annotation if origin is None else origin)


def _conforms_to_tuple(value: object, items: tuple[Any, ...]) -> bool:
    if not isinstance(value, tuple):
        return False
    if len(items) == 2 and items[1] is Ellipsis:
        return True
    return len(value) == len(items) and all(map(conforms, value, items))


def _is_instance(value: object, kind: Any) -> bool:
    if not isinstance(kind, type) or kind is object:
        return True
    if kind in _NUMBERS:
        return isinstance(value, _NUMBERS[kind]) and not isinstance(value, bool)
    try:
        return isinstance(value, kind)
    except TypeError:
        return True  # a protocol that cannot be checked at run time
