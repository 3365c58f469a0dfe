"""What the control loop runs for pipelines and jobs."""

from __future__ import annotations

from noria.core.context import Context
from noria.core.control.workflows import Chore, Reaction, Tick, Workflow
from noria.pipelines.job_rows import forget_routine, requeue_expired
from noria.pipelines.run_records import SYSTEM, mark_killed

LOOK_EVERY_S = 2.0
FORGET_EVERY_S = 60.0


def free_expired(app: Context) -> None:
    """Give jobs of lost workers back to the queue, and mark the runs of dead processes as killed."""
    context = app.acting_as(SYSTEM)
    requeue_expired(context)
    mark_killed(context)


def forget(app: Context) -> None:
    """Delete old routine jobs."""
    forget_routine(app.acting_as(SYSTEM))


WORKFLOWS: list[Workflow] = []
TICKS: list[Tick] = []
REACTIONS: list[Reaction] = []
CHORES = [
    Chore(name="pipelines.leases", every_s=LOOK_EVERY_S, fn=free_expired),
    Chore(name="pipelines.routine", every_s=FORGET_EVERY_S, fn=forget),
]
