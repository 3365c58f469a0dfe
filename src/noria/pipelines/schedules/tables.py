"""Tables of schedules, their runs, backfills and notices."""

from __future__ import annotations

from typing import Any

from noria.core.database.schema import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    JsonText,
    Table,
    Text,
    UniqueConstraint,
    UtcMicros,
    pk,
    text,
)
from noria.pipelines.schedules.entities import Pin, ScheduleSection

schedules = Table(
    "schedules",
    pk(),
    Column("id", Text, nullable=False, unique=True),
    Column("project_pk", BigInteger, ForeignKey("projects.pk"), nullable=False),
    Column("name", Text, nullable=False),
    Column("spec", JsonText(ScheduleSection), nullable=False),
    Column("snapshot", Text),
    Column("status", Text, nullable=False),
    Column("applied_by", Text, nullable=False),
    # Of who applied it, at that time: its jobs never get more than this.
    Column("role", Text, nullable=False),
    Column("applied_at", UtcMicros, nullable=False),
    # The interval that comes next; null where nothing runs by the clock.
    Column("next_start", UtcMicros),
    Column("next_due", UtcMicros),
    # Position in the event log after which events start it.
    Column("since_position", BigInteger, nullable=False),
    # Of the secret of its webhook, which is made of this and the workspace key.
    Column("salt", Text, nullable=False),
    Column("failing_since", UtcMicros),
    Column("n_failures", BigInteger, nullable=False),
    # The revision that it runs, and the number of the newest there ever was.
    Column("revision", BigInteger, nullable=False, server_default="1"),
    Column("newest", BigInteger, nullable=False, server_default="1"),
    Column("pin", JsonText(Pin)),
    CheckConstraint("status in ('active', 'paused', 'removed')", name="schedules_status"),
    UniqueConstraint("project_pk", "name", name="schedules_by_name"),
)

schedule_revisions = Table(
    "schedule_revisions",
    pk(),
    Column("schedule_pk", BigInteger, ForeignKey("schedules.pk"), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("spec", JsonText(ScheduleSection), nullable=False),
    Column("snapshot", Text),
    Column("applied_by", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("applied_at", UtcMicros, nullable=False),
    UniqueConstraint("schedule_pk", "number", name="schedule_revisions_by_number"),
)

schedule_backfills = Table(
    "schedule_backfills",
    pk(),
    Column("id", Text, nullable=False, unique=True),
    Column("schedule_pk", BigInteger, ForeignKey("schedules.pk"), nullable=False),
    Column("start", UtcMicros, nullable=False),
    Column("end", UtcMicros, nullable=False),
    Column("at_once", BigInteger, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("created_at", UtcMicros, nullable=False),
    Column("stopped_at", UtcMicros),
)

schedule_runs = Table(
    "schedule_runs",
    pk(),
    Column("id", Text, nullable=False, unique=True),
    Column("schedule_pk", BigInteger, ForeignKey("schedules.pk"), nullable=False),
    # An interval is one row, whoever plans it and how often: its key is its start.
    Column("key", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempt", BigInteger, nullable=False),
    Column("interval_start", UtcMicros),
    Column("interval_end", UtcMicros),
    Column("job_id", Text),
    Column("backfill_pk", BigInteger, ForeignKey("schedule_backfills.pk")),
    Column("reason", Text),
    Column("details", JsonText(dict[str, Any]), nullable=False),
    Column("created_at", UtcMicros, nullable=False),
    Column("started_at", UtcMicros),
    Column("ended_at", UtcMicros),
    # What its job was made from, and the run of the pipeline that the job made.
    Column("revision", BigInteger),
    Column("run_id", Text),
    CheckConstraint(
        "state in ('waiting', 'running', 'succeeded', 'failed', 'cancelled', 'skipped')",
        name="schedule_runs_state",
    ),
    UniqueConstraint("schedule_pk", "key", name="schedule_runs_by_key"),
    Index("schedule_runs_by_schedule", "schedule_pk", "pk"),
    Index("schedule_runs_by_backfill", "backfill_pk"),
    Index("schedule_runs_by_run", "run_id"),
    # Asked every other moment, and of all runs only those that have not ended.
    Index(
        "schedule_runs_open",
        "schedule_pk",
        "pk",
        sqlite_where=text("state in ('waiting', 'running')"),
        postgresql_where=text("state in ('waiting', 'running')"),
    ),
)

schedule_notices = Table(
    "schedule_notices",
    pk(),
    Column("id", Text, nullable=False, unique=True),
    Column("run_pk", BigInteger, ForeignKey("schedule_runs.pk"), nullable=False),
    Column("attempt", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("facts", JsonText(dict[str, Any]), nullable=False),
    Column("status", Text, nullable=False),
    Column("n_attempts", BigInteger, nullable=False),
    Column("error", Text),
    Column("created_at", UtcMicros, nullable=False),
    Column("due_at", UtcMicros, nullable=False),
    Column("ended_at", UtcMicros),
    CheckConstraint("status in ('waiting', 'sent', 'failed')", name="schedule_notices_status"),
    UniqueConstraint("run_pk", "attempt", "kind", "address", name="schedule_notices_once"),
    Index("schedule_notices_by_status", "status", "due_at"),
)
