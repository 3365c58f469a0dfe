"""Let a run go on that was killed or failed: what it had finished is not repeated."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from noria.core.workspace import InProcess, Workspace
from noria.pipelines.cache import is_sound
from noria.pipelines.cache_entities import KeyParts, StoredValue
from noria.pipelines.entities import PipelineRun, StartedRun, StepReport, StepStatus
from noria.pipelines.fingerprint import key_of
from noria.pipelines.presence import is_gone
from noria.pipelines.run_records import BEAT_S, LEASE_S, PipelineRunGoesOn
from noria.pipelines.service import PipelineRuns
from noria.tracking.service import Runs
from noria.tracking.sync import send_rest_of_run

_PAUSE_S = 0.5


class Before(msgspec.Struct, frozen=True):
    """The steps of a run before it was resumed.

    Attributes
    ----------
    steps
        By step and occurrence.
    same_code
        Whether the project's code is what it was.
    """

    steps: dict[tuple[str, int], StepReport] = msgspec.field(default_factory=dict)
    same_code: bool = False
    gone: frozenset[str] = frozenset()

    def done(
        self, place: tuple[str, int], parts: KeyParts, arguments: Collection[str], known: KeyParts | None
    ) -> StepReport | None:
        """Give the report of a call that had finished, if it depended on the same.

        Parameters
        ----------
        place
            Step and occurrence.
        arguments
            Names of its arguments.
        known
            What the step's key was made of last, if that is remembered.
        """
        found = self.steps.get(place)
        if found is None or found.status is StepStatus.FAILED:
            return None
        if any(stored.digest in self.gone for stored in found.outputs):
            return None
        if parts.refused:
            return found if self.same_code and found.key is None else None
        if key_of(parts) == found.key:
            return found
        # A file that the code names may have been written by the step itself: it ran, and is not to run again.
        if known is None or key_of(known) != found.key:
            return None
        return found if _without_files(known, arguments) == _without_files(parts, arguments) else None


def _without_files(parts: KeyParts, arguments: Collection[str]) -> KeyParts:
    given = {name: part for name, part in parts.inputs.items() if name in arguments}
    return msgspec.structs.replace(parts, inputs=given)


class Resumed(msgspec.Struct, frozen=True):
    """A run that goes on.

    Attributes
    ----------
    counts
        Next step of each metric that counts by itself.
    """

    started: StartedRun
    before: Before
    counts: dict[str, int]


def resume(workspace: Workspace, run_id: str, *, snapshot: str | None) -> Resumed:
    """Take a run up again; waits for the lease of a process that was killed a moment ago.

    Raises
    ------
    PipelineRunNotFound, PipelineRunGoesOn, PipelineRunOver
        If there is no such run, or it goes on, or it has finished.
    """
    runs, project = workspace.service(PipelineRuns), workspace.project
    send_rest_of_run(workspace, run_id)
    started = _taken_up(workspace, run_id)
    found = runs.get(project, run_id)
    reports = list(_steps_of(workspace, found))
    outputs = {stored.digest: stored for report in reports for stored in report.outputs}
    before = Before(
        steps={(report.step, report.occurrence): report for report in reports},
        same_code=snapshot is not None and snapshot == found.snapshot,
        gone=_gone(workspace, outputs),
    )
    points = workspace.service(Runs).metrics(project, run_id).items
    return Resumed(started, before, {point.key: point.step for point in points})


def _taken_up(workspace: Workspace, run_id: str) -> StartedRun:
    runs, clock = workspace.service(PipelineRuns), workspace.clock
    last = clock.monotonic() + LEASE_S + BEAT_S
    gone = is_gone(workspace.settings, run_id)
    while True:
        try:
            return runs.resume(workspace.project, run_id, gone=gone)
        except PipelineRunGoesOn:
            if clock.monotonic() > last:
                raise
        clock.sleep(_PAUSE_S)


def _steps_of(workspace: Workspace, run: PipelineRun) -> Iterator[StepReport]:
    runs, after = workspace.service(PipelineRuns), -1
    while True:
        page = runs.steps(workspace.project, run.run_id, limit=1000, after=after)
        yield from page.items
        if page.next is None:
            return
        after = page.next


def _gone(workspace: Workspace, outputs: dict[str, StoredValue]) -> frozenset[str]:
    """Tell which outputs are not there any more, or not as they were: of a folder's, power may have failed before."""
    if not outputs:
        return frozenset()
    gone = workspace.objects().missing(outputs)
    if isinstance(workspace.backend, InProcess):
        objects = workspace.backend.context.objects
        gone |= {digest for digest in outputs.keys() - gone if not is_sound(objects, outputs[digest])}
    return frozenset(gone)
