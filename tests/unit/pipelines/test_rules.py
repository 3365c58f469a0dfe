"""Small rules: what jobs may do, what the control loop runs, how long to pause."""

from __future__ import annotations

import subprocess
import sys

from noria.core.operations import operations_of
from noria.core.permissions import Permission, Role
from noria.pipelines import control
from noria.pipelines.job_entities import JobStatus
from noria.pipelines.job_rows import pause_s
from noria.pipelines.permissions import PERMISSIONS_OF_JOBS
from noria.server.assembly import load_services


def declared() -> dict[str, Permission]:
    """Give every permission that some operation needs, by name."""
    needed = [operation.declaration.needs for cls in load_services() for operation in operations_of(cls)]
    return {permission.name: permission for permission in needed}


def test_jobs_may_what_is_declared_and_nothing_dangerous() -> None:
    """Each permission of jobs is one that some operation needs, and none is more than a scientist's."""
    known = declared()

    assert set(known) >= PERMISSIONS_OF_JOBS
    assert all(Role.SCIENTIST.contains(known[name].role) for name in PERMISSIONS_OF_JOBS)
    assert PERMISSIONS_OF_JOBS.isdisjoint({"jobs.submit", "jobs.work"})


def test_the_control_loop_frees_leases() -> None:
    """The chores of this capability have names of their own and short work."""
    names = [chore.name for chore in control.CHORES]

    assert "pipelines.leases" in names
    assert len(set(names)) == len(names)


def test_pauses_grow_to_a_limit() -> None:
    """Attempts are further and further apart, up to a minute."""
    pauses = [pause_s(attempt) for attempt in range(1, 12)]

    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (0.5, 60.0)


def test_only_ended_jobs_have_ended() -> None:
    """A queued or running job has not."""
    assert [status for status in JobStatus if not status.ended] == [JobStatus.QUEUED, JobStatus.RUNNING]


def test_the_server_side_loads_no_numeric_library() -> None:
    """Importing the services and the control work of pipelines loads neither NumPy nor what stands on it."""
    script = (
        "import sys, noria.pipelines.service, noria.pipelines.control, noria.pipelines.tables;"
        "import noria.pipelines.schedules.service, noria.pipelines.schedules.control;"
        "print(sorted({'numpy', 'scipy', 'sklearn', 'polars', 'skops'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_authoring_loads_little() -> None:
    """A module of steps and pipelines costs nothing but itself: no database, no numeric library."""
    script = (
        "import sys, noria; noria.step, noria.pipeline;"
        "print(sorted({'numpy', 'sqlalchemy', 'polars', 'typer', 'httpx', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
