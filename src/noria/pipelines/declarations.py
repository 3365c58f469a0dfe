"""What can be a step or a pipeline, and what may be said of it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from types import FunctionType
from typing import Any

from noria.core.errors import Invalid, near
from noria.pipelines.entities import Resources

MOST_RETRIES = 100
_OPTIONS = ("cache", "retries", "timeout_s", "resources")


class NotAStep(Invalid):
    """The decorated thing cannot be a step or a pipeline."""

    code = "not_a_step"


def plain_function(function: Callable[..., Any], role: str) -> FunctionType:
    """Check that something can be a step or a pipeline, and give it back.

    Raises
    ------
    NotAStep
        If it is not a named function that returns its result.
    """
    name = getattr(function, "__name__", repr(function))
    if hasattr(function, "__noria_role__"):
        raise NotAStep(f"`{name}` is a step or a pipeline already", hint=f"Remove one `@{role}`")
    if not isinstance(function, FunctionType):
        raise NotAStep(
            f"`{name}` is {_kind_of(function)}, and only a function can be a {role}",
            hint=f"Write a function that calls it, under `@{role}`",
        )
    if function.__name__ == "<lambda>":
        raise NotAStep(f"A lambda cannot be a {role}, since it has no name", hint="Write it with `def`")
    if function.__code__.co_flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR):
        raise NotAStep(
            f"`{name}` is a generator, and a {role} gives its result at once", hint="Return a list instead"
        )
    if function.__code__.co_flags & inspect.CO_COROUTINE:
        raise NotAStep(f"`{name}` is a coroutine, and a {role} is called plainly", hint="Write it with `def`")
    return function


def _kind_of(thing: object) -> str:
    return "a class" if isinstance(thing, type) else f"a `{type(thing).__name__}`"


def require_no_others(names: Iterable[str]) -> None:
    """Refuse options that `@step` does not have.

    Raises
    ------
    Invalid
        Names the first one, and the one that was probably meant.
    """
    for name in names:
        close = near(name, _OPTIONS)
        known = ", ".join(f"`{option}`" for option in _OPTIONS)
        raise Invalid(
            f"`@step` has no option `{name}`",
            hint=f"Did you mean `{close}`?" if close else f"Its options are {known}",
        )


def checked_retries(name: str, retries: int) -> int:
    """Check how often a step is tried again.

    Raises
    ------
    Invalid
        If it is not a whole number from 0 to 100.
    """
    if type(retries) is not int or not 0 <= retries <= MOST_RETRIES:
        raise Invalid(
            f"`retries` of the step `{name}` is `{retries}`",
            hint=f"Give a whole number from 0 to {MOST_RETRIES}",
        )
    return retries


def checked_timeout(name: str, timeout_s: float | None) -> float | None:
    """Check how long a step may take.

    Raises
    ------
    Invalid
        If it is not a number of seconds above 0.
    """
    if timeout_s is not None and not _is_amount(timeout_s):
        raise Invalid(
            f"`timeout_s` of the step `{name}` is `{timeout_s}`", hint="Give a number of seconds above 0"
        )
    return timeout_s


def checked_resources(name: str, resources: Resources | None) -> Resources:
    """Check what a step takes while it runs.

    Raises
    ------
    Invalid
        If an amount is none.
    """
    given = Resources() if resources is None else resources
    if not isinstance(given, Resources):
        raise Invalid(
            f"`resources` of the step `{name}` is `{given!r}`",
            hint="Give `noria.Resources(cpus=2, memory_bytes=4_000_000_000)`",
        )
    if not _is_amount(given.cpus):
        raise Invalid(f"`cpus` of the step `{name}` is `{given.cpus}`", hint="Give a number above 0")
    if given.memory_bytes is not None and (type(given.memory_bytes) is not int or given.memory_bytes < 1):
        raise Invalid(
            f"`memory_bytes` of the step `{name}` is `{given.memory_bytes}`",
            hint="Give a whole number of bytes: `4_000_000_000`",
        )
    if type(given.gpus) is not int or given.gpus < 0:
        raise Invalid(f"`gpus` of the step `{name}` is `{given.gpus}`", hint="Give a whole number")
    return given


def mapped_argument(name: str, signature: inspect.Signature, items: Any, fixed: Mapping[str, Any]) -> str:
    """Give the parameter that takes the items of a map: the first that is not fixed.

    Raises
    ------
    Invalid
        If there is none, or a text is given for the items.
    """
    if type(items) in (str, bytes, dict):
        raise Invalid(
            f"The step `{name}` is mapped over a `{type(items).__name__}`",
            hint=f"Give a list: `{name}.map([…])`",
        )
    open_ = [
        parameter.name
        for parameter in signature.parameters.values()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        and parameter.name not in fixed
    ]
    if not open_:
        raise Invalid(
            f"The step `{name}` is mapped, and every parameter of it is fixed",
            hint="Leave out the parameter that takes the items",
        )
    return open_[0]


def _is_amount(value: object) -> bool:
    return type(value) in (int, float) and 0 < value < math.inf  # type: ignore[operator]
