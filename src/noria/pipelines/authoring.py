"""Write pipelines as plain functions: `@step` and `@pipeline`.

::

    @step
    def load(path: Path) -> tuple[np.ndarray, np.ndarray]: ...

    @step(retries=2)
    def fit(x: np.ndarray, y: np.ndarray, c: float) -> LogisticRegression: ...

    @pipeline
    def train(path: Path, c: float = 1.0) -> LogisticRegression:
        x, y = load(path)
        return fit(x, y, c)

Outside a running pipeline, and inside the body of another step, a step is just its function: calling it runs it and
nothing is recorded. Inside the body of a running pipeline a call runs the step, or finds its result in the cache, and
gives a handle (`noria.pipelines.outputs.Output`) to what it made. The graph is whatever the body did: conditions and
loops are Python's own.

Calling a pipeline runs its body as a plain function. `train.run(c=10.0)` runs it recorded in the current workspace.
A pipeline called in the body of another is part of the same run.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Iterable
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    ParamSpec,
    TypeVar,
    cast,
    overload,
)

from noria.core.errors import Invalid
from noria.pipelines.annotations import describe, plain
from noria.pipelines.calling import Frame, MapExecutor, executor_around, frames_around, item_around
from noria.pipelines.declarations import (
    checked_resources,
    checked_retries,
    checked_timeout,
    mapped_argument,
    plain_function,
    require_no_others,
)
from noria.pipelines.outputs import Output
from noria.pipelines.parameters import Parameter, declared_parameters

if TYPE_CHECKING:
    from pathlib import Path

    from noria.pipelines.entities import Resources
    from noria.pipelines.options import RunOptions
    from noria.pipelines.runner import PipelineResult

P = ParamSpec("P")
R = TypeVar("R")


class PipelineCycle(Invalid):
    """A pipeline calls itself, directly or through others."""

    code = "pipeline_cycle"

    def __init__(self, names: list[str]) -> None:
        self.names = tuple(names)
        path = " → ".join(f"`{name}`" for name in names)
        super().__init__(
            f"The pipeline `{names[-1]}` calls itself: {path}",
            hint="A pipeline may call other pipelines, but no circle of them; use a loop in its body instead",
            details={"cycle": names},
        )


class Step(Generic[P, R]):
    """A function whose result is stored, and found again while nothing it depends on changed.

    Attributes
    ----------
    function
        What it runs.
    cache
        False for a step that must run each time.
    retries
        How many more times a step that raised is tried.
    timeout_s
        How long one attempt may take; None for as long as it needs.
    resources
        What it takes while it runs.
    files
        Files beside the code that it reads: scripts in other languages.
    """

    __noria_role__ = "step"

    def __init__(
        self,
        function: Callable[P, R],
        *,
        cache: bool = True,
        retries: int = 0,
        timeout_s: float | None = None,
        resources: Resources | None = None,
        files: tuple[Path, ...] = (),
    ) -> None:
        self.files = files
        self.function = plain_function(function, "step")
        self.cache = cache
        self.retries = checked_retries(self.name, retries)
        self.timeout_s = checked_timeout(self.name, timeout_s)
        self.resources = checked_resources(self.name, resources)
        functools.update_wrapper(self, function)

    @property
    def name(self) -> str:
        """Name of the function."""
        return self.function.__name__

    @functools.cached_property
    def signature(self) -> inspect.Signature:
        """Parameters of the function."""
        return inspect.signature(self.function)

    @functools.cached_property
    def returns(self) -> Any:
        """What the function declares to return; `Any` when it says nothing or what cannot be resolved."""
        try:
            return plain(typing.get_type_hints(self.function).get("return", Any))
        except (NameError, TypeError):
            return Any  # names that only a type checker sees

    @property
    def output_names(self) -> tuple[str, ...] | None:
        """Names of the outputs of a step that returns `tuple[A, B]` or a named tuple; None for a single output."""
        declared = self.returns
        if isinstance(declared, type) and issubclass(declared, tuple) and hasattr(declared, "_fields"):
            return tuple(declared._fields)
        items = typing.get_args(declared)
        if typing.get_origin(declared) is not tuple or not items or Ellipsis in items:
            return None
        return tuple(str(index) for index in range(len(items)))

    @functools.cached_property
    def declared(self) -> dict[str, str]:
        """Name of each output and the type that is declared for it; a single output is called `output`."""
        names = self.output_names
        if names is None:
            return {"output": describe(self.returns)}
        kinds = typing.get_args(self.returns) or typing.get_type_hints(self.returns).values()
        return {name: describe(kind) for name, kind in zip(names, kinds, strict=False)}

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function, or inside a running pipeline give a handle to what it makes or made."""
        executor = executor_around.get()
        made: Any = self.function(*args, **kwargs) if executor is None else executor.call(self, args, kwargs)
        return cast("R", made)

    def map(self, items: Iterable[Any], /, **fixed: Any) -> Any:
        """Call the step for each item, which becomes its first parameter that is not fixed.

        Each item has its own cache key: when one item is added, one call runs. Executors that run several steps at
        once run the items so.

        Parameters
        ----------
        items
            Values, or handles; also the handle of a list, whose items are then known when it is.
        **fixed
            The other arguments, the same for all.

        Returns
        -------
        list or tuple of lists
            What the calls give, in the order of the items; for a step of several outputs one list for each, in the
            step's named tuple if it has one.

        Raises
        ------
        Invalid
            If every parameter is fixed, or a text is given for the items.

        Examples
        --------
        >>> @step
        ... def scaled(n: int, by: int) -> int:
        ...     return n * by
        >>> scaled.map([1, 2, 3], by=10)
        [10, 20, 30]
        """
        argument = mapped_argument(self.name, self.signature, items, fixed)
        executor = executor_around.get()
        if isinstance(executor, MapExecutor):
            return executor.map(self, argument, items, fixed)
        source = items.source if type(items) is Output else None
        over = None if source is None else (argument, *source)
        made = []
        for index, item in enumerate(items):
            token = item_around.set((index, over))
            try:
                made.append(self(**{argument: item}, **fixed))  # type: ignore[call-arg]
            finally:
                item_around.reset(token)
        return self.transposed(made)

    def transposed(self, made: list[Any]) -> Any:
        """Give what calls gave as lists: one list, or for several outputs one for each."""
        names = self.output_names
        if names is None:
            return made
        lists = [[one[index] for one in made] for index in range(len(names))]
        return self.returns(*lists) if hasattr(self.returns, "_fields") else tuple(lists)

    def __repr__(self) -> str:
        return f"<step {self.name}>"


class Pipeline(Generic[P, R]):
    """A function that calls steps, with typed parameters.

    Attributes
    ----------
    function
        Its body.
    """

    __noria_role__ = "pipeline"

    def __init__(self, function: Callable[P, R]) -> None:
        self.function = plain_function(function, "pipeline")
        functools.update_wrapper(self, function)

    @property
    def name(self) -> str:
        """Name of the function."""
        return self.function.__name__

    @property
    def target(self) -> str:
        """Name by which `noria run` finds it: `module:name`."""
        return f"{self.function.__module__}:{self.function.__qualname__}"

    @functools.cached_property
    def parameters(self) -> dict[str, Parameter]:
        """The parameters that it declares, by name."""
        return declared_parameters(self.function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the body.

        Raises
        ------
        PipelineCycle
            If it is running already, further up.
        """
        around = frames_around.get()
        open_pipelines = [frame.pipeline for frame in around]
        if self in open_pipelines:
            names = [pipeline.name for pipeline in open_pipelines[open_pipelines.index(self) :]]
            raise PipelineCycle([*names, self.name])
        label = around[-1].label_of(self.name) if around else self.name
        token = frames_around.set((*around, Frame(self, label)))
        try:
            return cast("R", self.function(*args, **kwargs))
        finally:
            frames_around.reset(token)

    def run(self, **parameters: Any) -> PipelineResult:
        """Run it recorded, in the current workspace.

        Raises
        ------
        ParameterInvalid
            If a parameter is unknown, missing or of a wrong type.
        Failed
            If a step or the body raised; the message names it and the line.
        """
        from noria.core.workspace import current_workspace
        from noria.pipelines.runner import run_pipeline

        return run_pipeline(current_workspace(), self, parameters)

    def options(self, **chosen: Any) -> RunOptions:
        """Say how to run it: `train.options(workers=4).run(c=10.0)`; see `RunOptions` for what can be chosen."""
        from noria.pipelines.options import RunOptions

        return RunOptions(pipeline=self, **chosen)

    def __repr__(self) -> str:
        return f"<pipeline {self.name}>"


@overload
def step(function: Callable[P, R], /) -> Step[P, R]: ...


@overload
def step(
    *,
    cache: bool = True,
    retries: int = 0,
    timeout_s: float | None = None,
    resources: Resources | None = None,
) -> Callable[[Callable[P, R]], Step[P, R]]: ...


def step(
    function: Callable[P, R] | None = None,
    /,
    *,
    cache: bool = True,
    retries: int = 0,
    timeout_s: float | None = None,
    resources: Resources | None = None,
    **others: object,
) -> Step[P, R] | Callable[[Callable[P, R]], Step[P, R]]:
    """Make a function a step of pipelines.

    Parameters
    ----------
    cache
        False for a step that must run each time, since it acts on the outside world or draws its own randomness.
    retries
        How many more times a step that raised is tried, 0 to 100, with a pause that doubles from 0.5 s to 30 s.
    timeout_s
        How long one attempt may take before it is stopped and counts as failed.
    resources
        What it takes while it runs; an executor runs at once only what fits.

    Raises
    ------
    NotAStep
        If it is not a named function that returns its result: a lambda, a generator, a coroutine, a class.
    Invalid
        If an option is out of its range, or there is none of this name; the message names it.

    Examples
    --------
    >>> @step
    ... def double(n: int) -> int:
    ...     return 2 * n
    >>> double(21)
    42
    """
    require_no_others(others)

    def decorated(body: Callable[P, R]) -> Step[P, R]:
        return Step(body, cache=cache, retries=retries, timeout_s=timeout_s, resources=resources)

    return decorated if function is None else decorated(function)


def pipeline(function: Callable[P, R]) -> Pipeline[P, R]:
    """Make a function a pipeline.

    Its parameters become options of `noria run` by their names, types and defaults.

    Raises
    ------
    NotAStep
        If it is not a named function that returns its result.
    """
    return Pipeline(function)
