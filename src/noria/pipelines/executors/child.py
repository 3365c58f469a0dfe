"""The process that runs steps for another one: `python -m noria.pipelines.executors.child REQUEST_FD ANSWER_FD`.

It loads little by itself: the project's code, what that imports, and the database libraries only when a step works in
the workspace. The end of the requests means that the other process is gone; this one then ends at once with everything
that it started.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import importlib.util
import io
import os
import queue
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from noria.core import lineage
from noria.core.clock import SystemClock
from noria.core.config import Settings, load_settings
from noria.core.errors import ErrorBody, NoriaError, NotFound
from noria.core.workspace import Workspace, use_workspace
from noria.pipelines.authoring import Step
from noria.pipelines.cache_entities import KeyParts
from noria.pipelines.distributions import home_of
from noria.pipelines.executors.attempt import Made, Surroundings, Task, attempt
from noria.pipelines.executors.child_run import ChildRun
from noria.pipelines.executors.packing import CarriedObjects, unpacked
from noria.pipelines.executors.places import WorkspaceNotShared, seal_of
from noria.pipelines.executors.work import (
    BEGUN,
    HEAD_BYTES,
    OWN_FOLDERS,
    Outcome,
    Setup,
    Work,
    body_bytes,
    from_body,
    to_frame,
)
from noria.pipelines.failures import StepFailed, step_failure
from noria.pipelines.fingerprint import explain, key_of, key_parts
from noria.pipelines.marks import Marks
from noria.pipelines.storing import Objects, ValueStore

_MAIN = "__mp_main__"


class OtherCode(StepFailed):
    """The process that runs a step has other code or libraries than the one that called it."""

    code = "other_code"


class LazyBackend:
    """Opens a workspace when something is asked of it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opened: Workspace | None = None

    def service(self, cls: Any) -> Any:
        """Give a service of the workspace."""
        return self._workspace.service(cls)

    def close(self) -> None:
        """Let go of connections."""
        if self._opened is not None:
            self._opened.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._workspace.backend, name)

    @property
    def _workspace(self) -> Workspace:
        if self._opened is None:
            from noria.core.workspace import open_workspace

            self._opened = open_workspace(self._settings, send_left=False)
        return self._opened


class Hand:
    """Runs the steps that it is given, one after the other."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        settings = _settings_of(setup)
        if setup.seal is not None and setup.seal != seal_of(settings):
            raise WorkspaceNotShared(settings.workspace)
        self._workspace = Workspace(settings, LazyBackend(settings), SystemClock())
        self._root = _code_of(setup, self._workspace)
        self._objects = CarriedObjects(self._open_objects)
        self._marks = Marks()
        self._ignored = [] if settings.is_remote else [settings.folder, Path(setup.objects_url)]
        _prepare(setup, self._root)

    def run(self, work: Work) -> Outcome:
        """Make one attempt."""
        began = time.monotonic()
        run = ChildRun(self._workspace, self._setup.run, work.inputs_read)
        self._objects.give(work.carried)
        self._marks.learn(work.marks)
        with use_workspace(self._workspace), run.active(), _origin(self._setup.origin):
            try:
                made, error = self._attempt(work, run), None
            except BaseException as failed:  # noqa: BLE001 - whatever it is, the caller must learn of it
                made, error = run.told(), _told(work, failed, self._root)
            run.flush()
        brought = list(self._objects.brought.values()) if self._setup.direct else []
        return Outcome(
            made=made,
            error=error,
            carried=self._objects.carried,
            brought=brought,
            marks=self._marks.news(),
            ran_s=time.monotonic() - began,
        )

    def _attempt(self, work: Work, run: ChildRun) -> Made:
        step = find_step(work.module, work.name)
        values = ValueStore(self._objects, marks=self._marks)
        values.trust_digests(work.trusted)
        arguments = {name: unpacked(packed, values) for name, packed in work.arguments.items()}
        parts = key_parts(step, arguments, self._root)
        if work.keyed:
            _require_same(work, parts)
        task = Task(step, arguments, parts, key_of(parts))
        return attempt(task, Surroundings(values, run, self._root, self._ignored))

    def _open_objects(self) -> Objects:
        if not self._setup.direct:
            return self._workspace.objects()
        from noria.core.objects.opening import open_objects

        settings = self._workspace.settings
        return open_objects(settings.objects_url, SystemClock(), spool=settings.folder / "tmp")


def main(arguments: list[str]) -> None:
    """Serve requests until they end."""
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read_requests, args=(int(arguments[0]), requests), daemon=True).start()
    answer_fd = int(arguments[1])
    _write_lines_at_once()
    hand: Hand | NoriaError = _prepared(from_body(requests.get(), Setup))
    while True:
        work = from_body(requests.get(), Work)
        _send(answer_fd, BEGUN)
        outcome = hand.run(work) if isinstance(hand, Hand) else Outcome(made=Made(), error=hand.to_body())
        _write_lines_at_once()
        _send(answer_fd, to_frame(outcome))


def find_step(module: str, name: str) -> Step[..., Any]:
    """Import a step by its place.

    Raises
    ------
    NotFound
        If there is none of this name, as for a step that a function defines inside.
    """
    place = importlib.import_module(_MAIN if module == "__main__" else module)
    found: Any = place
    for part in name.split("."):
        found = getattr(found, part, None)
    if type(found) is not Step:
        known = (thing for thing in vars(place).values() if isinstance(thing, Step))
        found = next((step for step in known if step.function.__qualname__ == name), found)
    if not isinstance(found, Step):
        raise NotFound(
            f"The step `{name}` is not found in the module `{module}`, so that no other process can run it",
            hint="Define it at the top of a module, or run without workers",
        )
    return found


def _prepared(setup: Setup) -> Hand | NoriaError:
    try:
        return Hand(setup)
    except NoriaError as error:
        return error


def _settings_of(setup: Setup) -> Settings:
    environ = {**os.environ, "NORIA_WORKSPACE": setup.workspace, "NORIA_PROJECT": setup.project}
    if setup.token:
        environ["NORIA_TOKEN"] = setup.token
    folder = Path(setup.root) if setup.root else None
    settings = load_settings(environ=environ, folder=folder)
    if settings.is_remote:
        return settings
    return dataclasses.replace(settings, database_url=setup.database_url, objects_url=setup.objects_url)


def _code_of(setup: Setup, workspace: Workspace) -> Path:
    """Give the root of the project's code, made out of its snapshot where there is one."""
    if setup.snapshot is None:
        return Path(setup.root)
    from noria.pipelines.snapshots import open_snapshot

    return open_snapshot(workspace, setup.snapshot, Path.cwd() / "code")


def _prepare(setup: Setup, root: Path) -> None:
    """Let the project's modules be found, and import them, without what they say at that: it was said before."""
    if setup.shares_files:
        sys.path[:] = setup.search_path
    elif setup.snapshot is not None:  # else the pipeline is of a package that is installed here, too
        sys.path[:0] = [str(root / place) for place in setup.search_path]
    sys.argv[:] = setup.arguments
    with contextlib.redirect_stdout(io.StringIO()):
        if setup.main is not None:
            _load_main(root / setup.main)
        for name in setup.modules:
            with contextlib.suppress(Exception):  # raised again, and told, by the step that needs it
                importlib.import_module(name)


def _load_main(path: Path) -> None:
    """Import the program under another name, so that what it does only as a program is left out."""
    spec = importlib.util.spec_from_file_location(_MAIN, path)
    if spec is None or spec.loader is None:
        return
    module: ModuleType = importlib.util.module_from_spec(spec)
    sys.modules[_MAIN] = sys.modules["__main__"] = module
    with contextlib.suppress(Exception):
        spec.loader.exec_module(module)


def _require_same(work: Work, parts: KeyParts) -> None:
    """Refuse to run other code than the caller's: its result would be found under a wrong key."""
    here, there = (msgspec.structs.replace(each, inputs={}, parameters={}) for each in (parts, work.parts))
    differs = explain(there, here)
    if differs is not None:
        raise OtherCode(
            f"The process that runs the step `{work.step}` has other code than the one that called it: {differs}",
            hint="Leave the code alone while it runs, give what changes as a parameter, and install the same "
            "versions everywhere",
            details={"step": work.step},
        )


def _told(work: Work, error: BaseException, root: Path) -> ErrorBody:
    if isinstance(error, StepFailed):
        return error.to_body()
    try:
        step = find_step(work.module, work.name)
    except Exception:  # noqa: BLE001 - importing it is what failed
        home = home_of(work.module, str(root), root)
    else:
        home = home_of(work.module, step.function.__code__.co_filename, root)
    return step_failure(work.step, error, home).to_body()


@contextlib.contextmanager
def _origin(origin: lineage.CodeOrigin | None) -> Iterator[None]:
    token = lineage.origin.set(origin)
    try:
        yield
    finally:
        lineage.origin.reset(token)


def _write_lines_at_once() -> None:
    """Write what was said so far, and from now on line by line."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # the step may have closed it
            stream.flush()
            if isinstance(stream, io.TextIOWrapper):
                # Also where Python was told not to buffer: it would write a line and its end one after the other, and
                # what another process says might come in between.
                stream.reconfigure(line_buffering=True, write_through=False)


def _send(descriptor: int, frame: bytes) -> None:
    view = memoryview(frame)
    while view:
        view = view[os.write(descriptor, view) :]


def _read_requests(descriptor: int, requests: queue.SimpleQueue[bytes]) -> None:
    with os.fdopen(descriptor, "rb") as source:
        while head := source.read(HEAD_BYTES):
            requests.put(source.read(body_bytes(head)))
    # The process that runs the pipeline is gone, and cannot clear up any more.
    for folder in (Path(tempfile.gettempdir()), Path.cwd()):
        if folder.name.startswith(OWN_FOLDERS):
            shutil.rmtree(folder, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
