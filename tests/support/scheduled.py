"""A pipeline that ran well, failed and runs, and two schedules, as their pages show them."""

from __future__ import annotations

from datetime import timedelta

from noria.core.context import Context
from noria.core.errors import ErrorBody
from noria.pipelines.entities import (
    NewPipelineRun,
    NewStep,
    PipelineEnd,
    StepInput,
    StepReport,
    StepStatus,
)
from noria.pipelines.schedules.entities import NewSchedules, ScheduleSection, Trigger
from noria.pipelines.schedules.service import Schedules
from noria.pipelines.service import PipelineRuns
from noria.tracking.entities import RunEnd, RunStatus
from noria.tracking.service import Runs

PROJECT = "default"
PIPELINE = "flows/train.py:train"
WRONG = "ValueError: `x` has 3 columns, <b>not 4</b>"
_STEPS = (
    ("load", (), {"output": "Frame"}, "", None),
    ("split", (("rows", 0, "output"),), {"train": "Frame", "test": "Frame"}, "", None),
    *(("fit", (("x", 1, "train"),), {"output": "Model"}, "search", item) for item in range(3)),
    ("score", (("models", 2, "output"), ("test", 1, "test")), {"output": "float"}, "", None),
)


def run_and_schedule(context: Context) -> list[str]:
    """Put them on record; gives the runs: the one that ended well, the one that failed, the one that runs."""
    found = [_run(context, number) for number in range(3)]
    nightly = ScheduleSection(
        name="nightly",
        run="noria.flows:train",
        cron="0 3 * * *",
        timezone="Europe/Berlin",
        params={"day": "{start_date}"},
    )
    after_data = ScheduleSection(
        name="after-data", run="noria.flows:train", every_s=3600, on=Trigger(dataset="digits-train")
    )
    schedules = context.service(Schedules)
    schedules.apply(PROJECT, NewSchedules(schedules=[nightly, after_data]))
    schedules.run(PROJECT, "nightly")
    return found


def _run(context: Context, number: int) -> str:
    runs, run_id = context.service(PipelineRuns), f"{number + 1:032x}"
    runs.start(PROJECT, NewPipelineRun(run_id=run_id, name="train", pipeline=PIPELINE))
    fails = number == 1
    for position in range(len(_STEPS)):
        runs.step(PROJECT, run_id, NewStep(report=_report(context, position, fails=fails)))
    if number < 2:
        error = ErrorBody(code="failed", message="The step `score` failed") if fails else None
        status = RunStatus.FAILED if fails else RunStatus.FINISHED
        context.service(Runs).finish(PROJECT, run_id, RunEnd(status=status))
        runs.finish(PROJECT, run_id, PipelineEnd(status=status, error=error))
    return run_id


def _report(context: Context, position: int, *, fails: bool) -> StepReport:
    name, sources, declared, group, item = _STEPS[position]
    failed = fails and name == "score"
    return StepReport(
        step=f"flows/train.py:{name}",
        name=name,
        position=position,
        status=StepStatus.FAILED if failed else StepStatus.FINISHED,
        reason="first run",
        started_at=context.clock.now() - timedelta(seconds=1),
        duration_s=0.5,
        sources=[StepInput(argument=a, source_position=at, output=output) for a, at, output in sources],
        declared=declared,
        group=group,
        item=item,
        error=ErrorBody(code="failed", message=WRONG) if failed else None,
    )
