"""Log runs from Python; the same on a folder and on a server."""

from __future__ import annotations

import os
import platform
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from noria.core.author import local_author
from noria.core.errors import Invalid, NoriaError, NotFound, Unavailable
from noria.core.ids import is_id, new_id
from noria.core.workspace import Workspace, current_workspace
from noria.tracking.active import ERROR_TAG, ActiveRun, RunNotSent
from noria.tracking.capture import described_by, shared_looks
from noria.tracking.current import active, active_run, log
from noria.tracking.entities import NewRun, Run, RunSource, RunStatus
from noria.tracking.experiment_entities import DEFAULT_EXPERIMENT
from noria.tracking.frames import Opened
from noria.tracking.lifecycle import check_new_run
from noria.tracking.line import depot_of
from noria.tracking.media import read_table as _read_table
from noria.tracking.search.entities import RunSearch
from noria.tracking.segments import peek
from noria.tracking.service import Runs
from noria.tracking.settings import Capture, TrackingSection, chosen_capture
from noria.tracking.source import shown_command
from noria.tracking.spool import segments_in, spool_folder
from noria.tracking.sync import begin_in_background, send_rest_of_run
from noria.tracking.values import as_text

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "ERROR_TAG",
    "ActiveRun",
    "Capture",
    "RunNotSent",
    "RunOffline",
    "active_run",
    "log",
    "read_table",
    "run",
]


class RunOffline(UserWarning):
    """The service does not answer; the run goes on and is sent later."""


class _Begun(NamedTuple):
    run: Run
    opened: Opened
    steps: dict[str, int]


def run(
    name: str | None = None,
    *,
    experiment: str | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    resume: str | bool | None = None,
    capture: Capture | Mapping[str, bool] | bool | None = None,
    workspace: Workspace | None = None,
) -> ActiveRun:
    """Start a run, or go on with one.

    Inside the block of another run it is a child of that run. When the service does not answer, the run starts all
    the same, with a warning, and is sent when it does.

    Parameters
    ----------
    name
        For people; made up when left out.
    experiment
        Group of runs, made at first use. `Default` when left out, or the parent's.
    params, tags
        What the run starts with; more can be logged later.
    resume
        Id or name of a run to go on with, a name within `experiment`; of several the one that started last. True goes
        on with the run that `name` says, and starts it if there is none. One that has ended is running again.
    capture
        What is captured without being asked: `False` for nothing, `{"console": False}` for all but the console; the
        settings in `[tracking]` when left out.
    workspace
        The current one when left out.

    Raises
    ------
    Invalid
        If a name, param or tag cannot be kept.
    NotFound
        If there is no run to go on with.

    Examples
    --------
    >>> import noria, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> ws = noria.open_workspace(noria.load_settings(workspace=folder.name))
    >>> with noria.run("first", experiment="digits", workspace=ws, capture=False) as run:
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
    captured = chosen_capture(capture, place.settings.section("tracking", TrackingSection))
    _send_what_was_left(place)
    parent = _parent_in(place)
    group = experiment or (parent.experiment if parent else DEFAULT_EXPERIMENT)
    begun = _resumed(place, resume, name, group, experiment) if resume else None
    if begun is None:
        begun = _started(place, parent, _new_run(place, name, group, parent, captured, params, tags))
    started = ActiveRun(place, begun.run, steps=begun.steps, opened=begun.opened)
    if begun.opened.new is None:
        started.params(params or {})
        started.tags(tags or {})
    started.capture(captured)
    return started


def read_table(run_id: str, path: str, *, workspace: Workspace | None = None) -> pl.DataFrame:
    """Read a table that `run.table()` kept.

    Parameters
    ----------
    path
        Its path within the run, as `run.table()` gave it.
    """
    place = workspace or current_workspace()
    return _read_table(path, place.service(Runs).artifact(place.project, run_id, path).read())


def _new_run(
    workspace: Workspace,
    name: str | None,
    experiment: str,
    parent: ActiveRun | None,
    capture: Capture,
    params: Mapping[str, Any] | None,
    tags: Mapping[str, Any] | None,
) -> NewRun:
    run_id = new_id()
    return NewRun(
        id=run_id,
        name=name or f"run-{run_id[-8:]}",
        experiment=experiment,
        parent=parent.id if parent else None,
        params={key: as_text(key, value) for key, value in (params or {}).items()},
        tags={key: as_text(key, value) for key, value in (tags or {}).items()},
        started_at=workspace.clock.now(),
        source=_source(capture),
        author=local_author(),
    )


def _source(capture: Capture) -> RunSource:
    known = RunSource(
        command=shown_command(shared_looks().redactor().command(sys.argv)) if capture.command else None,
        python=platform.python_version(),
        host=platform.node() if capture.host else None,
    )
    return described_by(known, shared_looks().fresh(Path.cwd(), capture)) if capture.code else known


def _started(workspace: Workspace, parent: ActiveRun | None, new: NewRun) -> _Begun:
    check_new_run(new)
    trusting = depot_of(workspace.settings.workspace).trusting
    made: Run | None = None
    # Once this process was let in, starting a run needs no request: the service hears of it with what is logged.
    if workspace.project not in trusting and (parent is None or parent.is_known):
        try:
            made = workspace.service(Runs).create(workspace.project, new)
            trusting.add(workspace.project)
        except Unavailable as away:
            _warn_offline(away)
    opened = Opened(
        project=workspace.project,
        run_id=new.id or "",
        new=new,
        known=made is not None,
        process=os.getpid(),
    )
    return _Begun(made or _imagined(workspace, new), opened, {})


def _imagined(workspace: Workspace, new: NewRun) -> Run:
    """Give the run as the service will make it."""
    return Run(
        id=new.id or "",
        project=workspace.project,
        experiment=new.experiment,
        name=new.name or "",
        status=RunStatus.RUNNING,
        started_at=new.started_at or workspace.clock.now(),
        params=new.params,
        tags=new.tags,
        source=new.source,
        parent=new.parent,
    )


def _resumed(
    workspace: Workspace, resume: str | bool, name: str | None, group: str, experiment: str | None
) -> _Begun | None:
    """Go on with a run; None when there is none and one may be started."""
    if resume is True:
        if name is None:
            raise Invalid("A run to go on with needs a name", hint='noria.run("name", resume=True)')
        found = _named(workspace, name, group)
        return None if found is None else _resumed_by_id(workspace, found, group)
    wanted = str(resume)
    if name is not None or (experiment is not None and is_id(wanted)):
        raise Invalid(
            f"The run `{wanted}` has a name and an experiment already",
            hint="Leave `name` and `experiment` out when you resume",
        )
    if is_id(wanted):
        return _resumed_by_id(workspace, wanted, group)
    found = _named(workspace, wanted, group)
    if found is None:
        raise NotFound(
            f"The experiment `{group}` has no run `{wanted}`",
            hint=f"noria runs list -e {group}; `noria.run({wanted!r}, resume=True)` starts one",
        )
    return _resumed_by_id(workspace, found, group)


def _resumed_by_id(workspace: Workspace, run_id: str, group: str) -> _Begun:
    service = workspace.service(Runs)
    steps: dict[str, int] = {}
    made: Run | None = None
    try:
        send_rest_of_run(workspace, run_id)
        made = service.resume(workspace.project, run_id)
        steps = {point.key: point.step for point in service.metrics(workspace.project, run_id).items}
    except Unavailable as away:
        _warn_offline(away)
    opened = Opened(
        project=workspace.project, run_id=run_id, new=None, known=made is not None, process=os.getpid()
    )
    imagined = NewRun(id=run_id, name=f"run-{run_id[-8:]}", experiment=group)
    return _Begun(made or _imagined(workspace, imagined), opened, steps)


def _named(workspace: Workspace, name: str, experiment: str) -> str | None:
    """Find the run of a name that started last, at the service or, while that does not answer, in the spool."""
    try:
        return _found(workspace, name, experiment) or _spooled(workspace, name, experiment)
    except Unavailable as away:
        found = _spooled(workspace, name, experiment)
        if found is not None:
            return found
        raise Unavailable(
            f"Whether there is a run `{name}` cannot be told: {away.message}",
            hint="Resume it by its id, or start another one",
        ) from away


def _found(workspace: Workspace, name: str, experiment: str) -> str | None:
    mark = '"' if "'" in name else "'"
    if mark in name:
        raise Invalid(
            f"The run `{name}` cannot be looked for by its name, which holds both kinds of quotes",
            hint="Resume it by its id",
        )
    search = RunSearch(
        filter=f"attributes.run_name = {mark}{name}{mark}",
        order_by=["attributes.start_time DESC"],
        experiments=[experiment],
        limit=1,
    )
    try:
        page = workspace.service(Runs).search(workspace.project, search)
    except NotFound:
        return None  # no such experiment yet
    return page.items[0].id if page.items else None


def _spooled(workspace: Workspace, name: str, experiment: str) -> str | None:
    for path in reversed(segments_in(spool_folder(workspace.settings))):
        opened = peek(path)
        if opened is None or opened.new is None or opened.project != workspace.project:
            continue
        if (opened.new.name, opened.new.experiment) == (name, experiment):
            return opened.run_id
    return None


def _parent_in(workspace: Workspace) -> ActiveRun | None:
    current = active.get()
    if current is None or current.workspace.settings != workspace.settings:
        return None
    return current


def _send_what_was_left(workspace: Workspace) -> None:
    depot = depot_of(workspace.settings.workspace)
    if depot.has_left:
        depot.has_left = False
        begin_in_background(workspace)


def _warn_offline(away: NoriaError) -> None:
    warnings.warn(
        f"{away.message}. The run goes on, and is sent when the service answers again",
        RunOffline,
        stacklevel=4,
    )
