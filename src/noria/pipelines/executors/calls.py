"""The calls of steps that a pipeline's body makes: what they depend on, whether a result is known, how they ended."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from noria.core.clock import Clock
from noria.core.errors import Invalid
from noria.core.objects.project import ProjectStore
from noria.core.objects.service import Objects
from noria.core.workspace import Workspace
from noria.pipelines.authoring import Step
from noria.pipelines.cache import is_data
from noria.pipelines.cache_entities import CacheEntry, KeyParts, NewCacheEntry, StoredValue
from noria.pipelines.calling import Place, current_place
from noria.pipelines.distributions import Home, home_of
from noria.pipelines.entities import EarlierStep, NewStep, StepInput, StepReport, StepStatus
from noria.pipelines.executors.attempt import Made, Surroundings, Task
from noria.pipelines.executors.progress import Progress, Silent
from noria.pipelines.executors.rules import CallRules
from noria.pipelines.executors.work import Outcome
from noria.pipelines.failures import StepFailed, name_call
from noria.pipelines.fingerprint import MENDS, bound_arguments, explain, identity_of, key_of, key_parts
from noria.pipelines.outputs import Output, outputs_in, taken_around
from noria.pipelines.reads import still_as_read
from noria.pipelines.service import PipelineRuns, StepCache
from noria.pipelines.storing import ValueStore
from noria.pipelines.tracked import PipelineActiveRun

_UNKNOWN = KeyParts(step="", python="")
_RECORDED_AT_ONCE = 100
"""Calls found again that wait to be recorded at most; they are recorded before a step runs, or with its end."""
_SINGLETONS = (5, 4)  # bytes of `false`, and of `true` and `null`


class Call(msgspec.Struct):
    """One call of a step.

    Attributes
    ----------
    identity
        `pipeline.py:fit`.
    position
        Place in the run, from 0.
    occurrence
        How many calls of the same step came before it.
    parts, key
        What it depends on, known once its arguments are.
    reason
        Why it runs, or does not need to.
    began
        When it was looked up, by the monotonic clock.
    """

    step: Step[..., Any]
    arguments: dict[str, Any]
    identity: str
    home: Home
    position: int
    occurrence: int
    sources: list[StepInput]
    place: Place
    started_at: datetime
    began: float
    parts: KeyParts = _UNKNOWN
    key: str | None = None
    reason: str = ""
    attempts: int = 0

    @property
    def task(self) -> Task:
        """What is to run."""
        return Task(self.step, self.arguments, self.parts, self.key)


class Calls(msgspec.Struct):
    """The calls of one run.

    Parameters
    ----------
    earlier
        What the steps were made of last time, to tell what differs.
    """

    workspace: Workspace
    run: PipelineActiveRun
    root: Path
    earlier: dict[tuple[str, int], EarlierStep]
    rules: CallRules
    progress: Progress
    values: ValueStore
    cache: StepCache
    runs: PipelineRuns
    clock: Clock
    objects: ProjectStore
    reports: list[StepReport] = msgspec.field(default_factory=list)
    called: set[str] = msgspec.field(default_factory=set)
    _again: set[int] = msgspec.field(default_factory=set)
    _counts: Counter[str] = msgspec.field(default_factory=Counter)
    _waiting: list[NewStep] = msgspec.field(default_factory=list)
    _position: int = 0

    @classmethod
    def of(
        cls,
        workspace: Workspace,
        run: PipelineActiveRun,
        *,
        root: Path,
        earlier: Sequence[EarlierStep] = (),
        rules: CallRules | None = None,
        progress: Progress | None = None,
    ) -> Calls:
        """Begin with no call."""
        objects = workspace.objects(run.project)
        return cls(
            workspace=workspace,
            run=run,
            root=root,
            earlier={(step.step, step.occurrence): step for step in earlier},
            rules=rules or CallRules(),
            progress=progress or Silent(),
            values=ValueStore(objects, flushes=True),
            objects=objects,
            cache=workspace.service(StepCache),
            runs=workspace.service(PipelineRuns),
            clock=workspace.clock,
        )

    @property
    def surroundings(self) -> Surroundings:
        """What attempts in this process have."""
        return Surroundings(self.values, self.run, self.root, own_folders(self.workspace))

    def announce(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """Take in that a step is called.

        Raises
        ------
        Invalid
            If it is called with other arguments than it takes.
        """
        try:
            arguments = bound_arguments(step.signature, args, kwargs)
        except TypeError as error:
            raise Invalid(
                f"The step `{step.name}` was called wrongly: {error}",
                hint=f"It takes {_signature_text(step.signature)}",
            ) from error
        function = step.function
        home = home_of(function.__module__ or "", function.__code__.co_filename, self.root)
        identity = identity_of(step, home)
        occurrence = self._counts[identity]
        self._counts[identity] += 1
        place = current_place()
        self.called.add(step.name)
        return Call(
            step=step,
            arguments=arguments,
            identity=identity,
            home=home,
            position=self._place(identity, occurrence),
            occurrence=occurrence,
            sources=_sources_of(arguments, place),
            place=place,
            started_at=self.clock.now(),
            began=self.clock.monotonic(),
        )

    def find(self, call: Call) -> list[StoredValue] | None:
        """Give the outputs of an earlier execution, told again and recorded; None when the step is to run."""
        self.begins(call)
        call.parts = key_parts(call.step, call.arguments, self.root)
        call.key = key_of(call.parts)
        done = self._done(call)
        if done is not None:
            return done.outputs
        entry, call.reason = self._known(call)
        if entry is None:
            self.flush()
            return None
        self.run.repeat(entry)
        self._record(call, self._report(call, StepStatus.REUSED, entry.outputs))
        return entry.outputs

    def begins(self, call: Call) -> None:
        """Take in that a call is looked up."""
        call.began, call.started_at = self.clock.monotonic(), self.clock.now()

    def ran(self, call: Call, ran_s: float) -> None:
        """Take in how long a step ran, which just ended in another process."""
        call.began, call.started_at = (
            self.clock.monotonic() - ran_s,
            self.clock.now() - timedelta(seconds=ran_s),
        )

    def tell(self, made: Made) -> None:
        """Tell the run what a step told in another process."""
        self.run.repeat(made)

    def take_in(self, outcome: Outcome) -> None:
        """Let what another process made enter the project."""
        if outcome.brought:
            self.workspace.service(Objects).take_in(self.run.project, outcome.brought)
        for data in outcome.carried.values():
            self.values.take_in(data)
        self.values.marks.learn(outcome.marks)
        for stored in outcome.made.outputs:
            self.values.trust(stored)

    def finished(self, call: Call, made: Made) -> None:
        """Record that a step gave its outputs."""
        entry = None
        if made.unkept:
            call.reason = f"{call.reason}; not kept for reuse: {made.unkept}"
        elif call.key is not None and call.step.cache:
            entry = NewCacheEntry(
                key=call.key,
                step=call.identity,
                outputs=made.outputs,
                followed=made.followed,
                files=made.files,
                inputs=made.inputs,
                made=made.made,
                logged=made.logged,
            )
        self._record(call, self._report(call, StepStatus.FINISHED, made.outputs), entry)

    def failed(self, call: Call, failure: StepFailed) -> None:
        """Record that a step failed for good, and have the failure say which call of the step it was."""
        name_call(failure, call.arguments, item=call.place.item, occurrence=call.occurrence)
        report = self._report(call, StepStatus.FAILED)
        self._record(call, msgspec.structs.replace(report, error=failure.to_body()))

    def handles(self, call: Call, outputs: Sequence[StoredValue]) -> Any:
        """Give the body what stands for the outputs of a step."""
        step = call.step
        made = [
            self.handle(stored, (call.position, name))
            for stored, name in zip(outputs, step.declared, strict=True)
        ]
        return arranged(step, made)

    def handle(self, stored: StoredValue, source: tuple[int, str] | None) -> Any:
        """Give what stands for one output. `None`, `True` and `False` are themselves, so that `is` works on them."""
        if stored.codec == "json" and stored.size_bytes in _SINGLETONS:
            value = self.values.load(stored)
            if value is None or isinstance(value, bool):
                return value
        return Output(stored, self.values.load, source)

    def _place(self, identity: str, occurrence: int) -> int:
        """Give a call its position: in a run that goes on, the one that it had."""
        steps = self.rules.before.steps
        before = steps.get((identity, occurrence))
        if before is not None:
            return before.position
        taken = {report.position for report in steps.values()} if steps else ()
        while self._position in taken:
            self._position += 1
        position, self._position = self._position, self._position + 1
        return position

    def _done(self, call: Call) -> StepReport | None:
        """Give the report of a call that had finished before the run was resumed."""
        if self._runs_again(call):
            return None
        place = (call.identity, call.occurrence)
        known = self.earlier.get(place)
        done = self.rules.before.done(place, call.parts, call.arguments, known.parts if known else None)
        # What runs code when it is read back is looked up in the cache, which knows who wrote it.
        if done is None or (self.workspace.settings.is_remote and not all(map(is_data, done.outputs))):
            return None
        for output in done.outputs:
            self.values.trust(output)
        shown = msgspec.structs.replace(done, reason="finished before the run was resumed")
        self.reports.append(shown)
        self.progress.ended(msgspec.structs.replace(shown, status=StepStatus.REUSED))
        return done

    def _runs_again(self, call: Call) -> bool:
        """Tell whether `--from` names the step, or one that it depends on."""
        if call.step.name not in self.rules.again and not any(
            source.source_position in self._again for source in call.sources
        ):
            return False
        self._again.add(call.position)
        return True

    def _known(self, call: Call) -> tuple[CacheEntry | None, str]:
        """Give an entry to reuse, or None, and the reason for either."""
        if not call.step.cache:
            return None, "declared with `cache=False`"
        if call.key is None:
            return None, f"never reused: {call.parts.refused[0]}; {MENDS}"
        forced = self.rules.forced(again=call.position in self._again)
        if forced is not None:
            return None, forced
        answer = self.cache.lookup(self.run.project, call.key)
        if answer.entry is None:
            return None, answer.reason or self._difference(call, call.parts)
        changed = still_as_read(answer.entry.files, self.root)
        if changed is not None:
            return None, f"{changed} changed"
        if answer.own:
            for output in answer.entry.outputs:
                self.values.trust(output)
        return answer.entry, f"unchanged since run {answer.entry.run_id}"

    def _difference(self, call: Call, parts: KeyParts) -> str:
        before = self.earlier.get((call.identity, call.occurrence))
        if before is None:
            return "first run"
        return explain(before.parts, parts) or f"its result in run {before.run_id} was not kept"

    def _report(self, call: Call, status: StepStatus, outputs: Sequence[StoredValue] = ()) -> StepReport:
        return StepReport(
            step=call.identity,
            name=call.step.name,
            position=call.position,
            occurrence=call.occurrence,
            status=status,
            reason=call.reason,
            key=call.key,
            attempts=max(1, call.attempts),
            started_at=call.started_at,
            duration_s=self.clock.monotonic() - call.began,
            outputs=list(outputs),
            sources=call.sources,
            declared=call.step.declared,
            group=call.place.group,
            item=call.place.item,
        )

    def _record(self, call: Call, report: StepReport, entry: NewCacheEntry | None = None) -> None:
        # A step that failed leaves the parts of the last one that did not: the next difference is told from there.
        known = self.earlier.get((call.identity, call.occurrence))
        same = known is not None and known.parts == call.parts
        parts = None if same or report.status is StepStatus.FAILED else call.parts
        self._waiting.append(NewStep(report=report, parts=parts, entry=entry))
        if report.status is not StepStatus.REUSED or len(self._waiting) >= _RECORDED_AT_ONCE:
            self.flush()
        self.reports.append(report)
        self.progress.ended(report)

    def flush(self) -> None:
        """Record the calls that wait for it. What was found again takes longer to record one by one than to find."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            self.runs.record_steps(self.run.project, self.run.id, waiting)

    def settle(self) -> None:
        """Record what waits for it, and have all that the steps gave on disk for good."""
        self.flush()
        self.values.flush(stored for report in self.reports for stored in report.outputs)


def arranged(step: Step[..., Any], handles: list[Any]) -> Any:
    """Give handles in the shape that a step declares to return."""
    if step.output_names is None:
        return handles[0]
    made = step.returns
    return made(*handles) if hasattr(made, "_fields") else tuple(handles)


def own_folders(workspace: Workspace) -> list[Path]:
    """List the folders of the workspace, whose files are no data of any step."""
    settings = workspace.settings
    if settings.is_remote:
        return []
    return [settings.folder, Path(settings.objects_url.removeprefix("file://"))]


def _sources_of(arguments: dict[str, Any], place: Place) -> list[StepInput]:
    """Say which arguments are, hold, or are taken out of, outputs of other steps of the run."""
    found = {
        (name, *output.source)
        for name, value in arguments.items()
        for output in outputs_in(value)
        if output.source is not None
    }
    taken = taken_around.get()
    if taken is not None:
        found.update(
            (name, *source) for name, value in arguments.items() for source in taken.sources_in(value)
        )
    if place.over is not None:
        found.add(place.over)
    return [
        StepInput(argument=argument, source_position=position, output=output)
        for argument, position, output in sorted(found)
    ]


def _signature_text(signature: inspect.Signature) -> str:
    return f"`{signature.replace(return_annotation=inspect.Signature.empty)}`"
