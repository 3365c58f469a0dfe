"""Running counts over captured predictions, by version and revision of the endpoint.

They change in the transaction of the predictions and labels that they count, so they cost the same to read however
much was captured, and are never ahead of or behind the rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from noria.serving.packing import Unpacked
from noria.serving.predictions import ROLES, CaptureRole, VersionStats, latency_bucket
from noria.serving.tables import capture_counts

_FIRST = ROLES.index(CaptureRole.FIRST)
FIELDS = tuple(field for field in VersionStats.__struct_fields__ if field != "version")


class Counted(NamedTuple):
    """An addition to the counts of one version under one revision."""

    revision: int
    stats: VersionStats


def count_requests(unpacked: Unpacked) -> list[Counted]:
    """Count what was captured, requests by their first row; what the first of a cascade was not sure of is left out."""
    found: dict[tuple[int, int], _Sum] = {}
    columns = (unpacked.versions, unpacked.revisions, unpacked.rows, unpacked.n_rows, unpacked.latencies_us)
    for index, (version, revision, row, n_rows, latency_us) in enumerate(zip(*columns, strict=True)):
        if unpacked.roles[index] == _FIRST:
            continue
        total = found.get((version, revision))
        if total is None:
            total = found[version, revision] = _Sum()
        total.n_rows += n_rows
        if row == 0:
            total.n_requests += 1
            if index in unpacked.errors:
                total.n_errors += 1
            else:
                total.latencies_us.append(latency_us)
    return [Counted(revision, total.stats(version)) for (version, revision), total in found.items()]


@dataclass(slots=True)
class _Sum:
    n_rows: int = 0
    n_requests: int = 0
    n_errors: int = 0
    latencies_us: list[int] = field(default_factory=list)

    def stats(self, version: int) -> VersionStats:
        took = self.latencies_us
        return VersionStats(
            version=version,
            n_rows=self.n_rows,
            n_requests=self.n_requests,
            n_errors=self.n_errors,
            latency_sum_us=float(sum(took)),
            latency_sum_squares=float(sum(each * each for each in took)),
            latency_buckets=dict(Counter(map(latency_bucket, took))),
        )


def count_label(task: str, version: int, revision: int, predicted: Any, truth: Any) -> Counted:
    """Count a label, and how the prediction fares beside it; a failed request predicted nothing."""
    if predicted is None or isinstance(predicted, (list, dict)):
        return Counted(revision, VersionStats(version=version, n_labelled=1))
    if task == "regression" and not isinstance(predicted, str):
        size = abs(float(predicted) - float(truth))
        return Counted(
            revision,
            VersionStats(
                version=version,
                n_labelled=1,
                n_measured=1,
                abs_error_sum=size,
                abs_error_sum_squares=size * size,
            ),
        )
    right = int(predicted == truth)
    return Counted(revision, VersionStats(version=version, n_labelled=1, n_judged=1, n_correct=right))


def merge(first: VersionStats, second: VersionStats) -> VersionStats:
    """Add two figures of one version."""
    changes: dict[str, Any] = {
        field: getattr(first, field) + getattr(second, field)
        for field in FIELDS
        if field != "latency_buckets"
    }
    buckets = dict(first.latency_buckets)
    for bucket, count in second.latency_buckets.items():
        buckets[bucket] = buckets.get(bucket, 0) + count
    return msgspec.structs.replace(first, latency_buckets=buckets, **changes)


def add_counts(connection: sa.Connection, endpoint_pk: int, additions: Iterable[Counted]) -> None:
    """Add to the stored counts. The caller holds the endpoint's lock."""
    sums: dict[tuple[int, int], VersionStats] = {}
    for revision, stats in additions:
        key = (stats.version, revision)
        sums[key] = merge(sums[key], stats) if key in sums else stats
    for (version, revision), stats in sums.items():
        place = (
            (capture_counts.c.endpoint_pk == endpoint_pk)
            & (capture_counts.c.version == version)
            & (capture_counts.c.revision == revision)
        )
        row = connection.execute(sa.select(*_COLUMNS).where(place)).mappings().one_or_none()
        if row is None:
            values = {"endpoint_pk": endpoint_pk, "version": version, "revision": revision}
            connection.execute(sa.insert(capture_counts).values(**values, **_values(stats)))
        else:
            total = merge(_stats(row), stats)
            connection.execute(sa.update(capture_counts).where(place).values(**_values(total)))


def read_counts(connection: sa.Connection, endpoint_pk: int, since_revision: int = 0) -> list[VersionStats]:
    """Give the figures of each version from a revision on, in the order of versions."""
    query = sa.select(*_COLUMNS).where(
        capture_counts.c.endpoint_pk == endpoint_pk, capture_counts.c.revision >= since_revision
    )
    totals: dict[int, VersionStats] = {}
    for row in connection.execute(query).mappings():
        stats = _stats(row)
        known = totals.get(stats.version)
        totals[stats.version] = stats if known is None else merge(known, stats)
    return [totals[version] for version in sorted(totals)]


_COLUMNS = tuple(capture_counts.c[name] for name in ("version", *FIELDS))


def _values(stats: VersionStats) -> dict[str, Any]:
    return {field: getattr(stats, field) for field in FIELDS}


def _stats(row: sa.RowMapping) -> VersionStats:
    return VersionStats(**row)
