"""Operations on issues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from noria.access.tables import projects
from noria.core.database.engine import upsertable
from noria.core.database.schema import from_micros, to_micros
from noria.core.errors import Conflict, NotFound
from noria.core.events.log import EventType
from noria.core.ids import new_id
from noria.core.operations import Service, operation
from noria.tracking.events import append_event
from noria.tracking.experiment_rows import ExperimentDeleted
from noria.tracking.issue_changes import categorise, changed_values
from noria.tracking.issue_entities import (
    Issue,
    IssueChange,
    IssuePage,
    IssuePlace,
    IssueSearch,
    IssueSeverity,
    IssueStatus,
    NewIssue,
)
from noria.tracking.issue_events import ISSUE_CREATED, ISSUE_UPDATED
from noria.tracking.issue_limits import ID_PREFIX, check_change, check_new
from noria.tracking.issue_search import FoundIssue, find_issues
from noria.tracking.issue_tables import SEVERITIES, issues
from noria.tracking.run_keys import run_pk
from noria.tracking.tables import experiments, runs
from noria.tracking.traces.permissions import FIND_TRACES, READ_TRACES, WRITE_TRACES
from noria.tracking.traces.places import experiment_in

MAX_PAGE: Final = 1_000

_ISSUES = issues.c


class IssueNotFound(NotFound):
    """There is no issue of this id that the caller may read."""

    code = "issue_not_found"

    def __init__(self, issue_id: str) -> None:
        super().__init__(f"There is no issue `{issue_id[:100]}`", details={"issue_id": issue_id[:100]})


class Issues(Service):
    """What is wrong with applications, as their traces show."""

    @operation("POST", "/projects/{project}/issues", needs=WRITE_TRACES)
    def create(self, project: str, new: NewIssue) -> Issue:
        """Write an issue down; several may have the same name."""
        check_new(new)
        now_ms = self._now_ms() if new.created_at is None else to_micros(new.created_at) // 1_000
        with self.context.database.write() as connection:
            place = experiment_in(connection, project, new.experiment, hold=True)
            _check_active(connection, place.pk, project, place.name)
            run = None if new.source_run is None else run_pk(connection, project, new.source_run)
            issue_id = new.id or f"{ID_PREFIX}{new_id()}"
            values = {
                "id": issue_id,
                "experiment_pk": place.pk,
                "source_run_pk": run,
                "name": new.name,
                "description": new.description,
                "status": new.status.value,
                "severity": SEVERITIES.index(new.severity),
                "root_causes": new.root_causes,
                "categories": new.categories,
                "created_by": new.created_by,
                "created_ms": now_ms,
                "updated_ms": now_ms,
                "seen_ms": now_ms if new.last_seen_at is None else to_micros(new.last_seen_at) // 1_000,
                "updated_by": new.created_by,
                "metadata": new.metadata or None,
            }
            insert = upsertable(connection.dialect.name, issues).values(**values).on_conflict_do_nothing()
            key = connection.execute(insert.returning(_ISSUES.pk)).scalar_one_or_none()
            if key is None:
                raise Conflict(f"There is an issue `{issue_id}` already", hint="Leave the id out")
            categorise(connection, key, new.categories)
            payload = {"experiment": new.experiment, "name": new.name, "status": new.status.value}
            self._tell(connection, ISSUE_CREATED, project, issue_id, payload)
            return _load(connection, [FoundIssue(key, None)])[0]

    @operation("GET", "/projects/{project}/issues/{issue_id}", needs=READ_TRACES)
    def get(self, project: str, issue_id: str) -> Issue:
        """Get one issue."""
        with self.context.database.read() as connection:
            return _load(connection, [FoundIssue(_key(connection, project, issue_id), None)])[0]

    @operation("GET", "/issues/{issue_id}/place", needs=FIND_TRACES)
    def locate(self, issue_id: str) -> IssuePlace:
        """Find the project of an issue that the caller may read."""
        with self.context.database.read() as connection:
            found = _find(connection, issue_id)
        if found is None or not self.context.principal.may(READ_TRACES, found.project):
            raise IssueNotFound(issue_id)
        return IssuePlace(id=issue_id, project=found.project)

    @operation("PATCH", "/projects/{project}/issues/{issue_id}", needs=WRITE_TRACES)
    def update(self, project: str, issue_id: str, change: IssueChange) -> Issue:
        """Change what an issue says; who found it, where and why, stays."""
        check_change(change)
        said = msgspec.to_builtins(change)
        named = [
            name for name, value in said.items() if value or (name == "categories" and value is not None)
        ]
        payload: dict[str, Any] = {"fields": sorted(named)}
        if change.status is not None:
            payload["status"] = change.status.value
        with self.context.database.write() as connection:
            key = _key(connection, project, issue_id)
            values = changed_values(connection, key, change)
            updated = sa.update(issues).where(_ISSUES.pk == key).values(**values, updated_ms=self._now_ms())
            connection.execute(updated)
            if change.categories is not None:
                categorise(connection, key, change.categories)
            self._tell(connection, ISSUE_UPDATED, project, issue_id, payload)
            return _load(connection, [FoundIssue(key, None)])[0]

    @operation("POST", "/issues/search", needs=FIND_TRACES, status=200)
    def search(self, wanted: IssueSearch) -> IssuePage:
        """Find issues; without an order, the worst first, and the newest first among equally bad ones."""
        bounded = msgspec.structs.replace(wanted, limit=max(1, min(wanted.limit, MAX_PAGE)))
        with self.context.database.read() as connection:
            found = find_issues(connection, self.context.principal, bounded)
            return IssuePage(items=_load(connection, found.page), next=found.following, n_all=found.n_all)

    def _now_ms(self) -> int:
        return to_micros(self.context.clock.now()) // 1_000

    def _tell(
        self, connection: sa.Connection, kind: EventType, project: str, issue_id: str, payload: dict[str, Any]
    ) -> None:
        subject = f"issue:{issue_id}"
        append_event(connection, self.context, kind, subject=subject, project=project, payload=payload)


def _check_active(connection: sa.Connection, experiment: int, project: str, name: str) -> None:
    query = sa.select(experiments.c.deleted_at).where(experiments.c.pk == experiment)
    if connection.execute(query).scalar_one() is not None:
        raise ExperimentDeleted(project, name)


def _key(connection: sa.Connection, project: str, issue_id: str) -> int:
    found = _find(connection, issue_id)
    if found is None or found.project != project:
        raise IssueNotFound(issue_id)
    return int(found.pk)


def _find(connection: sa.Connection, issue_id: str) -> Any:
    return connection.execute(_PLACE.where(_ISSUES.id == issue_id)).first()


def _load(connection: sa.Connection, found: Sequence[FoundIssue]) -> list[Issue]:
    keys = [each.pk for each in found]
    rows = {row.pk: row for row in connection.execute(_SELECT.where(_ISSUES.pk.in_(keys)))}
    return [_issue(rows[each.pk], each.n_traces) for each in found]


def _issue(row: Any, n_traces: int | None) -> Issue:
    severity: IssueSeverity | None = SEVERITIES[row.severity]
    return Issue(
        id=row.id,
        project=row.project,
        experiment=row.number,
        name=row.name,
        description=row.description,
        status=IssueStatus(row.status),
        severity=severity,
        root_causes=row.root_causes,
        categories=row.categories,
        source_run=row.source_run,
        created_by=row.created_by,
        created_at=from_micros(row.created_ms * 1_000),
        updated_at=from_micros(row.updated_ms * 1_000),
        last_seen_at=from_micros((row.created_ms if row.seen_ms is None else row.seen_ms) * 1_000),
        updated_by=row.updated_by,
        metadata=row.metadata or {},
        n_traces=n_traces,
    )


_PLACE = (
    sa.select(_ISSUES.pk, projects.c.name.label("project"))
    .join(experiments, experiments.c.pk == _ISSUES.experiment_pk)
    .join(projects, projects.c.pk == experiments.c.project_pk)
)
_SELECT = (
    sa.select(
        *(column for column in _ISSUES if column.name not in ("experiment_pk", "source_run_pk")),
        experiments.c.number,
        projects.c.name.label("project"),
        runs.c.id.label("source_run"),
    )
    .join(experiments, experiments.c.pk == _ISSUES.experiment_pk)
    .join(projects, projects.c.pk == experiments.c.project_pk)
    .outerjoin(runs, runs.c.pk == _ISSUES.source_run_pk)
)
