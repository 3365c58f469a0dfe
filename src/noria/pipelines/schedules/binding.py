"""Bind the schedules of a project's `noria.toml` to the code beside it: done by a person, never by the server."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from noria.core.errors import NoriaError
from noria.core.workspace import Workspace
from noria.pipelines.loading import load_pipeline
from noria.pipelines.parameters import bind
from noria.pipelines.schedules.entities import AppliedSchedules, NewSchedules, ScheduleSection
from noria.pipelines.schedules.planning import filled_params
from noria.pipelines.schedules.service import Schedules
from noria.pipelines.schedules.timing import ScheduleInvalid, interval_at, timing_of
from noria.pipelines.snapshots import take_snapshot

_OWN = "noria."
_EXAMPLE = {"subject": "model:name", "version": 1}


def apply_declared(
    workspace: Workspace, *, prune: bool = False, unpin: Sequence[str] = ()
) -> AppliedSchedules:
    """Check the declared schedules against their pipelines, take a snapshot of the code, and hand both over.

    Raises
    ------
    ScheduleInvalid
        If a pipeline cannot be loaded or its parameters do not fit; the message names the schedule.
    """
    settings = workspace.settings
    specs = settings.entries("schedules", ScheduleSection)
    for spec in specs:
        check_pipeline(spec, settings.project_root, workspace.clock.now())
    with_code = any(not spec.run.startswith(_OWN) for spec in specs)
    snapshot = take_snapshot(workspace, settings.project_root) if with_code else None
    new = NewSchedules(schedules=specs, snapshot=snapshot, prune=prune, unpin=list(unpin))
    return workspace.service(Schedules).apply(workspace.project, new)


def check_pipeline(spec: ScheduleSection, root: Path, now: datetime) -> None:
    """Refuse a schedule whose pipeline is not there or does not take its parameters."""
    try:
        start = end = None
        if spec.has_intervals:
            interval = interval_at(timing_of(spec), now.astimezone(UTC))
            start, end = interval.start, interval.end
        loaded = load_pipeline(spec.run, root=root)
        params = filled_params(spec, start=start, end=end, details=_EXAMPLE if spec.on else {})
        bind(loaded.pipeline.name, loaded.pipeline.parameters, params)
    except NoriaError as error:
        raise ScheduleInvalid(
            f"The schedule `{spec.name}`: {error.message}", hint=error.hint, details=error.details
        ) from error
