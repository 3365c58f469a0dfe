"""What is said when a user's code raises: which step, which line, which error."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from types import TracebackType

from noria.core.errors import ErrorBody, Failed, NoriaError, error_from_body
from noria.pipelines.distributions import Home
from noria.pipelines.outputs import Output
from noria.pipelines.showing import shown
from noria.tracking.redaction import redact

_MOST_CHARS = 20_000
_MOST_ARGUMENTS = 3
_OWN = str(Path(__file__).parent) + os.sep


class StepFailed(Failed):
    """A step raised, or returned what it did not declare."""

    code = "step_failed"


class StepTimedOut(StepFailed):
    """A step ran longer than it may, and was stopped."""

    code = "step_timed_out"

    def __init__(self, name: str, timeout_s: float) -> None:
        super().__init__(
            f"The step `{name}` ran longer than its `timeout_s` of {timeout_s:g} s and was stopped",
            hint="Raise `timeout_s` in `@step`, or give the step less to do",
            details={"step": name, "timeout_s": timeout_s},
        )


class StepKilled(StepFailed):
    """The process of a step ended without a word."""

    code = "step_killed"

    def __init__(self, name: str, exit_code: int | None) -> None:
        told, hint = _end_of(exit_code)
        super().__init__(
            f"The process of the step `{name}` {told}",
            hint=hint,
            details={"step": name, "exit_code": exit_code},
        )


class ClusterLost(StepFailed):
    """The cluster went away while a step ran on it."""

    code = "cluster_lost"

    def __init__(self, name: str, address: str, run_id: str) -> None:
        super().__init__(
            f"The cluster `{address}` went away while it ran the step `{name}`",
            hint=f"Start it again, then let the run go on: noria run --resume {run_id} --on {address}",
            details={"step": name, "address": address},
        )


class PipelineFailed(Failed):
    """The body of a pipeline raised."""

    code = "pipeline_failed"


def step_failure(name: str, error: BaseException, home: Home) -> StepFailed:
    """Tell that a step raised."""
    return StepFailed(
        f"The step `{name}` failed{place_of(error, home)}: {told(error)}",
        hint=error.hint if isinstance(error, NoriaError) else None,
        details={"step": name, "type": type(error).__name__, "traceback": traceback_text(error)},
    )


def pipeline_failure(name: str, error: BaseException, home: Home) -> PipelineFailed:
    """Tell that the body of a pipeline raised, outside of any step."""
    return PipelineFailed(
        f"The pipeline `{name}` failed{place_of(error, home)}: {told(error)}",
        details={"pipeline": name, "type": type(error).__name__, "traceback": traceback_text(error)},
    )


def name_call(
    failure: StepFailed, arguments: Mapping[str, object], *, item: int | None, occurrence: int
) -> None:
    """Have a failure say which call of its step it was, where the step is called more than once.

    Parameters
    ----------
    arguments
        What the step was called with; handles to outputs of other steps are not shown.
    item
        Which item of a map it was for, from 0; None if it was for none.
    occurrence
        How many calls of the step came before it.
    """
    if item is None and not occurrence:
        return
    which = f"call {occurrence + 1} of it" if item is None else f"item {item} of its map, counted from 0"
    given = {name: shown(value) for name, value in arguments.items() if type(value) is not Output}
    told = redact(", ".join(f"{name}={value}" for name, value in islice(given.items(), _MOST_ARGUMENTS)))
    failure.message = f"{failure.message} ({which}{f': {told}' if told else ''})"
    failure.args = (failure.message,)
    failure.details |= {"occurrence": occurrence} | ({} if item is None else {"item": item})


def failure_of(body: ErrorBody, step: str) -> StepFailed:
    """Make the failure of a step anew that another process told."""
    error = error_from_body(body)
    if isinstance(error, StepFailed):
        return error
    return StepFailed(error.message, hint=error.hint, details={**error.details, "step": step})


def _end_of(exit_code: int | None) -> tuple[str, str]:
    """Say how a process ended, and what can be done about it."""
    if exit_code == -signal.SIGKILL:
        mend = "`@step(resources=noria.Resources(memory_bytes=…))`"
        return (
            "was killed by the operating system (signal 9, SIGKILL), probably because it was out of memory",
            f"Give the step less data at once, use fewer `--workers`, or say what it needs: {mend}",
        )
    if exit_code is not None and exit_code < 0:
        return (
            f"crashed: {signal.strsignal(-exit_code)} (signal {-exit_code})",
            "A library that the step uses failed below Python; run the step alone to see where",
        )
    return f"ended by itself with the exit code {exit_code}", "A step must not end its process"


def told(error: BaseException) -> str:
    """Give an error's type and text."""
    if isinstance(error, NoriaError):
        return error.message
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def place_of(error: BaseException, home: Home) -> str:
    """Give ` at file:line` of the innermost line of the project's code, or nothing when there is none."""
    place = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        filename = frame.f_code.co_filename
        if filename.startswith(_OWN):
            continue
        origin = home.origin(frame.f_globals.get("__name__", ""), filename)
        if origin.kind == "project":
            place = f" at {Path(filename).name}:{line}"
    return place


def traceback_text(error: BaseException) -> str:
    """Give the traceback from the user's code on, shortened in the middle."""
    trace: TracebackType | None = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OWN):
        trace = trace.tb_next
    text = "".join(traceback.format_exception(type(error), error, trace))
    if len(text) <= _MOST_CHARS:
        return text
    half = _MOST_CHARS // 2
    return f"{text[:half]}\n…\n{text[-half:]}"
