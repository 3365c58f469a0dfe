"""Read and write reports and approvals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from noria.core.permissions import Role
from noria.core.serialisation import to_json
from noria.registry.entities import ModelVersion
from noria.registry.tables import model_approvals, model_validations, model_versions, packages
from noria.registry.validation.entities import Approval, NewReport, Outcome, Report
from noria.registry.validation.judging import Standing

if TYPE_CHECKING:
    from datetime import datetime


def version_key(connection: sa.Connection, version: ModelVersion) -> int:
    """Give the key of a version's row."""
    query = sa.select(model_versions.c.pk).where(model_versions.c.id == version.id)
    key: int = connection.execute(query).scalar_one()
    return key


def insert_report(
    connection: sa.Connection,
    version: ModelVersion,
    new: NewReport,
    *,
    report_id: str,
    outcome: Outcome,
    counts: bool,
    author: str,
    at: datetime,
) -> None:
    """Write a report."""
    connection.execute(
        sa.insert(model_validations).values(
            id=report_id,
            version_pk=version_key(connection, version),
            outcome=outcome.value,
            counts=counts,
            report=to_json(new).decode(),
            author=author,
            created_at=at,
        )
    )


def load_reports(
    connection: sa.Connection,
    version: ModelVersion,
    *,
    limit: int,
    report_id: str | None = None,
    counts: bool | None = None,
) -> list[Report]:
    """Give the reports of a version, newest first."""
    table = model_validations
    query = sa.select(table).where(table.c.version_pk == version_key(connection, version))
    if report_id is not None:
        query = query.where(table.c.id == report_id)
    if counts is not None:
        query = query.where(table.c.counts.is_(counts))
    rows = connection.execute(query.order_by(table.c.pk.desc()).limit(limit)).all()
    return [_report(row, version) for row in rows]


def load_approvals(connection: sa.Connection, version: ModelVersion, alias: str | None) -> list[Approval]:
    """Give the approvals of a version, for one alias or for all, oldest first."""
    table = model_approvals
    query = sa.select(table).where(table.c.version_pk == version_key(connection, version))
    if alias is not None:
        query = query.where(table.c.alias == alias)
    return [
        Approval(
            alias=row.alias,
            given_by=row.given_by,
            role=Role(row.role),
            note=row.note,
            report_id=row.report_id,
            given_at=row.given_at,
        )
        for row in connection.execute(query.order_by(table.c.given_at, table.c.given_by))
    ]


def load_standing(connection: sa.Connection, version: ModelVersion, alias: str) -> Standing:
    """Gather what a gate looks at."""
    counting = load_reports(connection, version, limit=1, counts=True)
    built = sa.select(packages.c.key_id, packages.c.lock_incomplete).where(
        packages.c.version_pk == version_key(connection, version)
    )
    found = connection.execute(built).all()
    return Standing(
        ref=version.ref,
        author=version.author,
        report=counting[0] if counting else None,
        has_other=bool(load_reports(connection, version, limit=1, counts=False)),
        approvals=load_approvals(connection, version, alias),
        has_signed_package=any(key is not None for key, _ in found),
        has_complete_lock=any(incomplete is None for _, incomplete in found),
    )


def _report(row: sa.Row[tuple[object, ...]], version: ModelVersion) -> Report:
    kept = msgspec.json.decode(row.report, type=NewReport)
    return Report(
        **msgspec.structs.asdict(kept),
        id=row.id,
        project=version.project,
        model=version.model,
        version=version.version,
        outcome=Outcome(row.outcome),
        author=row.author,
        counts=row.counts,
        created_at=row.created_at,
    )
