"""Who runs the steps that the body of a pipeline calls, and where in the body it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import msgspec

from noria.pipelines.outputs import Taken, taken_around

if TYPE_CHECKING:
    from noria.pipelines.authoring import Pipeline, Step


class Executor(Protocol):
    """What runs the steps that the body of a pipeline calls."""

    def call(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a step, or find its result, and give handles to its outputs."""
        ...


@runtime_checkable
class MapExecutor(Protocol):
    """An executor that does more with a map than to call the step for each item."""

    def map(self, step: Step[..., Any], argument: str, items: Any, fixed: dict[str, Any]) -> Any:
        """Give what the calls give, as `Step.map` does."""
        ...


class Place(msgspec.Struct, frozen=True):
    """Where in a running pipeline a step is called.

    Attributes
    ----------
    group
        Nested pipelines around the call, outermost first: `prepare/clean`.
    item
        Which item of a map it is for.
    over
        The argument that takes the items, and the source of the handle that they are taken out of.
    """

    group: str = ""
    item: int | None = None
    over: tuple[str, int, str] | None = None


class Frame(msgspec.Struct, frozen=True):
    """A pipeline whose body runs; counts the calls of others in it."""

    pipeline: Pipeline[..., Any]
    label: str
    calls: Counter[str] = msgspec.field(default_factory=Counter)

    def label_of(self, name: str) -> str:
        """Give the next call of a pipeline its own name: `clean`, then `clean 2`."""
        self.calls[name] += 1
        return name if self.calls[name] == 1 else f"{name} {self.calls[name]}"


executor_around: ContextVar[Executor | None] = ContextVar("noriaexecutor_around", default=None)
frames_around: ContextVar[tuple[Frame, ...]] = ContextVar("noria_pipelineframes_around", default=())
item_around: ContextVar[tuple[int | None, tuple[str, int, str] | None]] = ContextVar(
    "noria_map_item", default=(None, None)
)


@contextmanager
def executing_with(executor: Executor | None) -> Iterator[None]:
    """Send the step calls inside the block to `executor`; with None they are plain calls."""
    token = executor_around.set(executor)
    taken = taken_around.set(None if executor is None else Taken())
    try:
        yield
    finally:
        executor_around.reset(token)
        taken_around.reset(taken)


def current_place() -> Place:
    """Say where in the running pipeline the body is."""
    return Place("/".join(frame.label for frame in frames_around.get()[1:]), *item_around.get())
