"""The run that is being logged to."""

from __future__ import annotations

import atexit
import concurrent.futures.thread  # noqa: F401 - pools that store objects; none is imported while Python ends
import contextlib
import os
import sys
import threading
import warnings
from collections.abc import Mapping
from contextvars import Token
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from noria.core import lineage
from noria.core.errors import Conflict, NoriaError
from noria.core.objects.sources import scan
from noria.core.workspace import Workspace
from noria.tracking.batches import ParamChanged
from noria.tracking.buffer import PointBuffer
from noria.tracking.capture import CONSOLE_FILE, Capturing
from noria.tracking.current import active
from noria.tracking.entities import Link, Run, RunSource, RunStatus
from noria.tracking.frames import Ended, Linked, Opened, Params, Tags
from noria.tracking.keeping import Keeper
from noria.tracking.limits import (
    MAX_PARAM_CHARS,
    MAX_TAG_CHARS,
    check_artifact_path,
    check_key,
    check_length,
    check_link,
)
from noria.tracking.line import depot_of, going_on, nanoseconds_of, open_outbox
from noria.tracking.media import dict_file, figure_file, image_file, table_file, text_file
from noria.tracking.outbox import GIVE_UP_S
from noria.tracking.redaction import redact
from noria.tracking.settings import Capture, TrackingSection
from noria.tracking.sync import send_rest_of_run
from noria.tracking.values import as_text

ERROR_TAG = "noria.error"
_MAX_ERROR_CHARS = 1_000


class RunNotSent(UserWarning):
    """A run ended while the service did not answer; what it logged waits in the spool."""


class ActiveRun:
    """A run that is being logged to.

    Made by `noria.run()`. As a context manager it is the active run inside the block (`noria.log()` and the lineage
    of datasets and models go to it), and ends with the block: `finished`, `failed` when the block raises, `killed`
    when it is interrupted. Without a `with` block call `end()`; a program that ends without it ends the run too.

    What is logged is on disk within a tenth of a second and outlives the process; a service that does not answer is
    tried again, and what it did not get when the run ends is sent by `noria runs sync`, or by the next process that
    opens the workspace. Methods may be called from any thread, and from processes made by fork.
    """

    def __init__(
        self,
        workspace: Workspace,
        run: Run,
        *,
        steps: Mapping[str, int] | None = None,
        opened: Opened | None = None,
    ) -> None:
        self.workspace = workspace
        self._clock = workspace.clock
        self._id = run.id
        self.name = run.name
        self.project = run.project
        self.experiment = run.experiment
        self._source = run.source
        self._section = workspace.settings.section("tracking", TrackingSection)
        self._params = dict(run.params)
        self._lock = threading.Lock()
        following = {key: step + 1 for key, step in (steps or {}).items()}
        self._buffer = PointBuffer(nanoseconds_of(workspace.clock), following)
        self._outbox = open_outbox(workspace, self._buffer, opened or going_on(self.project, self._id))
        self._keeper = Keeper(self._outbox, workspace, self.project)
        self._capturing: Capturing | None = None
        self._tokens: tuple[Token[ActiveRun | None], Token[lineage.Recorder | None]] | None = None
        self._ended = False
        self._process = os.getpid()
        self._inputs_read = dict.fromkeys(link.ref for link in run.inputs)
        self._is_introduced = self._outbox.segment.is_known
        if not self._is_introduced:
            self._outbox.wake()
        atexit.register(self._at_exit)

    @property
    def id(self) -> str:
        """Id of the run, which the service knows when somebody asks for it: 32 digits out of 0-9 and a-f."""
        if not self._is_introduced:
            self._introduce()
        return self._id

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
        Conflict
            If the run has ended.
        """
        self._buffer.add(metrics, step)
        if self._outbox.quiet:
            self._outbox.wake()

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
            raise ParamChanged(self._id, key, old=old, new=text)
        self._outbox.add(Params({key: text}))

    def params(self, params: Mapping[str, Any]) -> None:
        """Log several params."""
        for key, value in params.items():
            self.param(key, value)

    def tag(self, key: str, value: Any) -> None:
        """Set a tag; None removes it."""
        check_key("tag", key)
        text = None if value is None else as_text(key, value)
        check_length(f"value of the tag `{key}`", text or "", MAX_TAG_CHARS)
        self._outbox.add(Tags({key: text}))

    def tags(self, tags: Mapping[str, Any]) -> None:
        """Set several tags."""
        for key, value in tags.items():
            self.tag(key, value)

    def artifact(self, path: str | Path, name: str | None = None) -> list[str]:
        """Keep a file, or a folder with all files below it, as they are now.

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
        for inner, source in files.items():
            self._keeper.file(inner, source)
        return list(files)

    def file(self, path: str | Path, name: str | None = None) -> str:
        """Keep one file, and give its path within the run; see `artifact`.

        Raises
        ------
        Conflict
            If it is a folder.
        """
        if Path(path).is_dir():
            raise Conflict(f"`{path}` is a folder", hint="run.folder(…) keeps one with all files below it")
        return self.artifact(path, name)[0]

    def folder(self, path: str | Path, name: str | None = None) -> list[str]:
        """Keep all files below a folder, and give their paths within the run; see `artifact`.

        Raises
        ------
        Conflict
            If it is a file.
        """
        if Path(path).is_file():
            raise Conflict(f"`{path}` is a file", hint="run.file(…) keeps one")
        return self.artifact(path, name)

    def figure(self, name: str, figure: Any, *, step: int | None = None) -> str:
        """Keep a figure of Matplotlib or Plotly, and give its path within the run.

        Parameters
        ----------
        name
            The ending chooses the format: `.png` (Matplotlib's when left out), `.svg`, `.pdf`; `.json` (Plotly's when
            left out), `.html`.
        step
            Batch, epoch: the path gets its number.
        """
        return self._keeper.made(figure_file(name, figure, step=step))

    def table(self, name: str, rows: Any, *, step: int | None = None) -> str:
        """Keep a table, and give its path within the run; `noria.read_table()` reads it again.

        Parameters
        ----------
        name
            The ending chooses the format: `.parquet` (of frames when left out), `.json` (of the rest), `.csv`.
        rows
            A frame of Polars or pandas, a list of mappings, or a mapping of columns.
        """
        return self._keeper.made(table_file(name, rows, step=step))

    def image(self, name: str, image: Any, *, step: int | None = None) -> str:
        """Keep an image, and give its path within the run.

        Parameters
        ----------
        image
            An array of shape (height, width) or (height, width, channels), integers from 0 to 255 or floats from 0
            to 1; an image of Pillow; or the path of a file.
        """
        return self._keeper.made(image_file(name, image, step=step))

    def text(self, name: str, text: str) -> str:
        """Keep a text, and give its path within the run."""
        return self._keeper.made(text_file(name, text))

    def dict(self, name: str, content: Any) -> str:
        """Keep a mapping or list as JSON, and give its path within the run."""
        return self._keeper.made(dict_file(name, content))

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
        self._outbox.flush(give_up_s=GIVE_UP_S)

    def end(self, status: RunStatus | str = RunStatus.FINISHED) -> None:
        """Send all that was logged and end the run. A second call does nothing.

        When the service does not answer for some seconds (`patience_s` of `[tracking]`) the rest stays in the spool,
        with a warning.

        Raises
        ------
        NoriaError
            What the service refused of all that was logged; the rest was kept.
        """
        ended = Ended(RunStatus(status), self._clock.now())
        with self._lock:
            if self._ended:
                return
            self._ended = True
        atexit.unregister(self._at_exit)
        if self._capturing is not None and os.getpid() == self._process:
            self._capturing.stop()
        left = self._outbox.close(ended, give_up_s=self._section.patience_s)
        if os.getpid() != self._process:
            return
        if left is None:
            send_rest_of_run(self.workspace, self.id)
        else:
            depot_of(self.workspace.settings.workspace).has_left = True
            _warn_not_sent(self._id, left)

    def leave(self) -> None:
        """Send all that was logged and let go of the run, which goes on elsewhere or has ended.

        Raises
        ------
        NoriaError
            What the service refused, or why not all could be sent; it waits in the spool then.
        """
        self._leave()
        with self._lock:
            if self._ended:
                return
            self._ended = True
        atexit.unregister(self._at_exit)
        left = self._outbox.close(None, give_up_s=GIVE_UP_S)
        if left is not None:
            raise left

    def capture(self, capture: Capture) -> None:
        """Begin to capture what was not logged by hand. Called once, at the start."""
        self._capturing = Capturing(
            capture,
            self._section,
            self._clock,
            add=self._outbox.add,
            log=self.log,
            source=self._source or RunSource(),
        )
        self._outbox.before_write = self._capturing.tick
        console = self._outbox.segment.file(CONSOLE_FILE)
        self._capturing.start(Path.cwd(), console, self._heard)

    @property
    def is_known(self) -> bool:
        """Whether the service has heard of the run; if not, it is told now."""
        self._is_introduced = True
        with contextlib.suppress(NoriaError):
            self._outbox.sender.send()
        return self._outbox.segment.is_known

    def _introduce(self) -> None:
        """Have the service know the run before its id is passed on; when it does not answer, it will later."""
        if self._ended or os.getpid() != self._process or self.is_known:
            return
        refused = self._outbox.sender.run_refused
        if refused is not None:
            raise refused

    def __enter__(self) -> Self:
        if self._tokens is not None:
            raise Conflict(f"The run `{self._id}` is active already", hint="Enter it once")
        self._tokens = (active.set(self), lineage.recorder.set(self))
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
            if status is RunStatus.FAILED and not self._ended:
                self.tag(ERROR_TAG, redact(f"{type(error).__name__}: {error}")[:_MAX_ERROR_CHARS])
            self.end(status)
        except NoriaError as second:
            # The block's own error is what the caller must see.
            error.add_note(f"The end of run `{self._id}` could not be recorded: {second.message}")

    def __repr__(self) -> str:
        return f"<run {self._id} `{self.name}` of `{self.experiment}`>"

    def _leave(self) -> None:
        if self._tokens is not None:
            current, recorder = self._tokens
            active.reset(current)
            lineage.recorder.reset(recorder)
            self._tokens = None

    def _link(self, direction: str, ref: str, digest: str) -> None:
        check_link(Link(ref=ref, digest=digest))
        self._outbox.add(Linked(direction, ref, digest))

    def _heard(self) -> None:
        if self._outbox.quiet:
            self._outbox.wake()

    def _at_exit(self) -> None:
        # Python leaves the error that ends a program in `sys.last_value`.
        error = getattr(sys, "last_value", None)
        self.end(RunStatus.FINISHED if error is None else _status_of(error))


def _warn_not_sent(run_id: str, left: NoriaError) -> None:
    warnings.warn(
        f"Not all of run `{run_id}` is sent: {left.message}. It waits in the spool; `noria runs sync` sends it",
        RunNotSent,
        stacklevel=4,
    )


def _status_of(error: BaseException) -> RunStatus:
    if isinstance(error, SystemExit):
        return RunStatus.FINISHED if error.code in (None, 0) else RunStatus.FAILED
    return RunStatus.KILLED if isinstance(error, (KeyboardInterrupt, GeneratorExit)) else RunStatus.FAILED
