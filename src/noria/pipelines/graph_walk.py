"""The graph of a pipeline that has not run: its body, walked with stand-ins instead of values.

No step runs. A stand-in can be passed on to steps; where the body looks at one, in a condition, a loop or an
operator, what follows depends on its value, and the walk stops and says where. The body's own statements do run: they
can read the workspace, and the walk stops where they would change it.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from noria.core.errors import Invalid
from noria.pipelines.annotations import describe
from noria.pipelines.authoring import Pipeline, PipelineCycle, Step
from noria.pipelines.calling import current_place, executing_with
from noria.pipelines.distributions import home_of
from noria.pipelines.entities import StepInput
from noria.pipelines.executors.calls import arranged
from noria.pipelines.failures import place_of, told
from noria.pipelines.graph import UNKNOWN_ITEMS, GraphCall, GraphParameter, PipelineGraph, graph_of_calls
from noria.pipelines.showing import shown
from noria.pipelines.walk_guard import Wrote, only_reading

_BINARY = (
    *("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "pow"),
    *("and", "or", "xor", "lshift", "rshift"),
)
_LOOKS = (
    *("bool", "str", "format", "repr", "hash", "int", "float", "index", "round", "array", "fspath"),
    *("eq", "ne", "lt", "le", "gt", "ge", "contains", "len", "iter", "call", "enter"),
    *("neg", "pos", "abs", "invert"),
    *(f"{side}{name}" for name in _BINARY for side in ("", "r")),
)


class _Looked(BaseException):
    """The body looked at a stand-in; no `except Exception` of the body may catch it."""


class StandIn:
    """Stands for a value that is not known: what a step gives, or a parameter that was not given.

    Parameters
    ----------
    what
        What it stands for, in words.
    source
        Position of the step that gives it, and which of its outputs it is.
    parts
        Whether an item or an attribute of it is a stand-in again, rather than a look at its value.
    """

    __slots__ = ("_parts", "_source", "_what")

    def __init__(self, what: str, source: tuple[int, str] | None = None, *, parts: bool = False) -> None:
        self._what = what
        self._source = source
        self._parts = parts

    def __getattr__(self, name: str) -> StandIn:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return self._part()

    def __getitem__(self, key: object) -> StandIn:
        return self._part()

    def _part(self) -> StandIn:
        if not self._parts:
            raise _Looked(self._what)
        return StandIn(self._what, self._source, parts=True)


def _look(self: StandIn, *_: Any) -> NoReturn:
    raise _Looked(self._what)


for _name in _LOOKS:
    setattr(StandIn, f"__{_name}__", _look)


def walk_pipeline(
    pipeline: Pipeline[..., Any], values: Mapping[str, Any], *, target: str, root: Path
) -> PipelineGraph:
    """Give the graph that a pipeline's body makes as far as that is known without running a step.

    Parameters
    ----------
    values
        Parameters that are known; those left out have their defaults, or stand-ins where they have none.

    Raises
    ------
    PipelineCycle
        If the pipeline calls itself.
    """
    given = {
        name: values.get(
            name, StandIn(f"the parameter `{name}`", parts=True) if parameter.required else parameter.default
        )
        for name, parameter in pipeline.parameters.items()
    }
    walk = _Walk(parts=True)
    returned, stopped = _walked(pipeline, given, walk, root, logging=True)
    results = {name: source for name, value in _named(returned) for source in _sources_in(value)}
    return graph_of_calls(target, walk.calls, results, stopped=stopped)


def declared_of(pipeline: Pipeline[..., Any]) -> list[GraphParameter]:
    """List the parameters of a pipeline as text."""
    return [
        GraphParameter(
            name=parameter.name,
            type=describe(parameter.annotation),
            default=None if parameter.required else shown(parameter.default),
        )
        for parameter in pipeline.parameters.values()
    ]


def walk_calls(
    pipeline: Pipeline[..., Any], values: Mapping[str, Any], *, root: Path
) -> tuple[list[tuple[GraphCall, Step[..., Any]]], str | None]:
    """Give the calls that a pipeline's body makes with these parameters, and why the walk stopped, if it did.

    Parameters
    ----------
    values
        All parameters.
    """
    walk = _Walk()
    _, stopped = _walked(pipeline, values, walk, root, logging=False)
    if stopped is None and walk.open_map is not None:
        stopped = f"how many items `{walk.open_map}.map` goes over is known only when it runs"
    return list(zip(walk.calls, walk.steps, strict=True)), stopped


def _walked(
    pipeline: Pipeline[..., Any], given: Mapping[str, Any], walk: _Walk, root: Path, *, logging: bool
) -> tuple[Any, str | None]:
    function = pipeline.function
    home = home_of(function.__module__, function.__code__.co_filename, root)
    try:
        # What the body prints is words: stdout is for the graph.
        with contextlib.redirect_stdout(sys.stderr), only_reading(logging=logging), executing_with(walk):
            return pipeline(**given), None
    except PipelineCycle:
        raise
    except _Looked as looked:
        return None, f"the body looks at {looked.args[0]}{place_of(looked, home)}; what follows depends on it"
    except Wrote as wrote:
        return (
            None,
            f"the body changes the workspace{place_of(wrote, home)} (`{wrote.args[0]}`), which only a run does",
        )
    except Exception as error:  # noqa: BLE001 - whatever the body raises, with stand-ins it may
        return None, f"the body raised{place_of(error, home)}: {told(error)}"


class _Walk:
    """Notes the calls of steps, and gives stand-ins for what they would give."""

    def __init__(self, *, parts: bool = False) -> None:
        self._parts = parts
        self.calls: list[GraphCall] = []
        self.steps: list[Step[..., Any]] = []
        self.open_map: str | None = None

    def call(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Note a call."""
        try:
            arguments = step.signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise Invalid(f"The step `{step.name}` was called wrongly: {error}") from error
        return self._noted(step, arguments, item=None)

    def map(self, step: Step[..., Any], argument: str, items: Any, fixed: dict[str, Any]) -> Any:
        """Note a call for each item, or one for all where they are not known."""
        if type(items) is StandIn:
            self.open_map = step.name
            return self._noted(step, {argument: items, **fixed}, item=UNKNOWN_ITEMS)
        made = [self._noted(step, {argument: one, **fixed}, item=index) for index, one in enumerate(items)]
        return step.transposed(made)

    def _noted(self, step: Step[..., Any], arguments: Mapping[str, Any], *, item: int | None) -> Any:
        position = len(self.calls)
        self.steps.append(step)
        sources = {(name, *source) for name, value in arguments.items() for source in _sources_in(value)}
        self.calls.append(
            GraphCall(
                step=f"{step.function.__module__}:{step.name}",
                name=step.name,
                position=position,
                sources=[
                    StepInput(argument=name, source_position=at, output=output)
                    for name, at, output in sorted(sources)
                ],
                declared=step.declared,
                group=current_place().group,
                item=item,
            )
        )
        made = [
            StandIn(f"what `{step.name}` gives", (position, name), parts=self._parts)
            for name in step.declared
        ]
        return arranged(step, made)


def _sources_in(value: Any) -> Iterator[tuple[int, str]]:
    if type(value) is StandIn:
        if value._source is not None:
            yield value._source
    elif type(value) is dict or type(value) is list or isinstance(value, tuple):
        for item in value.values() if type(value) is dict else value:
            yield from _sources_in(item)


def _named(returned: Any) -> list[tuple[str, Any]]:
    if returned is None:
        return []
    if type(returned) is dict:
        return [(str(name), value) for name, value in returned.items()]
    if isinstance(returned, tuple):
        names = getattr(returned, "_fields", range(len(returned)))
        return [(str(name), value) for name, value in zip(names, returned, strict=True)]
    return [("output", returned)]
