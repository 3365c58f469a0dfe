"""Tables of the step cache, of pipelines' runs with their steps, and of jobs."""

from __future__ import annotations

from typing import Any

from noria.core.database.schema import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    JsonText,
    Table,
    Text,
    UniqueConstraint,
    UtcMicros,
    pk,
)
from noria.core.errors import ErrorBody
from noria.pipelines.cache_entities import Followed, KeyParts, Logged, ReadFile, StoredValue
from noria.pipelines.entities import StepInput
from noria.pipelines.job_entities import DEFAULT_QUEUE
from noria.tracking.entities import Link

step_cache = Table(
    "step_cache",
    pk(),
    Column("project_pk", BigInteger, ForeignKey("projects.pk"), nullable=False),
    Column("key", Text, nullable=False),
    Column("writer", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("outputs", JsonText(list[StoredValue]), nullable=False),
    Column("followed", JsonText(list[Followed]), nullable=False),
    Column("files", JsonText(list[ReadFile]), nullable=False),
    Column("inputs", JsonText(list[Link]), nullable=False),
    Column("made", JsonText(list[Link]), nullable=False),
    Column("logged", JsonText(Logged), nullable=False),
    Column("created_at", UtcMicros, nullable=False),
    UniqueConstraint("project_pk", "key", "writer", name="step_cache_by_key"),
)

pipeline_runs = Table(
    "pipeline_runs",
    pk(),
    Column("run_id", Text, nullable=False, unique=True),
    Column("project_pk", BigInteger, ForeignKey("projects.pk"), nullable=False),
    Column("pipeline", Text, nullable=False),
    Column("snapshot", Text),
    Column("environment", Text),
    # Null once the run has ended; a run whose lease is over was killed.
    Column("lease_until", UtcMicros),
    Column("outputs", JsonText(dict[str, StoredValue]), nullable=False),
    Column("error", JsonText(ErrorBody)),
    Column("n_steps", BigInteger, nullable=False),
    Column("n_reused", BigInteger, nullable=False),
    Column("n_failed", BigInteger, nullable=False),
    Index("pipeline_runs_by_project", "project_pk", "pk"),
    Index("pipeline_runs_by_pipeline", "project_pk", "pipeline", "pk"),
    Index("pipeline_runs_by_lease", "lease_until"),
)

step_runs = Table(
    "step_runs",
    Column("run_pk", BigInteger, ForeignKey("pipeline_runs.pk"), primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("step", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("occurrence", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("key", Text),
    Column("attempts", BigInteger, nullable=False),
    Column("started_at", UtcMicros, nullable=False),
    Column("duration_us", BigInteger, nullable=False),
    Column("outputs", JsonText(list[StoredValue]), nullable=False),
    Column("error", JsonText(ErrorBody)),
    Column("sources", JsonText(list[StepInput]), nullable=False, server_default="[]"),
    Column("declared", JsonText(dict[str, str]), nullable=False, server_default="{}"),
    # Nested pipelines around it, `outer/inner`; empty for the pipeline itself.
    Column("within", Text, nullable=False, server_default=""),
    Column("item", BigInteger),
    CheckConstraint("status in ('finished', 'failed', 'reused')", name="step_runs_status"),
)

# What each step's key was made of when it last ran in a pipeline: one row per step, not one per run.
latest_steps = Table(
    "latest_steps",
    Column("project_pk", BigInteger, ForeignKey("projects.pk"), primary_key=True, autoincrement=False),
    Column("pipeline", Text, primary_key=True),
    Column("step", Text, primary_key=True),
    Column("occurrence", BigInteger, primary_key=True, autoincrement=False),
    Column("run_id", Text, nullable=False),
    Column("parts", JsonText(KeyParts), nullable=False),
)

jobs = Table(
    "jobs",
    pk(),
    Column("id", Text, nullable=False, unique=True),
    Column("project_pk", BigInteger, ForeignKey("projects.pk"), nullable=False),
    Column("entry", Text, nullable=False),
    Column("args", JsonText(dict[str, Any]), nullable=False),
    Column("snapshot", Text),
    Column("status", Text, nullable=False),
    Column("attempt", BigInteger, nullable=False),
    Column("max_attempts", BigInteger, nullable=False),
    Column("timeout_s", Double, nullable=False),
    Column("lease_until", UtcMicros),
    Column("claimed_by", Text),
    Column("result", JsonText(Any)),
    Column("error", JsonText(ErrorBody)),
    Column("created_at", UtcMicros, nullable=False),
    Column("not_before", UtcMicros, nullable=False),
    Column("started_at", UtcMicros),
    Column("ended_at", UtcMicros),
    Column("key", Text),
    Column("submitted_by", Text, nullable=False),
    # What the job's own token may do: the submitter's role, and permissions beyond those of every job.
    Column("role", Text, nullable=False),
    Column("permissions", JsonText(list[str]), nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("routine", Boolean, nullable=False),
    # Only workers that take from this queue may claim it.
    Column("queue", Text, nullable=False, server_default=DEFAULT_QUEUE),
    CheckConstraint(
        "status in ('queued', 'running', 'succeeded', 'failed', 'cancelled')", name="jobs_status"
    ),
    UniqueConstraint("project_pk", "key", name="jobs_by_key"),
    Index("jobs_by_project", "project_pk", "pk"),
    Index("jobs_by_status", "status", "not_before", "pk"),
    Index("jobs_by_lease", "lease_until"),
    Index("jobs_by_end", "routine", "ended_at"),
)

job_logs = Table(
    "job_logs",
    Column("job_pk", BigInteger, ForeignKey("jobs.pk"), primary_key=True, autoincrement=False),
    Column("line", BigInteger, primary_key=True, autoincrement=False),
    Column("at", UtcMicros, nullable=False),
    Column("stream", Text, nullable=False),
    Column("text", Text, nullable=False),
)
