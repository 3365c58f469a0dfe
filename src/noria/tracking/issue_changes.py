"""What a change makes of the rows of an issue, in the transaction that makes it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from noria.core.database.schema import to_micros
from noria.tracking.issue_entities import IssueChange
from noria.tracking.issue_limits import check_metadata
from noria.tracking.issue_search import fold
from noria.tracking.issue_tables import SEVERITIES, issue_categories, issues

_ISSUES = issues.c


def changed_values(connection: sa.Connection, key: int, change: IssueChange) -> dict[str, Any]:
    """Give the columns that a change sets.

    Raises
    ------
    TooLarge
        If the issue would hold too many entries of metadata.
    """
    texts = {"name": change.name, "description": change.description, "updated_by": change.updated_by}
    values: dict[str, Any] = {name: text for name, text in texts.items() if text is not None}
    if change.status is not None:
        values["status"] = change.status.value
    if change.severity is not None:
        values["severity"] = SEVERITIES.index(change.severity)
    if change.categories is not None:
        values["categories"] = list(dict.fromkeys(change.categories))
    if change.last_seen_at is None and not change.metadata and not change.forgotten_metadata:
        return values
    # Held on PostgreSQL until the commit: another change of other entries must not be lost.
    held = sa.select(_ISSUES.created_ms, _ISSUES.seen_ms, _ISSUES["metadata"]).where(_ISSUES.pk == key)
    created_ms, seen_ms, kept = connection.execute(held.with_for_update()).one()
    if change.last_seen_at is not None:
        before = created_ms if seen_ms is None else seen_ms
        values["seen_ms"] = max(before, to_micros(change.last_seen_at) // 1_000)
    if change.metadata or change.forgotten_metadata:
        merged = {**(kept or {}), **change.metadata}
        for name in change.forgotten_metadata:
            merged.pop(name, None)
        check_metadata(merged)
        values["metadata"] = merged or None
    return values


def categorise(connection: sa.Connection, key: int, categories: Iterable[str]) -> None:
    """Make these the categories that an issue is found by."""
    connection.execute(sa.delete(issue_categories).where(issue_categories.c.issue_pk == key))
    rows = [{"issue_pk": key, "folded": folded} for folded in sorted({fold(each) for each in categories})]
    if rows:
        connection.execute(sa.insert(issue_categories), rows)
