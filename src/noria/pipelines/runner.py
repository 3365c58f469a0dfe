"""Run a pipeline, recorded: its parameters, code, environment, data, steps, metrics and outputs."""

from __future__ import annotations

import logging
import platform
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noria.core import lineage
from noria.core.author import local_author
from noria.core.errors import ErrorBody, Invalid, NoriaError, TooLarge
from noria.core.ids import new_id
from noria.core.machine import system_in_words
from noria.core.objects.digests import hash_bytes
from noria.core.serialisation import to_canonical_json
from noria.core.workspace import Workspace, use_workspace
from noria.pipelines.authoring import Pipeline
from noria.pipelines.cache_entities import StoredValue
from noria.pipelines.calling import executing_with
from noria.pipelines.distributions import home_of, installed_distributions
from noria.pipelines.entities import NewPipelineRun, PipelineEnd, StartedRun, StepReport
from noria.pipelines.executors.calls import Calls
from noria.pipelines.executors.choice import (
    Executing,
    ExecutorChoice,
    open_executor,
    open_hands,
)
from noria.pipelines.executors.places import make_setup
from noria.pipelines.executors.progress import Progress
from noria.pipelines.executors.rules import CallRules
from noria.pipelines.executors.work import Setup
from noria.pipelines.failures import pipeline_failure
from noria.pipelines.loading import CodeSource, is_packaged_pipeline, source_of
from noria.pipelines.outputs import Output
from noria.pipelines.parameters import bind
from noria.pipelines.paths import InputMissing
from noria.pipelines.presence import holding
from noria.pipelines.resuming import Before, Resumed
from noria.pipelines.resuming import resume as resume_run
from noria.pipelines.run_records import BEAT_S
from noria.pipelines.service import PipelineRuns
from noria.pipelines.snapshots import take_snapshot
from noria.pipelines.tracked import PipelineActiveRun
from noria.tracking.client import active_run
from noria.tracking.entities import RunStatus
from noria.tracking.source import capture_source
from noria.tracking.values import as_text

if TYPE_CHECKING:
    from noria.pipelines.executors.processes import Hands

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineResult:
    """What a run gave.

    Attributes
    ----------
    run_id
        Of the tracked run.
    outputs
        What the pipeline returned, by name: the keys of a dict, the fields of a named tuple, the index in a tuple,
        `output` for anything else. Each has `.value`, loaded when asked for.
    steps
        In the order in which they were called.
    snapshot
        Digest of the project's code.
    """

    run_id: str
    status: RunStatus
    outputs: dict[str, Output]
    steps: list[StepReport]
    snapshot: str | None = None


def run_pipeline(
    workspace: Workspace,
    pipeline: Pipeline[..., Any],
    params: Mapping[str, object],
    *,
    force: bool = False,
    from_steps: Collection[str] = (),
    resume: str | None = None,
    executor: ExecutorChoice | None = None,
    source: CodeSource | None = None,
    progress: Progress | None = None,
) -> PipelineResult:
    """Run a pipeline in this process.

    Parameters
    ----------
    params
        Values of its parameters; the others keep their defaults.
    force
        Run every step, whatever is known.
    from_steps
        Names of steps to run whatever is known, with all that depends on them.
    resume
        Id of a run of this pipeline, with the same parameters, that was killed or failed and is to go on.
    executor
        Where the steps run; in this process when left out.
    source
        Where its code is; found from the pipeline itself when left out.
    progress
        Is told what happens.

    Raises
    ------
    ParameterInvalid, InputMissing
        Before anything is recorded.
    StepFailed, PipelineFailed
        If the user's code raised; the message names the step and the line, and the run is recorded as failed.
    """
    values = bind(pipeline.name, pipeline.parameters, params)
    require_inputs(values)
    root = workspace.settings.project_root.resolve()
    found = source or source_of(pipeline, root)
    snapshot = found.snapshot or _snapshot(workspace, pipeline, found)
    choice = executor or ExecutorChoice()
    with _opened_hands(choice) as hands:
        begun = _begin(workspace, pipeline, values, found, snapshot, resume)
        started = begun.started
        run = PipelineActiveRun(workspace, started.run, counts=begun.counts)
        calls = Calls.of(
            workspace,
            run,
            root=found.root,
            earlier=started.earlier,
            rules=CallRules(force=force, again=frozenset(from_steps), before=begun.before),
            progress=progress,
        )
        origin = lineage.CodeOrigin(
            run_id=run.id, pipeline=found.target, params=parameters_as_json(values), snapshot=snapshot
        )
        setup = make_setup(workspace, pipeline, started.run, found, origin, shares_files=choice.on is None)
        with beating(workspace, run.id), holding(workspace.settings, run.id):
            outcome = _run_body(pipeline, values, calls, hands, setup, found)
    return PipelineResult(
        run_id=run.id,
        status=RunStatus.FINISHED,
        outputs={name: Output(stored, calls.values.load) for name, stored in outcome.items()},
        steps=sorted(calls.reports, key=lambda report: report.position),
        snapshot=snapshot,
    )


@contextmanager
def _opened_hands(choice: ExecutorChoice) -> Iterator[Hands | None]:
    hands = open_hands(choice)
    try:
        yield hands
    finally:
        if hands is not None:
            hands.close()


def _run_body(
    pipeline: Pipeline[..., Any],
    values: dict[str, Any],
    calls: Calls,
    hands: Hands | None,
    setup: Setup,
    source: CodeSource,
) -> dict[str, StoredValue]:
    """Run the body inside the tracked run, and record its end whatever happens."""
    run, workspace = calls.run, calls.workspace
    token = lineage.origin.set(setup.origin)
    outputs: dict[str, StoredValue] = {}
    status, error_body = RunStatus.KILLED, None
    try:
        with run, use_workspace(workspace), _executing(calls, hands, setup) as executor:
            run.capture_console()
            outputs = store_outputs(executor, run, call_body(pipeline, values, source))
            executor.finish()
            calls.rules.require_called(calls.called)
        status = RunStatus.FINISHED
    except Exception as error:
        status, error_body = RunStatus.FAILED, body_of_error(error)
        raise
    finally:
        lineage.origin.reset(token)
        end = PipelineEnd(status=status, outputs=outputs, error=error_body)
        workspace.service(PipelineRuns).finish(run.project, run.id, end)
    return outputs


@contextmanager
def _executing(calls: Calls, hands: Hands | None, setup: Setup) -> Iterator[Executing]:
    """Send the step calls inside the block to an executor; steps that run are stopped when the block is interrupted."""
    executor = open_executor(calls, hands, setup)
    at_once = True
    try:
        with executing_with(executor):
            yield executor
        at_once = False
    except Exception:
        at_once = False
        raise
    finally:
        try:
            executor.close(at_once=at_once)
        finally:
            calls.settle()


def call_body(pipeline: Pipeline[..., Any], values: dict[str, Any], source: CodeSource) -> Any:
    """Run the body; what it raises itself is told with its place."""
    try:
        return pipeline(**values)
    except NoriaError:
        raise
    except Exception as error:
        function = pipeline.function
        home = home_of(function.__module__, function.__code__.co_filename, source.root)
        raise pipeline_failure(pipeline.name, error, home) from error


def store_outputs(executor: Executing, run: PipelineActiveRun, returned: Any) -> dict[str, StoredValue]:
    """Keep what a pipeline returned, by its names."""
    outputs = {name: executor.store(value) for name, value in _named(returned).items()}
    for stored in outputs.values():
        run.record_output(f"object:{stored.digest}", stored.digest)
    return outputs


def _named(returned: Any) -> dict[str, Any]:
    """Name what a pipeline returned."""
    if returned is None:
        return {}
    if type(returned) is dict and all(type(key) is str for key in returned):
        return dict(returned)
    if type(returned) is not Output and isinstance(returned, tuple):
        names = getattr(returned, "_fields", range(len(returned)))
        return {str(name): value for name, value in zip(names, returned, strict=True)}
    return {"output": returned}


def require_inputs(values: Mapping[str, Any]) -> None:
    """Refuse paths that do not exist.

    Raises
    ------
    InputMissing
    """
    for value in values.values():
        if isinstance(value, Path) and not value.exists():
            raise InputMissing(value)


def _begin(
    workspace: Workspace,
    pipeline: Pipeline[..., Any],
    values: dict[str, Any],
    source: CodeSource,
    snapshot: str | None,
    resumed: str | None,
) -> Resumed:
    """Start a run, or take one up again."""
    if resumed is None:
        return Resumed(start_run(workspace, pipeline, values, source, snapshot), Before(), {})
    found = workspace.service(PipelineRuns).get(workspace.project, resumed)
    if found.pipeline != source.target:
        raise Invalid(
            f"The run `{resumed}` is one of `{found.pipeline}`, not of `{source.target}`",
            hint=f"noria run --resume {resumed}",
        )
    return resume_run(workspace, resumed, snapshot=snapshot)


def start_run(
    workspace: Workspace,
    pipeline: Pipeline[..., Any],
    values: dict[str, Any],
    source: CodeSource,
    snapshot: str | None,
    *,
    run_id: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> StartedRun:
    """Record that a run begins; with an id that a run has already, find that one."""
    around = active_run()
    new = NewPipelineRun(
        run_id=run_id or new_id(),
        name=pipeline.name,
        pipeline=source.target,
        params={name: as_text(name, value) for name, value in parameters_as_json(values).items()},
        tags={**({"noria.snapshot": snapshot} if snapshot else {}), **(tags or {})},
        source=capture_source(sys.argv, source.root, python=platform.python_version(), host=platform.node()),
        author=local_author(),
        parent=around.id if around is not None and around.workspace is workspace else None,
        snapshot=snapshot,
        environment=_store_environment(workspace),
    )
    return workspace.service(PipelineRuns).start(workspace.project, new)


def parameters_as_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """Give parameters as the JSON values that they can be given as again."""
    import msgspec

    return {name: msgspec.to_builtins(value, enc_hook=str, str_keys=True) for name, value in values.items()}


def _snapshot(workspace: Workspace, pipeline: Pipeline[..., Any], source: CodeSource) -> str | None:
    if is_packaged_pipeline(pipeline, source.root):
        return None
    try:
        return take_snapshot(workspace, source.root)
    except (TooLarge, NoriaError) as error:
        log.warning("snapshot.skipped", extra={"root": str(source.root), "because": error.message})
        return None


def _store_environment(workspace: Workspace) -> str:
    environment = {
        "python": platform.python_version(),
        "platform": system_in_words(),
        "distributions": installed_distributions(),
    }
    data = to_canonical_json(environment)
    digest, store = hash_bytes(data), workspace.objects()
    if store.missing([digest]):  # it seldom changes, and to put it again waits for the disk
        store.put_bytes(data)
    return digest


def body_of_error(error: Exception) -> ErrorBody:
    """Give the form of an error in which it is recorded."""
    if isinstance(error, NoriaError):
        return error.to_body()
    return ErrorBody(code="failed", message=f"{type(error).__name__}: {error}")


@contextmanager
def beating(workspace: Workspace, run_id: str) -> Iterator[None]:
    """Renew the run's lease for the length of the block."""
    stop = threading.Event()
    runs = workspace.service(PipelineRuns)
    beat: Callable[[], None] = lambda: runs.beat(workspace.project, run_id)  # noqa: E731
    thread = threading.Thread(target=_beat, args=(beat, stop), name="noria-run-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _beat(beat: Callable[[], None], stop: threading.Event) -> None:
    while not stop.wait(BEAT_S):
        try:
            beat()
        except NoriaError as error:
            # The next beat may get through; a run that is taken for dead meanwhile goes on with it.
            log.warning("run.beat_failed", extra={"because": error.message})
