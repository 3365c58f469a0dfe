"""Tables of schedules, their runs, backfills and notices."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from noria.core.database.schema import JsonText, UtcMicros, metadata, pk
from noria.pipelines.schedules.entities import Pin, ScheduleSection

schedules = sa.Table(
    "schedules",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("project_pk", sa.BigInteger, sa.ForeignKey("projects.pk"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("spec", JsonText(ScheduleSection), nullable=False),
    sa.Column("snapshot", sa.Text),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("applied_by", sa.Text, nullable=False),
    # Of who applied it, at that time: its jobs never get more than this.
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("applied_at", UtcMicros, nullable=False),
    # The interval that comes next; null where nothing runs by the clock.
    sa.Column("next_start", UtcMicros),
    sa.Column("next_due", UtcMicros),
    # Position in the event log after which events start it.
    sa.Column("since_position", sa.BigInteger, nullable=False),
    # Of the secret of its webhook, which is made of this and the workspace key.
    sa.Column("salt", sa.Text, nullable=False),
    sa.Column("failing_since", UtcMicros),
    sa.Column("n_failures", sa.BigInteger, nullable=False),
    # The revision that it runs, and the number of the newest there ever was.
    sa.Column("revision", sa.BigInteger, nullable=False, server_default="1"),
    sa.Column("newest", sa.BigInteger, nullable=False, server_default="1"),
    sa.Column("pin", JsonText(Pin)),
    sa.CheckConstraint("status in ('active', 'paused', 'removed')", name="schedules_status"),
    sa.UniqueConstraint("project_pk", "name", name="schedules_by_name"),
)

schedule_revisions = sa.Table(
    "schedule_revisions",
    metadata,
    pk(),
    sa.Column("schedule_pk", sa.BigInteger, sa.ForeignKey("schedules.pk"), nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("spec", JsonText(ScheduleSection), nullable=False),
    sa.Column("snapshot", sa.Text),
    sa.Column("applied_by", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("applied_at", UtcMicros, nullable=False),
    sa.UniqueConstraint("schedule_pk", "number", name="schedule_revisions_by_number"),
)

schedule_backfills = sa.Table(
    "schedule_backfills",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("schedule_pk", sa.BigInteger, sa.ForeignKey("schedules.pk"), nullable=False),
    sa.Column("start", UtcMicros, nullable=False),
    sa.Column("end", UtcMicros, nullable=False),
    sa.Column("at_once", sa.BigInteger, nullable=False),
    sa.Column("requested_by", sa.Text, nullable=False),
    sa.Column("created_at", UtcMicros, nullable=False),
    sa.Column("stopped_at", UtcMicros),
)

schedule_runs = sa.Table(
    "schedule_runs",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("schedule_pk", sa.BigInteger, sa.ForeignKey("schedules.pk"), nullable=False),
    # An interval is one row, whoever plans it and how often: its key is its start.
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempt", sa.BigInteger, nullable=False),
    sa.Column("interval_start", UtcMicros),
    sa.Column("interval_end", UtcMicros),
    sa.Column("job_id", sa.Text),
    sa.Column("backfill_pk", sa.BigInteger, sa.ForeignKey("schedule_backfills.pk")),
    sa.Column("reason", sa.Text),
    sa.Column("details", JsonText(dict[str, Any]), nullable=False),
    sa.Column("created_at", UtcMicros, nullable=False),
    sa.Column("started_at", UtcMicros),
    sa.Column("ended_at", UtcMicros),
    # What its job was made from, and the run of the pipeline that the job made.
    sa.Column("revision", sa.BigInteger),
    sa.Column("run_id", sa.Text),
    sa.CheckConstraint(
        "state in ('waiting', 'running', 'succeeded', 'failed', 'cancelled', 'skipped')",
        name="schedule_runs_state",
    ),
    sa.UniqueConstraint("schedule_pk", "key", name="schedule_runs_by_key"),
    sa.Index("schedule_runs_by_schedule", "schedule_pk", "pk"),
    sa.Index("schedule_runs_by_backfill", "backfill_pk"),
    sa.Index("schedule_runs_by_run", "run_id"),
    # Asked every other moment, and of all runs only those that have not ended.
    sa.Index(
        "schedule_runs_open",
        "schedule_pk",
        "pk",
        sqlite_where=sa.text("state in ('waiting', 'running')"),
        postgresql_where=sa.text("state in ('waiting', 'running')"),
    ),
)

schedule_notices = sa.Table(
    "schedule_notices",
    metadata,
    pk(),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("run_pk", sa.BigInteger, sa.ForeignKey("schedule_runs.pk"), nullable=False),
    sa.Column("attempt", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("facts", JsonText(dict[str, Any]), nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("n_attempts", sa.BigInteger, nullable=False),
    sa.Column("error", sa.Text),
    sa.Column("created_at", UtcMicros, nullable=False),
    sa.Column("due_at", UtcMicros, nullable=False),
    sa.Column("ended_at", UtcMicros),
    sa.CheckConstraint("status in ('waiting', 'sent', 'failed')", name="schedule_notices_status"),
    sa.UniqueConstraint("run_pk", "attempt", "kind", "address", name="schedule_notices_once"),
    sa.Index("schedule_notices_by_status", "status", "due_at"),
)
