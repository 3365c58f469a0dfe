"""Run a pipeline piece by piece: an orchestrator elsewhere decides when each step runs, and all is one run.

Each piece is a process of its own. It goes through the pipeline's body again; steps that have run give handles to what
they made, those that have not give handles that nobody may look at, and the piece's own step runs. That holds where
the graph is known beforehand (`noria.pipelines.exporting`). Between pieces nobody holds the run's lease; a piece that
fails marks the run as failed, and one that is tried again lets it go on.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NoReturn

from noria.core import lineage
from noria.core.errors import Conflict, Invalid
from noria.core.workspace import Workspace, use_workspace
from noria.pipelines.authoring import Step
from noria.pipelines.cache import is_data
from noria.pipelines.cache_entities import StoredValue
from noria.pipelines.calling import executing_with
from noria.pipelines.entities import PipelineEnd, StepReport, StepStatus
from noria.pipelines.executors.calls import Call, Calls
from noria.pipelines.executors.inline import InlineExecutor
from noria.pipelines.executors.places import make_setup
from noria.pipelines.executors.progress import Progress
from noria.pipelines.loading import LoadedPipeline
from noria.pipelines.outputs import Output
from noria.pipelines.parameters import bind
from noria.pipelines.runner import (
    beating,
    body_of_error,
    call_body,
    parameters_as_json,
    require_inputs,
    start_run,
    store_outputs,
)
from noria.pipelines.service import PipelineRuns, StepCache
from noria.pipelines.tracked import PipelineActiveRun
from noria.tracking.entities import Run, RunStatus
from noria.tracking.service import Runs

_IDS = uuid.UUID("6a1cf1f0-5d0f-5a55-9a3e-6f0b6c1d7e02")


class GraphChanged(Conflict):
    """The body calls other steps than when the pipeline was exported."""

    code = "pipeline_graph_changed"

    def __init__(self, position: int, expected: str, found: str) -> None:
        super().__init__(
            f"Step {position} is `{found}`, and was `{expected}` when the run began",
            hint="Parameters decide which steps this pipeline calls: export it with `--whole`, as one task",
            details={"position": position, "expected": expected, "found": found},
        )


class StepMissing(Conflict):
    """A piece needs what a step makes that has not run."""

    code = "pipeline_step_missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What all pieces of one run have in common.

    Attributes
    ----------
    key
        The orchestrator's own name for the run: the same for all its pieces.
    """

    workspace: Workspace
    loaded: LoadedPipeline
    params: Mapping[str, object]
    key: str
    progress: Progress | None = None

    @property
    def run_id(self) -> str:
        """Id of the run, which every piece finds by itself."""
        source = self.loaded.source
        return uuid.uuid5(_IDS, f"{self.workspace.project}\n{source.target}\n{self.key}").hex


def begin(piece: Piece, *, tags: Mapping[str, str] | None = None) -> str:
    """Begin the run, or let it go on that has this key; give its id.

    Raises
    ------
    ParameterInvalid, InputMissing
        Before anything is recorded.
    """
    workspace, loaded = piece.workspace, piece.loaded
    values = bind(loaded.pipeline.name, loaded.pipeline.parameters, piece.params)
    require_inputs(values)
    started = start_run(
        workspace,
        loaded.pipeline,
        values,
        loaded.source,
        loaded.source.snapshot,
        run_id=piece.run_id,
        tags={"noria.key": piece.key, **(tags or {})},
    )
    if started.run.status.ended:
        workspace.service(Runs).resume(workspace.project, started.run.id)
    workspace.service(PipelineRuns).rest(workspace.project, started.run.id)
    return started.run.id


def run_step(piece: Piece, position: int) -> StepReport:
    """Run one step of the run, or find its result.

    Raises
    ------
    StepFailed
        If it raised; the run is marked as failed.
    StepMissing
        If a step has not run that this one needs.
    GraphChanged, Invalid
        If the body does not call it.
    """
    with _Going(piece) as going:
        executor = going.executor(position)
        try:
            going.body(executor)
        except _Reached:
            return executor.reports[-1]
        raise Invalid(
            f"`{piece.loaded.source.target}` calls {executor.n_calls} steps, and none at position {position}",
            hint="Export the pipeline again",
        )


def end(piece: Piece) -> dict[str, StoredValue]:
    """Keep what the pipeline returns and end the run.

    Raises
    ------
    StepMissing
        If a step has not run.
    """
    with _Going(piece) as going:
        executor = going.executor(None)
        returned = going.body(executor)
        executor.require_all()
        outputs = store_outputs(executor, going.run, returned)
        going.finish(RunStatus.FINISHED, outputs=outputs)
    return outputs


class _Reached(BaseException):
    """The piece's step has run; no `except Exception` of the body may catch it."""


class _NotYet:
    """Stands where the bytes of a step would be that has not run."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def wait(self) -> NoReturn:
        """Refuse to wait.

        Raises
        ------
        StepMissing
        """
        raise StepMissing(
            f"The step `{self._call.step.name}` (position {self._call.position}) has not run",
            hint="Run it first; if there is no task for it, parameters decide which steps are called: export the"
            " pipeline with `--whole`, as one task",
            details={"position": self._call.position},
        )


class _PieceExecutor(InlineExecutor):
    """Runs the step of one position; of the others it gives what is on record."""

    def __init__(
        self, calls: Calls, setup: Any, recorded: Mapping[int, StepReport], wanted: int | None
    ) -> None:
        super().__init__(calls, setup)
        self.n_calls = 0
        self._recorded = recorded
        self._wanted = wanted
        self._missing: Call | None = None

    @property
    def reports(self) -> list[StepReport]:
        """What ran here."""
        return self.calls.reports

    def call(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Give handles to what a step made, or run it if it is the one."""
        position, self.n_calls = self.n_calls, self.n_calls + 1
        if position == self._wanted:
            super().call(step, args, kwargs)
            raise _Reached
        call = self.calls.announce(step, args, kwargs)
        report = self._recorded.get(position)
        if report is None or report.status is StepStatus.FAILED:
            self._missing = self._missing or call
            return _unmade(self.calls, call)
        if report.step != call.identity:
            raise GraphChanged(position, report.step, call.identity)
        self._trust(report)
        return self.calls.handles(call, report.outputs)

    def require_all(self) -> None:
        """Refuse to go on while a step has not run.

        Raises
        ------
        StepMissing
        """
        if self._missing is not None:
            _NotYet(self._missing).wait()

    def _trust(self, report: StepReport) -> None:
        """Let what runs code when it is read back be read where the cache says that the caller wrote it."""
        workspace = self.calls.workspace
        risky = [output for output in report.outputs if not is_data(output)]
        if not risky:
            return
        own = not workspace.settings.is_remote
        if report.key is not None and not own:
            own = workspace.service(StepCache).lookup(workspace.project, report.key).own
        for output in risky if own else ():
            self.calls.values.trust(output)


def _unmade(calls: Calls, call: Call) -> Any:
    from noria.pipelines.executors.calls import arranged

    handles = [Output(_NotYet(call), calls.values.load, (call.position, name)) for name in call.step.declared]
    return arranged(call.step, handles)


class _Going:
    """A run that one piece takes part in: its lease is held inside the block, and its failure recorded."""

    def __init__(self, piece: Piece) -> None:
        self.piece = piece
        workspace = piece.workspace
        self._runs = workspace.service(PipelineRuns)
        self._found = self._taken_up(workspace.service(Runs).get(workspace.project, piece.run_id))
        self.run = PipelineActiveRun(workspace, self._found)
        self._values = bind(piece.loaded.pipeline.name, piece.loaded.pipeline.parameters, piece.params)
        self._ended = False

    def _taken_up(self, run: Run) -> Run:
        """Let a run go on that another piece marked as failed."""
        return self.piece.workspace.service(Runs).resume(run.project, run.id) if run.status.ended else run

    def executor(self, wanted: int | None) -> _PieceExecutor:
        """Give what takes the calls of the body."""
        piece, source = self.piece, self.piece.loaded.source
        calls = Calls.of(piece.workspace, self.run, root=source.root, progress=piece.progress)
        setup = make_setup(
            piece.workspace, piece.loaded.pipeline, self._found, source, self._origin, shares_files=True
        )
        return _PieceExecutor(calls, setup, self._recorded(), wanted)

    def body(self, executor: _PieceExecutor) -> Any:
        """Run the body of the pipeline."""
        with use_workspace(self.piece.workspace), executing_with(executor):
            try:
                return call_body(self.piece.loaded.pipeline, self._values, self.piece.loaded.source)
            finally:
                executor.close(at_once=False)
                executor.calls.settle()

    def finish(self, status: RunStatus, **end: Any) -> None:
        """End the run."""
        self._ended = True
        self.run.end(status)
        self._runs.finish(self.run.project, self.run.id, PipelineEnd(status=status, **end))

    def __enter__(self) -> _Going:
        self._beat = beating(self.piece.workspace, self._found.id)
        self._beat.__enter__()
        self._token = lineage.origin.set(self._origin)
        self.run.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lineage.origin.reset(self._token)
        try:
            if isinstance(error, Exception):
                self.finish(RunStatus.FAILED, error=body_of_error(error))
            elif error is not None:
                self.finish(RunStatus.KILLED)
        finally:
            try:
                self.run.leave()
            finally:
                self._beat.__exit__(None, None, None)
        if not self._ended:
            self._runs.rest(self.run.project, self.run.id)

    @property
    def _origin(self) -> lineage.CodeOrigin:
        source = self.piece.loaded.source
        return lineage.CodeOrigin(
            run_id=self._found.id,
            pipeline=source.target,
            params=parameters_as_json(self._values),
            snapshot=source.snapshot,
        )

    def _recorded(self) -> dict[int, StepReport]:
        found: dict[int, StepReport] = {}
        after = -1
        while True:
            page = self._runs.steps(self.run.project, self._found.id, limit=1000, after=after)
            found.update((report.position, report) for report in page.items)
            if page.next is None:
                return found
            after = page.next
