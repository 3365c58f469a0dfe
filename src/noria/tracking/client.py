"""Log runs from Python; the same on a folder and on a server.

Calls on the active run append to memory and return; a thread sends what has gathered, ten times a second.
"""

from __future__ import annotations

import atexit
import platform
import sys
import threading
from collections.abc import Mapping
from contextvars import ContextVar, Token
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from noria.core import lineage
from noria.core.author import local_author
from noria.core.errors import Conflict, Invalid, NoriaError
from noria.core.ids import new_id
from noria.core.objects.sources import scan
from noria.core.workspace import Workspace, current_workspace
from noria.tracking.batches import ParamChanged
from noria.tracking.entities import (
    DEFAULT_EXPERIMENT,
    Link,
    LogBatch,
    NewRun,
    Run,
    RunEnd,
    RunStatus,
)
from noria.tracking.limits import (
    MAX_ENTRIES,
    MAX_PARAM_CHARS,
    MAX_TAG_CHARS,
    check_artifact_path,
    check_key,
    check_length,
    check_link,
)
from noria.tracking.outbox import Outbox, Point
from noria.tracking.service import Runs
from noria.tracking.source import capture_source, redact
from noria.tracking.values import as_float, as_step, as_text

ERROR_TAG = "noria.error"
_MAX_ERROR_CHARS = 1_000

_active: ContextVar[ActiveRun | None] = ContextVar("noria_active_run", default=None)


class ActiveRun:
    """A run that is being logged to.

    Made by `noria.run()`. As a context manager it is the active run inside the block (`noria.log()` and the lineage
    of datasets and models go to it), and ends with the block: `finished`, `failed` when the block raises, `killed`
    when it is interrupted. Without a `with` block call `end()`; a program that ends without it ends the run too.

    Methods may be called from any thread.
    """

    def __init__(self, workspace: Workspace, run: Run, *, steps: Mapping[str, int] | None = None) -> None:
        self.workspace = workspace
        self._service = workspace.service(Runs)
        self._clock = workspace.clock
        self.id = run.id
        self.name = run.name
        self.project = run.project
        self.experiment = run.experiment
        self._params = dict(run.params)
        self._next_step = {key: step + 1 for key, step in (steps or {}).items()}
        self._lock = threading.Lock()
        self._outbox = Outbox(self._send, workspace.clock)
        self._tokens: tuple[Token[ActiveRun | None], Token[lineage.Recorder | None]] | None = None
        self._ended = False
        self._inputs_read = dict.fromkeys(link.ref for link in run.inputs)
        atexit.register(self._at_exit)

    def log(self, metrics: Mapping[str, Any], *, step: int | None = None) -> None:
        """Log values of metrics.

        Parameters
        ----------
        metrics
            Numbers by key; NaN and infinities are kept.
        step
            Batch, epoch. Left out, each key counts up by itself from 0.

        Raises
        ------
        Invalid
            If a value is no number or a key has a wrong form; nothing of this call is logged then.
        """
        at = self._clock.now()
        chosen = None if step is None else as_step(step)
        with self._lock:
            points = [self._point(key, value, chosen, at) for key, value in metrics.items()]
            for key, _, used, _ in points:
                self._next_step[key] = used + 1
        self._outbox.points(points)
        self._outbox.raise_pending()

    def _point(self, key: str, value: Any, step: int | None, at: datetime) -> Point:
        following = self._next_step.get(key)
        if following is None:
            check_key("metric", key)
        number = value if type(value) is float else as_float(key, value)
        return (key, number, (following or 0) if step is None else step, at)

    def param(self, key: str, value: Any) -> None:
        """Log a param: what this run was told to do. It never changes.

        Raises
        ------
        ParamChanged
            If it has another value already.
        """
        check_key("param", key)
        text = as_text(key, value)
        check_length(f"value of the param `{key}`", text, MAX_PARAM_CHARS)
        with self._lock:
            old = self._params.setdefault(key, text)
        if old != text:
            raise ParamChanged(self.id, key, old=old, new=text)
        self._outbox.param(key, text)

    def params(self, params: Mapping[str, Any]) -> None:
        """Log several params."""
        for key, value in params.items():
            self.param(key, value)

    def tag(self, key: str, value: Any) -> None:
        """Set a tag; None removes it."""
        check_key("tag", key)
        text = None if value is None else as_text(key, value)
        check_length(f"value of the tag `{key}`", text or "", MAX_TAG_CHARS)
        self._outbox.tag(key, text)

    def tags(self, tags: Mapping[str, Any]) -> None:
        """Set several tags."""
        for key, value in tags.items():
            self.tag(key, value)

    def artifact(self, path: str | Path, name: str | None = None) -> list[str]:
        """Keep a file, or a folder with all files below it. Returns when the bytes are stored.

        Parameters
        ----------
        name
            Path within the run; the file's or folder's own name when left out.

        Returns
        -------
        list of str
            The paths within the run.

        Raises
        ------
        NotFound
            If nothing is there.
        """
        location = Path(path)
        base = check_artifact_path(name or location.resolve().name)
        files = {
            base if location.is_file() else f"{base}/{found.path}": found.location
            for found in scan(location).files
        }
        for inner in files:
            check_artifact_path(inner)
        store = self.workspace.objects(self.project)
        digests = {inner: store.put_file(source).digest for inner, source in files.items()}
        paths = list(digests)
        for start in range(0, len(paths), MAX_ENTRIES):
            part = {inner: digests[inner] for inner in paths[start : start + MAX_ENTRIES]}
            self._service.log(self.project, self.id, LogBatch(artifacts=part))
        return paths

    def record_input(self, ref: str, digest: str) -> None:
        """Note that this run read `ref`, as `dataset:digits@2`."""
        self._inputs_read[ref] = None
        self._link("inputs", ref, digest)

    @property
    def inputs_read(self) -> list[str]:
        """References of what this run read so far, in the order of the first reading."""
        return list(self._inputs_read)

    def record_output(self, ref: str, digest: str) -> None:
        """Note that this run made `ref`."""
        self._link("outputs", ref, digest)

    def flush(self) -> None:
        """Send all that was logged so far, and wait for it.

        Raises
        ------
        NoriaError
            What the service refused, or `Unavailable`.
        """
        self._outbox.flush()

    def end(self, status: RunStatus | str = RunStatus.FINISHED) -> None:
        """Send all that was logged and end the run. A second call does nothing."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
        atexit.unregister(self._at_exit)
        try:
            self._outbox.close()
        finally:
            self._service.finish(self.project, self.id, RunEnd(status=RunStatus(status)))

    def __enter__(self) -> Self:
        if self._tokens is not None:
            raise Conflict(f"The run `{self.id}` is active already", hint="Enter it once")
        self._tokens = (_active.set(self), lineage.recorder.set(self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()
        if error is None:
            self.end()
            return
        try:
            status = _status_of(error)
            if status is RunStatus.FAILED:
                self.tag(ERROR_TAG, redact(f"{type(error).__name__}: {error}")[:_MAX_ERROR_CHARS])
            self.end(status)
        except NoriaError as second:
            # The block's own error is what the caller must see.
            error.add_note(f"The end of run `{self.id}` could not be recorded: {second.message}")

    def __repr__(self) -> str:
        return f"<run {self.id} `{self.name}` of `{self.experiment}`>"

    def _leave(self) -> None:
        if self._tokens is not None:
            active, recorder = self._tokens
            _active.reset(active)
            lineage.recorder.reset(recorder)
            self._tokens = None

    def _link(self, direction: str, ref: str, digest: str) -> None:
        link = Link(ref=ref, digest=digest)
        check_link(link)
        self._outbox.link(direction, link)

    def _send(self, batch: LogBatch) -> None:
        self._service.log(self.project, self.id, batch)

    def _at_exit(self) -> None:
        # Python leaves the error that ends a program in `sys.last_value`.
        error = getattr(sys, "last_value", None)
        self.end(RunStatus.FINISHED if error is None else _status_of(error))


def run(
    name: str | None = None,
    *,
    experiment: str | None = None,
    resume: str | None = None,
    workspace: Workspace | None = None,
) -> ActiveRun:
    """Start a run, or go on with one.

    Inside the block of another run it is a child of that run.

    Parameters
    ----------
    name
        For people; made up when left out.
    experiment
        Group of runs, made at first use. `Default` when left out, or the parent's.
    resume
        Id of a run to go on with; one that has ended is running again.
    workspace
        The current one when left out.

    Examples
    --------
    >>> import noria, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> ws = noria.open_workspace(noria.load_settings(workspace=folder.name))
    >>> with noria.run("first", experiment="digits", workspace=ws) as run:
    ...     run.param("lr", 0.1)
    ...     run.log({"accuracy": 0.91})
    ...     run.log({"accuracy": 0.97})
    >>> from noria.tracking.service import Runs
    >>> kept = ws.service(Runs).get("default", run.id)
    >>> kept.status.value, kept.params, kept.metrics
    ('finished', {'lr': '0.1'}, {'accuracy': 0.97})
    >>> ws.close(); folder.cleanup()
    """
    place = workspace or current_workspace()
    if resume is not None:
        return _resume(place, resume, name, experiment)
    parent = _parent_in(place)
    new = NewRun(
        id=new_id(),
        name=name,
        experiment=experiment or (parent.experiment if parent else DEFAULT_EXPERIMENT),
        parent=parent.id if parent else None,
        source=capture_source(sys.argv, Path.cwd(), python=platform.python_version(), host=platform.node()),
        author=local_author(),
    )
    return ActiveRun(place, place.service(Runs).create(place.project, new))


def active_run() -> ActiveRun | None:
    """Give the run of the innermost `with noria.run()` block, or None."""
    return _active.get()


def log(metrics: Mapping[str, Any], *, step: int | None = None) -> None:
    """Log values of metrics to the active run.

    Raises
    ------
    Conflict
        If there is none.
    """
    current = _active.get()
    if current is None:
        raise Conflict("There is no active run to log to", hint="with noria.run(): noria.log(…)")
    current.log(metrics, step=step)


def _resume(workspace: Workspace, run_id: str, name: str | None, experiment: str | None) -> ActiveRun:
    if name is not None or experiment is not None:
        raise Invalid(
            f"The run `{run_id}` has a name and an experiment already",
            hint="Leave `name` and `experiment` out when you resume",
        )
    service = workspace.service(Runs)
    resumed = service.resume(workspace.project, run_id)
    latest = service.metrics(workspace.project, run_id).items
    return ActiveRun(workspace, resumed, steps={point.key: point.step for point in latest})


def _parent_in(workspace: Workspace) -> ActiveRun | None:
    active = _active.get()
    if active is None or active.workspace.settings != workspace.settings:
        return None
    return active


def _status_of(error: BaseException) -> RunStatus:
    if isinstance(error, SystemExit):
        return RunStatus.FINISHED if error.code in (None, 0) else RunStatus.FAILED
    return RunStatus.KILLED if isinstance(error, (KeyboardInterrupt, GeneratorExit)) else RunStatus.FAILED
