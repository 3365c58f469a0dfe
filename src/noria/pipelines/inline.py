"""Run the steps of a pipeline in this process, one after the other, or find their results."""

from __future__ import annotations

import copy
import inspect
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec

from noria.core.clock import Clock
from noria.core.errors import Invalid
from noria.core.workspace import Workspace
from noria.pipelines.annotations import conforms, describe
from noria.pipelines.authoring import Step, executing_with
from noria.pipelines.distributions import Home, home_of
from noria.pipelines.entities import (
    CacheEntry,
    EarlierStep,
    KeyParts,
    NewCacheEntry,
    NewStep,
    StepReport,
    StepStatus,
    StoredValue,
)
from noria.pipelines.failures import StepFailed, step_failure
from noria.pipelines.fingerprint import MENDS, bound_arguments, explain, key_of, key_parts
from noria.pipelines.outputs import Output, holds_output, map_outputs
from noria.pipelines.recording import (
    MOST_FILES_READ,
    MOST_LOGGED,
    PipelineActiveRun,
    StepNotes,
    still_as_read,
    watching_files,
)
from noria.pipelines.service import PipelineRuns, StepCache
from noria.pipelines.storing import ValueStore
from noria.pipelines.values import shown

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0

_SINGLETONS = (5, 4)  # bytes of `false`, and of `true` and `null`
_UNCHANGING = (type(None), bool, int, float, complex, str, bytes, datetime, Path)


class Progress(Protocol):
    """Is told what happens while it happens."""

    def started(self, name: str, position: int) -> None:
        """Take in that a step begins to run."""
        ...

    def ended(self, report: StepReport) -> None:
        """Take in that a step ended, or that its result was found."""
        ...


class Silent:
    """Tells nobody."""

    def started(self, name: str, position: int) -> None:
        """Do nothing."""

    def ended(self, report: StepReport) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class _Call:
    """One call of a step, with what it depends on."""

    step: Step[..., Any]
    arguments: dict[str, Any]
    parts: KeyParts
    key: str | None
    home: Home
    position: int
    occurrence: int

    @property
    def identity(self) -> str:
        """`pipeline.py:fit`."""
        return self.parts.step


@dataclass(slots=True)
class _Execution:
    """What happened while a step ran."""

    started_at: datetime
    began: float
    attempts: int = 0
    outputs: list[StoredValue] = field(default_factory=list)
    entry: NewCacheEntry | None = None
    unkept: str | None = None


class InlineExecutor:
    """Runs steps when they are called.

    Parameters
    ----------
    force
        Run every step, whatever is known.
    earlier
        What the steps were made of last time, to tell what differs.
    """

    def __init__(
        self,
        workspace: Workspace,
        run: PipelineActiveRun,
        *,
        root: Path,
        earlier: Sequence[EarlierStep] = (),
        force: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self.reports: list[StepReport] = []
        self.values = ValueStore(workspace.objects(run.project))
        self._run = run
        self._clock: Clock = workspace.clock
        self._project = run.project
        self._cache = workspace.service(StepCache)
        self._runs = workspace.service(PipelineRuns)
        self._own_folders = _own_folders(workspace)
        self._root = root
        self._earlier = {(step.step, step.occurrence): step for step in earlier}
        self._force = force
        self._progress = progress or Silent()
        self._calls: Counter[str] = Counter()
        self._position = 0

    def call(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a step, or find its result, and give handles to its outputs.

        Raises
        ------
        StepFailed
            If it raised, at its last attempt.
        Invalid
            If it is called with other arguments than it takes.
        """
        call = self._prepare(step, args, kwargs)
        began, started_at = self._clock.monotonic(), self._clock.now()
        entry, reason = self._find(call)
        if entry is not None:
            self._run.repeat(entry)
            self._record(
                call, self._report(call, StepStatus.REUSED, reason, started_at, began, entry.outputs)
            )
            return self._handles(step, entry.outputs)
        return self._handles(step, self._execute(call, reason, _Execution(started_at, began)))

    def store(self, value: Any) -> StoredValue:
        """Store what the pipeline's body made."""
        return value.stored if type(value) is Output else self.values.save(map_outputs(value, _value_of))

    def _prepare(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Call:
        try:
            arguments = bound_arguments(step.signature, args, kwargs)
        except TypeError as error:
            raise Invalid(
                f"The step `{step.name}` was called wrongly: {error}",
                hint=f"It takes {_signature_text(step.signature)}",
            ) from error
        parts = key_parts(step, arguments, self._root)
        occurrence = self._calls[parts.step]
        self._calls[parts.step] += 1
        position, self._position = self._position, self._position + 1
        code = step.function.__code__
        return _Call(
            step=step,
            arguments=arguments,
            parts=parts,
            key=key_of(parts),
            home=home_of(step.function.__module__ or "", code.co_filename, self._root),
            position=position,
            occurrence=occurrence,
        )

    def _find(self, call: _Call) -> tuple[CacheEntry | None, str]:
        """Give an entry to reuse, or None, and the reason for either."""
        if not call.step.cache:
            return None, "declared with `cache=False`"
        if call.key is None:
            return None, f"never reused: {call.parts.refused[0]}; {MENDS}"
        if self._force:
            return None, "forced"
        answer = self._cache.lookup(self._project, call.key)
        if answer.entry is None:
            return None, answer.reason or self._difference(call)
        changed = still_as_read(answer.entry.files, self._root)
        if changed is not None:
            return None, f"the file `{changed}`, which it read, changed"
        if answer.own:
            for output in answer.entry.outputs:
                self.values.trust(output)
        return answer.entry, f"unchanged since run {answer.entry.run_id}"

    def _difference(self, call: _Call) -> str:
        before = self._earlier.get((call.identity, call.occurrence))
        if before is None:
            return "first run"
        return explain(before.parts, call.parts) or f"its result in run {before.run_id} was not kept"

    def _execute(self, call: _Call, reason: str, execution: _Execution) -> list[StoredValue]:
        self._progress.started(call.step.name, call.position)
        try:
            self._attempt_until_done(call, execution)
        except Exception as error:  # noqa: BLE001 - whatever the user's code raises is told with its place
            failure = (
                error if isinstance(error, StepFailed) else step_failure(call.step.name, error, call.home)
            )
            report = self._report(call, StepStatus.FAILED, reason, execution.started_at, execution.began)
            failed = msgspec.structs.replace(report, attempts=execution.attempts, error=failure.to_body())
            self._record(call, failed)
            raise failure from (None if failure is error else error)
        if execution.unkept:
            reason = f"{reason}; not kept for reuse: {execution.unkept}"
        report = self._report(
            call, StepStatus.FINISHED, reason, execution.started_at, execution.began, execution.outputs
        )
        self._record(call, msgspec.structs.replace(report, attempts=execution.attempts), execution.entry)
        return execution.outputs

    def _attempt_until_done(self, call: _Call, execution: _Execution) -> None:
        while True:
            execution.attempts += 1
            try:
                self._attempt(call, execution)
            except Exception:
                if execution.attempts > call.step.retries:
                    raise
                pause_s = min(FIRST_PAUSE_S * 2.0 ** (execution.attempts - 1), LONGEST_PAUSE_S)
                self._clock.sleep(pause_s)
            else:
                return

    def _attempt(self, call: _Call, execution: _Execution) -> None:
        bound = inspect.BoundArguments(
            call.step.signature, {name: self._own_copy(value) for name, value in call.arguments.items()}
        )
        declared = [value for value in bound.arguments.values() if isinstance(value, Path)]
        with (
            executing_with(None),
            self._run.noting() as notes,
            watching_files([*self._own_folders, *declared]) as files,
        ):
            returned = call.step.function(*bound.args, **bound.kwargs)
        execution.outputs = [self.values.save(value) for value in _outputs_of(call.step, returned)]
        read = files.found(self._root)
        execution.unkept = self._why_not_kept(call, notes, len(read))
        if execution.unkept is None and call.key is not None and call.step.cache:
            execution.entry = NewCacheEntry(
                key=call.key,
                step=call.identity,
                outputs=execution.outputs,
                followed=list(notes.followed.values()),
                files=read,
                inputs=list(notes.inputs.values()),
                made=list(notes.made.values()),
                logged=notes.logged,
            )

    def _why_not_kept(self, call: _Call, notes: StepNotes, n_files: int) -> str | None:
        if len(notes.metrics) > MOST_LOGGED:
            return f"it logged more than {MOST_LOGGED} points"
        if n_files > MOST_FILES_READ:
            return f"it read more than {MOST_FILES_READ} files that are not among its arguments"
        if call.key is None or not call.parts.constants:
            return None
        after = key_parts(call.step, call.arguments, self._root)
        return None if key_of(after) == call.key else f"while it ran, {explain(call.parts, after)}"

    def _own_copy(self, value: Any) -> Any:
        """Give a step its own copy of an argument, so that what it changes is seen by nobody else."""
        if type(value) is Output:
            return self.values.load(value.stored)
        if isinstance(value, _UNCHANGING):
            return value
        if holds_output(value):
            return map_outputs(value, lambda output: self.values.load(output.stored))
        try:
            return copy.deepcopy(value)
        except Exception:  # noqa: BLE001 - what cannot be copied (a connection) is handed over as it is
            return value

    def _handles(self, step: Step[..., Any], outputs: list[StoredValue]) -> Any:
        handles = [self._handle(stored) for stored in outputs]
        if step.output_names is None:
            return handles[0]
        made = step.returns
        return made(*handles) if hasattr(made, "_fields") else tuple(handles)

    def _handle(self, stored: StoredValue) -> Any:
        # `None`, `True` and `False` are themselves, so that `is` works on them.
        if stored.codec == "json" and stored.size_bytes in _SINGLETONS:
            value = self.values.load(stored)
            if value is None or isinstance(value, bool):
                return value
        return Output(stored, self.values.load)

    def _report(
        self,
        call: _Call,
        status: StepStatus,
        reason: str,
        started_at: datetime,
        began: float,
        outputs: Sequence[StoredValue] = (),
    ) -> StepReport:
        return StepReport(
            step=call.identity,
            name=call.step.name,
            position=call.position,
            occurrence=call.occurrence,
            status=status,
            reason=reason,
            key=call.key,
            started_at=started_at,
            duration_s=self._clock.monotonic() - began,
            outputs=list(outputs),
        )

    def _record(self, call: _Call, report: StepReport, entry: NewCacheEntry | None = None) -> None:
        # A step that failed leaves the parts of the last one that did not: the next difference is told from there.
        known = self._earlier.get((call.identity, call.occurrence))
        same = known is not None and known.parts == call.parts
        parts = None if same or report.status is StepStatus.FAILED else call.parts
        self._runs.step(self._project, self._run.id, NewStep(report=report, parts=parts, entry=entry))
        self.reports.append(report)
        self._progress.ended(report)


def _outputs_of(step: Step[..., Any], returned: Any) -> tuple[Any, ...]:
    """Give the outputs that a step declares.

    Raises
    ------
    StepFailed
        If it returned something else.
    """
    if not conforms(returned, step.returns):
        raise StepFailed(
            f"The step `{step.name}` declares to return `{describe(step.returns)}`, and returned "
            f"`{shown(returned)}`, a `{type(returned).__name__}`",
            hint="Mend its return annotation or what it returns",
            details={"step": step.name},
        )
    return (returned,) if step.output_names is None else tuple(returned)


def _value_of(output: Output) -> Any:
    return output.value


def _own_folders(workspace: Workspace) -> list[Path]:
    settings = workspace.settings
    if settings.is_remote:
        return []
    return [settings.folder, Path(settings.objects_url.removeprefix("file://"))]


def _signature_text(signature: inspect.Signature) -> str:
    return f"`{signature.replace(return_annotation=inspect.Signature.empty)}`"
