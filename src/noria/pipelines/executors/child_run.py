"""What stands for the run in a process that runs its steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from noria.core import lineage
from noria.core.workspace import Workspace
from noria.pipelines.executors.attempt import Made
from noria.pipelines.recording import StepNotes
from noria.tracking.current import active
from noria.tracking.entities import Run
from noria.tracking.values import as_float, as_text


class ChildRun:
    """Notes what a step logs, for the process of the run to log; files and tables go to the run from here.

    Parameters
    ----------
    inputs_read
        What the run read before.
    """

    def __init__(self, workspace: Workspace, run: Run, inputs_read: Sequence[str]) -> None:
        self.workspace = workspace
        self.project = run.project
        self.experiment = run.experiment
        self.name = run.name
        self.id = run.id
        self._run = run
        self._inputs_read = list(inputs_read)
        self._notes = StepNotes(self)
        self._real: Any = None

    @contextmanager
    def active(self) -> Iterator[None]:
        """Make it the active run inside the block."""
        token = active.set(cast("Any", self))
        try:
            yield
        finally:
            active.reset(token)

    @contextmanager
    def noting(self) -> Iterator[StepNotes]:
        """Note what is told inside the block."""
        tokens = (lineage.recorder.set(self._notes), lineage.follower.set(self._notes.follow))
        try:
            yield self._notes
        finally:
            lineage.recorder.reset(tokens[0])
            lineage.follower.reset(tokens[1])

    def told(self) -> Made:
        """Give what was told so far."""
        notes = self._notes
        return Made(inputs=list(notes.inputs.values()), made=list(notes.made.values()), logged=notes.logged)

    @property
    def inputs_read(self) -> list[str]:
        """References of what the run read so far."""
        return self._inputs_read

    def record_input(self, ref: str, _digest: str) -> None:
        """Take in what was read; the notes have its digest."""
        if ref not in self._inputs_read:
            self._inputs_read.append(ref)

    def record_output(self, ref: str, digest: str) -> None:
        """Do nothing: the notes have it."""

    def log(self, metrics: Mapping[str, Any], *, step: int | None = None) -> None:
        """Note values of metrics."""
        counted = -1 if step is None else step
        self._notes.metrics += [(key, repr(as_float(key, value)), counted) for key, value in metrics.items()]

    def param(self, key: str, value: Any) -> None:
        """Note a param."""
        self._notes.params[key] = as_text(key, value)

    def params(self, params: Mapping[str, Any]) -> None:
        """Note several params."""
        for key, value in params.items():
            self.param(key, value)

    def tag(self, key: str, value: Any) -> None:
        """Note a tag."""
        self._notes.tags[key] = None if value is None else as_text(key, value)

    def tags(self, tags: Mapping[str, Any]) -> None:
        """Note several tags."""
        for key, value in tags.items():
            self.tag(key, value)

    def flush(self) -> None:
        """Send what went past the notes."""
        if self._real is not None:
            self._real.flush()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if self._real is None:
            from noria.tracking.client import ActiveRun

            self._real = ActiveRun(self.workspace, self._run)
        return getattr(self._real, name)
