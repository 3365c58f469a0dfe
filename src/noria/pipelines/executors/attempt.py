"""Run a step's function once, in whatever process, and store what it gave."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec

from noria.pipelines.annotations import conforms, describe
from noria.pipelines.authoring import Step
from noria.pipelines.cache_entities import Followed, KeyParts, Logged, ReadFile, StoredValue
from noria.pipelines.calling import executing_with
from noria.pipelines.failures import StepFailed
from noria.pipelines.fingerprint import explain, key_of, key_parts
from noria.pipelines.outputs import Output, holds_output, map_outputs
from noria.pipelines.reads import watching_reads
from noria.pipelines.recording import MOST_FILES_READ, MOST_LOGGED, StepNotes
from noria.pipelines.showing import shown
from noria.pipelines.storing import ValueStore
from noria.tracking.entities import Link

_UNCHANGING = (type(None), bool, int, float, complex, str, bytes, datetime, Path)


class Noting(Protocol):
    """A run that notes what a step tells."""

    def noting(self) -> AbstractContextManager[StepNotes]:
        """Note what is told inside the block."""
        ...


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What a step gave and told.

    Attributes
    ----------
    followed, files, inputs, made, logged
        As in a cache entry.
    unkept
        Why the result is not kept to be reused, in words.
    """

    outputs: list[StoredValue] = []
    followed: list[Followed] = []
    files: list[ReadFile] = []
    inputs: list[Link] = []
    made: list[Link] = []
    logged: Logged = Logged()
    unkept: str | None = None


class Task(msgspec.Struct, frozen=True):
    """A call of a step that is to run.

    Attributes
    ----------
    arguments
        By parameter; outputs of other steps as handles, also inside lists, tuples and dicts.
    """

    step: Step[..., Any]
    arguments: Mapping[str, Any]
    parts: KeyParts
    key: str | None


class Surroundings(msgspec.Struct, frozen=True):
    """What a process has for the attempts that it makes.

    Attributes
    ----------
    root
        Root of the project.
    ignored
        Folders and files that are not data of the steps.
    """

    values: ValueStore
    run: Noting
    root: Path
    ignored: Sequence[Path]


def attempt(task: Task, around: Surroundings) -> Made:
    """Run a step once.

    Raises
    ------
    StepFailed
        If it returned something else than it declares.
    Exception
        What it raised.
    """
    step, values = task.step, around.values
    bound = inspect.BoundArguments(
        step.signature,
        {name: own_copy(value, values) for name, value in task.arguments.items()},
    )
    declared = [path for value in bound.arguments.values() for path in _paths_in(value)]
    with (
        executing_with(None),
        around.run.noting() as notes,
        watching_reads([*around.ignored, *declared], around.root) as files,
    ):
        returned = step.function(*bound.args, **bound.kwargs)
    outputs = [values.save(value) for value in _outputs_of(step, returned)]
    read = files.found(around.root)
    return Made(
        outputs=outputs,
        followed=list(notes.followed.values()),
        files=read,
        inputs=list(notes.inputs.values()),
        made=list(notes.made.values()),
        logged=notes.logged,
        unkept=_why_not_kept(task, notes, len(read), around.root),
    )


def _paths_in(value: Any) -> Iterator[Path]:
    """Give the paths that an argument is or holds: what lies there is part of the key already."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from _paths_in(item)
    elif isinstance(value, dict):
        yield from _paths_in(list(value.values()))


def own_copy(value: Any, values: ValueStore) -> Any:
    """Give a step its own copy of an argument, so that what it changes is seen by nobody else."""
    if type(value) is Output:
        return values.load(value.stored)
    if isinstance(value, _UNCHANGING):
        return value
    if holds_output(value):
        return map_outputs(value, lambda output: values.load(output.stored))
    try:
        return copy.deepcopy(value)
    except Exception:  # noqa: BLE001 - what cannot be copied (a connection) is handed over as it is
        return value


def _why_not_kept(task: Task, notes: StepNotes, n_files: int, root: Path) -> str | None:
    if len(notes.metrics) > MOST_LOGGED:
        return f"it logged more than {MOST_LOGGED} points"
    if n_files > MOST_FILES_READ:
        return f"it read more than {MOST_FILES_READ} files that are not among its arguments"
    if task.key is None or not task.parts.constants:
        return None
    after = key_parts(task.step, task.arguments, root)
    return None if key_of(after) == task.key else f"while it ran, {explain(task.parts, after)}"


def _outputs_of(step: Step[..., Any], returned: Any) -> tuple[Any, ...]:
    """Give the outputs that a step declares.

    Raises
    ------
    StepFailed
        If it returned something else.
    """
    if not conforms(returned, step.returns):
        raise StepFailed(
            f"The step `{step.name}` declares to return `{describe(step.returns)}`, and returned "
            f"`{shown(returned)}`, a `{type(returned).__name__}`",
            hint="Mend its return annotation or what it returns",
            details={"step": step.name},
        )
    return (returned,) if step.output_names is None else tuple(returned)
