"""Schedules, their runs and revisions, as commands show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from noria.core.console.output import cell, facts, table

if TYPE_CHECKING:
    from noria.pipelines.schedules.entities import (
        AppliedSchedules,
        Backfill,
        Hook,
        Schedule,
        SchedulePage,
        ScheduleRun,
        ScheduleRunPage,
    )
    from noria.pipelines.schedules.revision_entities import RevisionList

_DIGITS = 19  # `blake3:` and as much of a digest as tells it from others


def applied_table(applied: AppliedSchedules) -> Any:
    """Show what became of declarations."""
    rows = [(item.name, item.change, item.revision, item.snapshot, item.next_due) for item in applied.items]
    return table(["schedule", "change", "revision", "code", "next"], rows)


def schedules_table(page: SchedulePage) -> Any:
    """Show schedules with what comes next."""
    rows = [
        (found.name, found.status.value, _when(found), found.spec.run, found.next_due, found.failing_since)
        for found in page.items
    ]
    return table(["schedule", "status", "when", "run", "next", "failing since"], rows)


def _when(found: Schedule) -> str:
    spec = found.spec
    parts = []
    if spec.cron is not None:
        parts.append(f"{spec.cron} {spec.timezone}")
    if spec.every_s is not None:
        parts.append(f"every {spec.every_s} s")
    if spec.on is not None:
        from noria.core.serialisation import to_builtins

        given = to_builtins(spec.on)
        parts.append(
            "on " + " ".join(f"{key} {value}" if value is not True else key for key, value in given.items())
        )
    return ", ".join(parts)


def schedule_facts(found: Schedule) -> Any:
    """Show one schedule."""
    spec = found.spec
    return facts(
        [
            ("schedule", found.name),
            ("project", found.project),
            ("status", found.status.value),
            ("when", _when(found)),
            ("run", spec.run),
            ("params", [f"{key}={value}" for key, value in spec.params.items()]),
            ("code", found.snapshot),
            ("applied by", found.applied_by),
            ("applied", found.applied_at),
            ("revision", found.revision),
            ("pinned", _pinned(found)),
            ("next", found.next_due),
            ("catch-up", spec.catchup),
            ("overlap", spec.overlap.value),
            ("queue", spec.queue),
            ("notify", spec.notify),
            ("failing since", found.failing_since),
            ("failures since", found.n_failures),
        ]
    )


def run_facts(run: ScheduleRun) -> Any:
    """Show a run."""
    return facts(
        [
            ("run of the schedule", run.id),
            ("schedule", run.schedule),
            ("why", run.cause.value),
            ("state", run.state.value),
            ("attempt", run.attempt),
            ("interval", [run.interval_start, run.interval_end] if run.interval_start else None),
            ("job", run.job_id),
            ("revision", run.revision),
            ("run of the pipeline", run.run_id),
            ("reason", run.reason),
        ]
    )


def backfill_facts(found: Backfill) -> Any:
    """Show how far a backfill has come."""
    counts = ", ".join(f"{count} {state}" for state, count in sorted(found.counts.items()))
    return facts(
        [
            ("backfill", found.id),
            ("schedule", found.schedule),
            ("from", found.start),
            ("to", found.end),
            ("at once", found.at_once),
            ("runs", counts or "none: every interval has a run already"),
            ("stopped", found.stopped_at),
        ]
    )


def history_table(page: ScheduleRunPage) -> Any:
    """Show runs, newest first."""
    columns = ["interval", "why", "state", "attempt", "revision", "began", "ended", "job", "reason"]
    rows = [
        (
            _what(run),
            run.cause.value,
            run.state.value,
            run.attempt,
            run.revision,
            run.started_at,
            run.ended_at,
            run.job_id,
            run.reason,
        )
        for run in page.items
    ]
    return table(columns, rows)


def _what(run: ScheduleRun) -> object:
    if run.cause.value == "missed":
        return f"{cell(run.interval_start)} to {cell(run.interval_end)}"
    return run.interval_start or run.details.get("subject") or run.key


def hook_facts(hook: Hook) -> Any:
    """Show an address with its secrets."""
    return facts([("path", hook.path), ("secret", hook.secret), ("secret of notices", hook.notice_secret)])


def revisions_table(found: RevisionList) -> Any:
    """Show what was applied, newest first."""
    rows = [
        (
            each.number,
            "runs" if each.is_running else "",
            each.applied_at,
            each.applied_by,
            each.spec.run,
            (each.snapshot or "")[:_DIGITS],
        )
        for each in found.items
    ]
    return table(["revision", "", "applied", "by", "run", "code"], rows)


def _pinned(found: Schedule) -> str | None:
    if found.pin is None:
        return None
    why = f": {found.pin.reason}" if found.pin.reason else ""
    return f"to revision {found.revision} of {found.newest}, by {found.pin.by}{why}"
