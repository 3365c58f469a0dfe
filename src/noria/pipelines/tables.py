"""Tables of the step cache, of pipelines' runs with their steps, and of jobs."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from noria.core.database.schema import JsonText, UtcMicros, metadata, pk
from noria.core.errors import ErrorBody
from noria.pipelines.cache_entities import Followed, KeyParts, Logged, ReadFile, StoredValue
from noria.pipelines.entities import StepInput
from noria.pipelines.job_entities import DEFAULT_QUEUE
from noria.tracking.entities import Link

step_cache = sa.Table(
    "step_cache",
    metadata,
    pk(),
    sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("writer", sa.Text, nullable=False),
    sa.Column("step", sa.Text, nullable=False),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("outputs", JsonText(list[StoredValue]), nullable=False),
    sa.Column("followed", JsonText(list[Followed]), nullable=False),
    sa.Column("files", JsonText(list[ReadFile]), nullable=False),
    sa.Column("inputs", JsonText(list[Link]), nullable=False),
    sa.Column("made", JsonText(list[Link]), nullable=False),
    sa.Column("logged", JsonText(Logged), nullable=False),
    sa.Column("created_at", UtcMicros, nullable=False),
    sa.UniqueConstraint("project_pk", "key", "writer", name="step_cache_by_key"),
)

pipeline_runs = sa.Table(
    "pipeline_runs",
    metadata,
    pk(),
    sa.Column("run_id", sa.Text, nullable=False, unique=True),
    sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
    sa.Column("pipeline", sa.Text, nullable=False),
    sa.Column("snapshot", sa.Text),
    sa.Column("environment", sa.Text),
    # Null once the run has ended; a run whose lease is over was killed.
    sa.Column("lease_until", UtcMicros),
    sa.Column("outputs", JsonText(dict[str, StoredValue]), nullable=False),
    sa.Column("error", JsonText(ErrorBody)),
    sa.Column("n_steps", sa.BigInteger, nullable=False),
    sa.Column("n_reused", sa.BigInteger, nullable=False),
    sa.Column("n_failed", sa.BigInteger, nullable=False),
    sa.Index("pipeline_runs_by_project", "project_pk", "pk"),
    sa.Index("pipeline_runs_by_pipeline", "project_pk", "pipeline", "pk"),
    sa.Index("pipeline_runs_by_lease", "lease_until"),
)

step_runs = sa.Table(
    "step_runs",
    metadata,
    sa.Column(
        "run_pk", sa.BigInteger, sa.ForeignKey("pipeline_runs.pk"), primary_key=True, autoincrement=False
    ),
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("step", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("occurrence", sa.BigInteger, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("key", sa.Text),
    sa.Column("attempts", sa.BigInteger, nullable=False),
    sa.Column("started_at", UtcMicros, nullable=False),
    sa.Column("duration_us", sa.BigInteger, nullable=False),
    sa.Column("outputs", JsonText(list[StoredValue]), nullable=False),
    sa.Column("error", JsonText(ErrorBody)),
    sa.Column("sources", JsonText(list[StepInput]), nullable=False, server_default="[]"),
    sa.Column("declared", JsonText(dict[str, str]), nullable=False, server_default="{}"),
    # Nested pipelines around it, `outer/inner`; empty for the pipeline itself.
    sa.Column("within", sa.Text, nullable=False, server_default=""),
    sa.Column("item", sa.BigInteger),
    sa.CheckConstraint("status in ('finished', 'failed', 'reused')", name="step_runs_status"),
)

# What each step's key was made of when it last ran in a pipeline: one row per step, not one per run.
latest_steps = sa.Table(
    "latest_steps",
    metadata,
    sa.Column(
        "project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), primary_key=True, autoincrement=False
    ),
    sa.Column("pipeline", sa.Text, primary_key=True),
    sa.Column("step", sa.Text, primary_key=True),
    sa.Column("occurrence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("parts", JsonText(KeyParts), nullable=False),
)

jobs = sa.Table(
    "jobs",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
    sa.Column("entry", sa.Text, nullable=False),
    sa.Column("args", JsonText(dict[str, Any]), nullable=False),
    sa.Column("snapshot", sa.Text),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("attempt", sa.BigInteger, nullable=False),
    sa.Column("max_attempts", sa.BigInteger, nullable=False),
    sa.Column("timeout_s", sa.Double, nullable=False),
    sa.Column("lease_until", UtcMicros),
    sa.Column("claimed_by", sa.Text),
    sa.Column("result", JsonText(Any)),
    sa.Column("error", JsonText(ErrorBody)),
    sa.Column("created_at", UtcMicros, nullable=False),
    sa.Column("not_before", UtcMicros, nullable=False),
    sa.Column("started_at", UtcMicros),
    sa.Column("ended_at", UtcMicros),
    sa.Column("key", sa.Text),
    sa.Column("submitted_by", sa.Text, nullable=False),
    # What the job's own token may do: the submitter's role, and permissions beyond those of every job.
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("permissions", JsonText(list[str]), nullable=False),
    sa.Column("cancel_requested", sa.Boolean, nullable=False),
    sa.Column("routine", sa.Boolean, nullable=False),
    # Only workers that take from this queue may claim it.
    sa.Column("queue", sa.Text, nullable=False, server_default=DEFAULT_QUEUE),
    sa.CheckConstraint(
        "status in ('queued', 'running', 'succeeded', 'failed', 'cancelled')", name="jobs_status"
    ),
    sa.UniqueConstraint("project_pk", "key", name="jobs_by_key"),
    sa.Index("jobs_by_project", "project_pk", "pk"),
    sa.Index("jobs_by_status", "status", "not_before", "pk"),
    sa.Index("jobs_by_lease", "lease_until"),
    sa.Index("jobs_by_end", "routine", "ended_at"),
)

job_logs = sa.Table(
    "job_logs",
    metadata,
    sa.Column("job_pk", sa.BigInteger, sa.ForeignKey("jobs.pk"), primary_key=True, autoincrement=False),
    sa.Column("line", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at", UtcMicros, nullable=False),
    sa.Column("stream", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
)
