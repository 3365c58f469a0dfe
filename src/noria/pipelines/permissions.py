"""What callers may do with the step cache, with runs of pipelines and with jobs."""

from __future__ import annotations

from noria.core.permissions import Permission, Role

READ_PIPELINES = Permission(name="pipelines.read")
# A cache entry may be a pickle, which its writer unpickles again: whoever writes must prove to be the writer.
WRITE_PIPELINES = Permission(name="pipelines.write", role=Role.SCIENTIST, key=True)
READ_JOBS = Permission(name="jobs.read")
SUBMIT_JOBS = Permission(name="jobs.submit", role=Role.SCIENTIST, key=True)
WORK = Permission(name="jobs.work", role=Role.ENGINEER, key=True)

PERMISSIONS_OF_JOBS = frozenset(
    {
        *("projects.read", "objects.read", "objects.write", "data.read", "data.write"),
        *("runs.read", "runs.write", "pipelines.read", "pipelines.write"),
        *("models.read", "models.register", "catalog.read", "catalog.write"),
        *("batches.read", "batches.run"),
    }
)
"""Names of what every job may do in its own project: read and add, but neither deploy, nor submit, nor administer."""
