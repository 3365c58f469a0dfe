"""What a run captures by itself, in the background: code, environment, console, curves of the machine."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from noria.core.clock import Clock
from noria.core.errors import NoriaError
from noria.tracking.console_capture import ConsoleLog, Tees
from noria.tracking.entities import RunSource
from noria.tracking.environment import environment_lock
from noria.tracking.frames import Described, Kept, Record, Tags
from noria.tracking.redaction import Redactor
from noria.tracking.settings import Capture, TrackingSection
from noria.tracking.source import git_diff, git_state
from noria.tracking.system_metrics import SystemCurves

ENVIRONMENT_PATH = "noria/requirements.txt"
DIFF_PATH = "noria/uncommitted.diff"
CONSOLE_PATH = "noria/console.log"
CONSOLE_FILE = "console.log"
"""Name of the file beside the segment that grows with the output."""
ENERGY_TAG = "noria.energy_source"

_FRESH_S = 30.0
"""So long is a look at the code and the environment good for further runs of the same process."""
_PATIENCE_S = 5.0
_FIRST_CONSOLE_S, _LONGEST_CONSOLE_S = 10.0, 300.0

_log = logging.getLogger(__name__)


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What is around a run: state of its code, and what is installed."""

    commit: str | None
    dirty: bool | None
    diff: str | None
    environment: str | None


class Looks:
    """Looks at the surroundings, once for all runs that start within moments. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[tuple[Path, Capture], tuple[float, Surroundings]] = {}
        self._redactor: tuple[dict[str, str], Redactor] | None = None

    def fresh(self, folder: Path, capture: Capture) -> Surroundings | None:
        """Give what was seen moments ago, or None."""
        at_s, seen = self._seen.get((folder, capture), (-_FRESH_S, None))
        return seen if self._clock.monotonic() - at_s < _FRESH_S else None

    def redactor(self) -> Redactor:
        """Give what hides the secrets of the environment as it is now."""
        environ = dict(os.environ)
        if self._redactor is None or self._redactor[0] != environ:
            self._redactor = (environ, Redactor(environ))
        return self._redactor[1]

    def look(self, folder: Path, capture: Capture) -> Surroundings:
        """Look, unless somebody did moments ago."""
        with self._lock:
            seen = self.fresh(folder, capture)
            if seen is None:
                seen = _look(folder, capture, self.redactor())
                self._seen = {(folder, capture): (self._clock.monotonic(), seen)}
            return seen


def _look(folder: Path, capture: Capture, redactor: Redactor) -> Surroundings:
    commit, dirty = git_state(folder) if capture.code else (None, None)
    diff = git_diff(folder) if capture.diff and (dirty or not capture.code) else None
    installed = environment_lock(sys.path) if capture.environment else None
    return Surroundings(
        commit=commit,
        dirty=dirty,
        diff=redactor.diff(diff) if diff else None,
        environment=redactor.code(installed) if installed else None,
    )


class Capturing:
    """What one run captures, from its start to its end.

    Parameters
    ----------
    add, log
        Take artifacts, tags and descriptions; and values of metrics.
    source
        What the run is described by already.
    """

    def __init__(
        self,
        capture: Capture,
        section: TrackingSection,
        clock: Clock,
        *,
        add: Callable[[Record], None],
        log: Callable[[Mapping[str, Any]], None],
        source: RunSource,
        looks: Looks | None = None,
    ) -> None:
        self._capture = capture
        self._section = section
        self._clock = clock
        self._add = add
        self._log = log
        self._source = source
        self._looks = looks or shared_looks()
        self._looking: threading.Thread | None = None
        self._curves: SystemCurves | None = None
        self._console: ConsoleLog | None = None
        self._console_kept = 0
        self._console_pause_s = _FIRST_CONSOLE_S
        self._console_due_s = clock.monotonic() + _FIRST_CONSOLE_S

    def start(self, folder: Path, console_path: Path, heard: Callable[[], None]) -> None:
        """Begin.

        Parameters
        ----------
        folder
            Working folder, in whose repository the code is.
        console_path
            File for the console's output.
        heard
            Called when there is new output.
        """
        if self._capture.console:
            self._listen(console_path, heard)
        if self._capture.code or self._capture.diff or self._capture.environment:
            seen = self._looks.fresh(folder, self._capture)
            if seen is not None:
                self._tell(seen)
            else:
                self._looking = threading.Thread(
                    target=self._look, args=(folder,), name="noria-capture", daemon=True
                )
                self._looking.start()
        if self._capture.system or self._capture.energy:
            self._curves = SystemCurves(self._log, self._capture, self._section, self._clock)

    def tick(self) -> None:
        """Write down new output of the console, and now and then keep all of it as an artifact."""
        if self._console is None:
            return
        with contextlib.suppress(OSError):  # a full disk costs the console's output only
            self._console.write()
        now_s = self._clock.monotonic()
        if now_s >= self._console_due_s and self._console.n_bytes != self._console_kept:
            self._keep_console()
            self._console_pause_s = min(self._console_pause_s * 2, _LONGEST_CONSOLE_S)
            self._console_due_s = now_s + self._console_pause_s

    def stop(self) -> None:
        """End, with last samples and all of the console."""
        if self._curves is not None:
            self._curves.stop()
            if self._curves.energy_source is not None and self._capture.energy:
                self._add(Tags({ENERGY_TAG: self._curves.energy_source}))
        if self._looking is not None:
            self._looking.join(_PATIENCE_S)
        self._stop_listening()

    def _listen(self, path: Path, heard: Callable[[], None]) -> None:
        console = ConsoleLog(path, self._looks.redactor())

        def hear(stream: str, text: str) -> None:
            console.hear(stream, text)
            with contextlib.suppress(NoriaError):  # `print` must not raise what the run has to say
                heard()

        self._console = console
        self._hear = hear
        _tees().listen(hear)

    def _stop_listening(self) -> None:
        if self._console is None:
            return
        _tees().leave(self._hear)
        with contextlib.suppress(OSError):  # as above
            self._console.write(ending=True)
        if self._console.n_bytes != self._console_kept:
            self._keep_console()

    def _keep_console(self) -> None:
        if self._console is not None:
            self._console_kept = self._console.n_bytes
            self._add(Kept(CONSOLE_PATH, data=self._console.content()))

    def _look(self, folder: Path) -> None:
        try:
            self._tell(self._looks.look(folder, self._capture))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the folder, the run goes on
            _log.info("run.not_captured", extra={"error": str(error)})

    def _tell(self, seen: Surroundings) -> None:
        described = described_by(self._source, seen)
        if described != self._source:
            self._add(Described(described))
        if seen.diff:
            self._add(Kept(DIFF_PATH, data=seen.diff.encode(errors="replace")))
        if seen.environment:
            self._add(Kept(ENVIRONMENT_PATH, data=seen.environment.encode(errors="replace")))


def described_by(source: RunSource, seen: Surroundings | None) -> RunSource:
    """Add to a description what was seen of the code."""
    if seen is None:
        return source
    return msgspec.structs.replace(source, git_commit=seen.commit, git_dirty=seen.dirty)


@functools.cache
def _tees() -> Tees:
    tees = Tees()
    os.register_at_fork(after_in_child=tees.after_fork)
    return tees


@functools.cache
def shared_looks() -> Looks:
    """Give the looks that all runs of this process share."""
    from noria.core.clock import SystemClock

    return Looks(SystemClock())
