"""Decorators: what can be a step or a pipeline, and what they know of themselves."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from noria.core.errors import Invalid
from noria.pipelines.authoring import Pipeline, PipelineCycle, Step, pipeline, step
from noria.pipelines.declarations import NotAStep
from noria.pipelines.entities import Resources


class Pair(NamedTuple):
    left: int
    right: str


@step
def one(a: int, b: int = 2) -> int:
    """Give the sum."""
    return a + b


@step(cache=False, retries=3)
def two() -> tuple[int, str]:
    return 1, "a"


@step
def named() -> Pair:
    return Pair(1, "a")


@step
def many() -> tuple[int, ...]:
    return (1, 2, 3)


@step
def pair(n: int) -> Pair:
    return Pair(n, str(n))


@pipeline
def outer() -> int:
    return inner() + 1


@pipeline
def inner() -> int:
    return one(1)


@pipeline
def around() -> int:
    return around_again()


@pipeline
def around_again() -> int:
    return around()


def test_a_decorated_function_stays_a_function() -> None:
    """A step called outside of a run runs, and keeps its name and documentation."""
    assert one(1) == 3
    assert one(1, b=5) == 6
    assert (one.name, one.__doc__) == ("one", "Give the sum.")
    assert (one.cache, one.retries, two.cache, two.retries) == (True, 0, False, 3)


def test_a_step_knows_its_outputs_by_its_annotation() -> None:
    """A tuple of a fixed length and a named tuple are several outputs; anything else is one."""
    assert one.output_names is None
    assert two.output_names == ("0", "1")
    assert named.output_names == ("left", "right")
    assert many.output_names is None


def test_pipelines_nest_but_not_in_circles() -> None:
    """A pipeline may call another; one that comes back to itself is told with the way it took."""
    assert outer() == 4
    with pytest.raises(PipelineCycle, match="`around` → `around_again` → `around`") as caught:
        around()

    assert caught.value.details == {"cycle": ["around", "around_again", "around"]}
    assert outer() == 4


def test_a_pipeline_is_found_by_its_module_and_name() -> None:
    """The target of a pipeline is what `noria run` takes."""
    assert outer.target == f"{__name__}:outer"


def _generator() -> Any:
    yield 1


async def _coroutine() -> int:
    return 1


@pytest.mark.parametrize(
    ("thing", "told"),
    [
        (lambda: 1, "lambda"),
        (_generator, "generator"),
        (_coroutine, "coroutine"),
        (int, "a class"),
        (functools.partial(one, 1), "a `partial`"),
        (len, "builtin_function_or_method"),
        (one, "already"),
    ],
)
@pytest.mark.parametrize("decorator", [step, pipeline])
def test_only_named_plain_functions_can_be_decorated(thing: Any, told: str, decorator: Any) -> None:
    """A lambda, a generator, a coroutine, a class or what is decorated already is refused, with the mend."""
    with pytest.raises(NotAStep, match=told) as caught:
        decorator(thing)

    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "hint"), [("timeout", "`timeout_s`"), ("retry", "`retries`"), ("gpu", "`cache`, `retries`")]
)
def test_an_option_that_there_is_not_is_named_with_the_near_one(name: str, hint: str) -> None:
    """`@step(timeout=1)` tells that it is called `timeout_s`."""
    wrong: Any = {name: 1}
    with pytest.raises(Invalid, match=f"`{name}`") as caught:
        step(**wrong)
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize("retries", [-1, 101, 1.5, True])
def test_retries_are_a_small_number(retries: Any) -> None:
    """`retries` is a whole number from 0 to 100."""
    with pytest.raises(Invalid, match="retries"):
        Step(one.function, retries=retries)


def test_decorating_gives_a_step_or_a_pipeline() -> None:
    """Both forms of the decorator give the same kind of thing."""
    assert isinstance(one, Step)
    assert isinstance(two, Step)
    assert isinstance(outer, Pipeline)


def test_a_map_calls_the_step_for_each_item() -> None:
    """Items become the first open parameter; a step of several outputs gives a list for each."""
    assert one.map([1, 2], b=10) == [11, 12]
    assert one.map([1, 2], a=10) == [11, 12]
    assert pair.map([1, 2]) == Pair([1, 2], ["1", "2"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: one.map("ab"), "Give a list"),
        (lambda: one.map([1], a=1, b=2), "Leave out the parameter that takes the items"),
        (lambda: step(timeout_s=0)(one.function), "seconds above 0"),
        (lambda: step(timeout_s=True)(one.function), "seconds above 0"),
        (lambda: step(resources=Resources(cpus=0))(one.function), "a number above 0"),
        (lambda: step(resources=Resources(memory_bytes=0))(one.function), "whole number of bytes"),
        (lambda: step(resources=Resources(gpus=-1))(one.function), "whole number"),
        (lambda: step(resources={"cpus": 1})(one.function), "noria.Resources"),  # type: ignore[call-overload]
    ],
)
def test_options_out_of_range_are_refused_with_the_mend(call: Callable[[], Any], told: str) -> None:
    """The message names the step, the option and what to give."""
    with pytest.raises(Invalid) as caught:
        call()
    assert "`one`" in caught.value.message
    assert told in (caught.value.hint or "")
