"""Which calls of a body must be over before it goes on."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import Any

from noria.pipelines.authoring import Step, pipeline, step
from noria.pipelines.executors.body import must_wait


@step
def number() -> int:
    return 1


@step
def perhaps() -> int | None:
    return None


def asked(of: Step[..., Any]) -> bool:
    """Ask for the place of the caller, as an executor does."""
    return must_wait(of, sys._getframe(1))


def test_a_plain_call_does_not_wait() -> None:
    """Neither in a line, nor in a loop or a comprehension, nor beside a block that catches."""

    @pipeline
    def body() -> list[bool]:
        looped = []
        for _ in range(2):
            looped.append(asked(number))  # noqa: PERF401 - the loop is what is tried
        try:
            looped[0] = bool(looped[0])
        except ValueError:
            return []
        return [*looped, *[asked(number) for _ in range(2)], asked(number)]

    assert body() == [False] * 5


def test_a_call_whose_error_is_caught_waits() -> None:
    """In `try`, in `with`, and in a function that is called from there."""

    def inner() -> bool:
        return asked(number)

    @pipeline
    def body() -> list[bool]:
        with nullcontext():
            direct = asked(number)
        try:
            through = inner()
        finally:
            direct = bool(direct)
        return [direct, through, inner()]

    assert body() == [True, True, False]


def test_a_body_that_compares_with_is_waits_for_what_may_be_single() -> None:
    """`None`, `True` and `False` are compared by identity, where a step may give them."""

    @pipeline
    def looks(other: object = 1) -> list[bool]:
        return [asked(perhaps), asked(number)] if other is not None else []

    @pipeline
    def does_not() -> list[bool]:
        return [asked(perhaps), asked(number)]

    assert looks() == [True, False]
    assert does_not() == [False, False]
