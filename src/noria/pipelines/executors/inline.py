"""Run the steps of a pipeline in this process, one after the other, when they are called."""

from __future__ import annotations

from typing import Any

from noria.pipelines.authoring import Step
from noria.pipelines.entities import StoredValue
from noria.pipelines.executors.attempt import Made, attempt
from noria.pipelines.executors.calls import Call, Calls
from noria.pipelines.failures import StepFailed, step_failure
from noria.pipelines.outputs import Output, map_outputs

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0


class InlineExecutor:
    """Runs steps when they are called.

    Parameters
    ----------
    calls
        Of the run.
    """

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
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
                return attempt(call.task, self._around)
            except Exception:
                if call.attempts > call.step.retries:
                    raise
                self.calls.clock.sleep(pause_s(call.attempts))


def pause_s(attempts: int) -> float:
    """Give the seconds to wait before trying again what was tried `attempts` times."""
    return min(FIRST_PAUSE_S * 2.0 ** (attempts - 1), LONGEST_PAUSE_S)


def stored_value(calls: Calls, value: Any) -> StoredValue:
    """Store what a pipeline's body made; what a step made is stored already."""
    if type(value) is Output:
        return value.stored
    return calls.values.save(map_outputs(value, lambda output: output.value))
