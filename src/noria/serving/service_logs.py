"""What the model servers of an endpoint logged: counted by five minutes, a week long, with the newest line of each.

A report of a model server carries counts since it started; what came since the report before is added to the window of
now, in the transaction that keeps the report, so that each line is counted once. A window without a line is kept as
well: it says that a server answered and had nothing to complain of.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa

from noria.access.tables import projects
from noria.core.operations import Service, operation
from noria.serving.locate import endpoint_row
from noria.serving.permissions import READ_ENDPOINTS
from noria.serving.plans import LogLine, ServerReport, ServerStanding
from noria.serving.tables import endpoint_logs, endpoints, model_servers

if TYPE_CHECKING:
    from noria.core.context import Context

WINDOW: Final = timedelta(minutes=5)
KEPT: Final = timedelta(days=7)

_MOST: Final = KEPT // WINDOW


class LogWindow(msgspec.Struct, frozen=True, kw_only=True):
    """Five minutes in which a model server answered for an endpoint.

    Attributes
    ----------
    n_warnings, n_errors
        Lines of these levels that the processes of its model servers logged.
    line
        The newest of them.
    """

    starts_at: datetime
    n_warnings: int
    n_errors: int
    line: LogLine | None = None


class LogWindowList(msgspec.Struct, frozen=True, kw_only=True):
    """Windows, newest first."""

    items: list[LogWindow]


class ServiceLogs(Service):
    """What model servers log."""

    @operation("GET", "/projects/{project}/endpoints/{name}/logs", needs=READ_ENDPOINTS)
    def list(self, project: str, name: str, limit: int = 288, since: datetime | None = None) -> LogWindowList:
        """List windows of five minutes, newest first, with what the endpoint's model servers logged in them.

        A model server that answers for several endpoints is counted at each of them. Windows are kept for a week.
        """
        with self.context.database.read() as connection:
            place = endpoint_row(connection, project, name)
            return LogWindowList(items=log_windows(connection, place.pk, limit=limit, since=since))


def log_windows(
    connection: sa.Connection, endpoint_pk: int, *, limit: int = _MOST, since: datetime | None = None
) -> list[LogWindow]:
    """Read the windows of an endpoint, newest first."""
    c = endpoint_logs.c
    query = sa.select(c.starts_at, c.n_warnings, c.n_errors, c.line).where(c.endpoint_pk == endpoint_pk)
    if since is not None:
        query = query.where(c.starts_at > since - WINDOW)
    query = query.order_by(c.starts_at.desc()).limit(max(1, min(limit, _MOST)))
    return [LogWindow(**row) for row in connection.execute(query).mappings()]


def window_of(at: datetime) -> datetime:
    """Give the start of the window that a moment lies in.

    Examples
    --------
    >>> window_of(datetime(2030, 1, 1, 12, 34, 56, tzinfo=UTC)).strftime("%H:%M:%S")
    '12:30:00'
    """
    return datetime.fromtimestamp(at.timestamp() // WINDOW.total_seconds() * WINDOW.total_seconds(), UTC)


def count_lines(connection: sa.Connection, context: Context, seen: ServerReport) -> None:
    """Add what a model server logged since its report before. Called before that one is replaced."""
    if seen.standing is None:
        return
    row = connection.execute(
        sa.select(model_servers.c.standing, model_servers.c.seen_at).where(
            model_servers.c.server == seen.server
        )
    ).one_or_none()
    before = ServerStanding() if row is None or row.standing is None else row.standing
    n_warnings = max(0, seen.standing.n_log_warnings - before.n_log_warnings)
    n_errors = max(0, seen.standing.n_log_errors - before.n_log_errors)
    here = window_of(context.clock.now())
    is_new = row is None or window_of(row.seen_at) != here
    if not (n_warnings or n_errors or is_new):
        return
    line = seen.standing.log_line if n_warnings or n_errors else None
    values = {"starts_at": here, "n_warnings": n_warnings, "n_errors": n_errors, "line": line}
    for endpoint_pk in _served(connection, seen):
        _add(context, connection, {"endpoint_pk": endpoint_pk, **values})
        if is_new:
            old = (endpoint_logs.c.endpoint_pk == endpoint_pk, endpoint_logs.c.starts_at < here - KEPT)
            connection.execute(sa.delete(endpoint_logs).where(*old))


def _add(context: Context, connection: sa.Connection, values: dict[str, Any]) -> None:
    c = endpoint_logs.c
    insert = context.database.insert(endpoint_logs).values(**values)
    changed = {name: c[name] + insert.excluded[name] for name in ("n_warnings", "n_errors")}
    changed["line"] = sa.func.coalesce(insert.excluded["line"], c.line)
    connection.execute(
        insert.on_conflict_do_update(index_elements=["endpoint_pk", "starts_at"], set_=changed)
    )


def _served(connection: sa.Connection, seen: ServerReport) -> Iterable[int]:
    """Give the endpoints that a server answers for, in the order in which all reports take their rows."""
    if not seen.endpoints:
        return []
    query = (
        sa.select(projects.c.name, endpoints.c.name, endpoints.c.pk)
        .join(projects, projects.c.pk == endpoints.c.project_pk)
        .where(
            endpoints.c.deleted_at.is_(None),
            endpoints.c.name.in_(sorted({plan.endpoint for plan in seen.endpoints})),
        )
        .order_by(endpoints.c.pk)
    )
    wanted = {(plan.project, plan.endpoint) for plan in seen.endpoints}
    return [pk for project, name, pk in connection.execute(query) if (project, name) in wanted]
