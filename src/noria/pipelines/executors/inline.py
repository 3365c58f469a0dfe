"""Run the steps of a pipeline in this process, one after the other, when they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from noria.pipelines.authoring import Step
from noria.pipelines.cache_entities import StoredValue
from noria.pipelines.executors.attempt import Made, attempt
from noria.pipelines.executors.calls import Call, Calls
from noria.pipelines.failures import StepFailed, failure_of, step_failure
from noria.pipelines.outputs import Output, map_outputs

if TYPE_CHECKING:
    from noria.pipelines.executors.alone import Alone
    from noria.pipelines.executors.work import Setup

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0


class InlineExecutor:
    """Runs steps when they are called.

    Parameters
    ----------
    calls
        Of the run.
    setup
        For the process in which steps run that may have to be stopped.
    """

    def __init__(self, calls: Calls, setup: Setup) -> None:
        self.calls = calls
        self._setup = setup
        self._alone: Alone | None = None
        self._around = calls.surroundings

    def call(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a step, or find its result, and give handles to its outputs.

        Raises
        ------
        StepFailed
            If it raised, at its last attempt.
        Invalid
            If it is called with other arguments than it takes.
        """
        call = self.calls.announce(step, args, kwargs)
        outputs = self.calls.find(call)
        if outputs is None:
            outputs = self._execute(call).outputs
        return self.calls.handles(call, outputs)

    def store(self, value: Any) -> StoredValue:
        """Store what the pipeline's body made."""
        return stored_value(self.calls, value)

    def finish(self) -> None:
        """Do nothing: every step is over when its call is."""

    def close(self, *, at_once: bool) -> None:  # noqa: ARG002 - nothing goes on between calls
        """Let go of the process for single steps."""
        if self._alone is not None:
            self._alone.close()
            self._alone = None

    def _execute(self, call: Call) -> Made:
        self.calls.progress.started(call.step.name, call.position)
        try:
            made = self._attempt_until_done(call)
        except Exception as error:  # noqa: BLE001 - whatever the user's code raises is told with its place
            failure = (
                error if isinstance(error, StepFailed) else step_failure(call.step.name, error, call.home)
            )
            self.calls.failed(call, failure)
            raise failure from (None if failure is error else error)
        self.calls.finished(call, made)
        return made

    def _attempt_until_done(self, call: Call) -> Made:
        while True:
            call.attempts += 1
            try:
                return self._attempt(call)
            except Exception:
                if call.attempts > call.step.retries:
                    raise
                self.calls.clock.sleep(pause_s(call.attempts))

    def _attempt(self, call: Call) -> Made:
        if call.step.timeout_s is None:
            return attempt(call.task, self._around)
        # Nothing in Python can end a function that runs in this process; a process of its own can be ended.
        from noria.pipelines.executors.alone import Alone
        from noria.pipelines.executors.packing import Packer, work_of

        if self._alone is None:
            self._alone = Alone(self._setup)
        packer = Packer(self.calls.values, self.calls.objects, shares_files=True)
        outcome = self._alone.run(work_of(call, packer, self.calls.run.inputs_read))
        self.calls.tell(outcome.made)
        if outcome.error is not None:
            raise failure_of(outcome.error, call.step.name)
        self.calls.take_in(outcome)
        return outcome.made


def pause_s(attempts: int) -> float:
    """Give the seconds to wait before trying again what was tried `attempts` times."""
    return min(FIRST_PAUSE_S * 2.0 ** (attempts - 1), LONGEST_PAUSE_S)


def stored_value(calls: Calls, value: Any) -> StoredValue:
    """Store what a pipeline's body made; what a step made is stored already."""
    if type(value) is Output:
        return value.stored
    return calls.values.save(map_outputs(value, lambda output: output.value))
