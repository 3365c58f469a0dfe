"""Running counts over captured predictions, by version and revision of the endpoint.

They change in the transaction of the predictions and labels that they count, so they cost the same to read however
much was captured, and are never ahead of or behind the rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from noria.serving.first_predictions import first_predictions
from noria.serving.label_sums import LabelSums, predicted_sums
from noria.serving.packing import Unpacked
from noria.serving.predictions import ROLES, CaptureRole, VersionStats, latency_bucket
from noria.serving.sums import Form, RowSums
from noria.serving.tables import capture_counts

_FIRST = ROLES.index(CaptureRole.FIRST)
FIELDS = tuple(field for field in VersionStats.__struct_fields__ if field != "version")


class Counted(NamedTuple):
    """An addition to the counts of one version under one revision."""

    revision: int
    stats: VersionStats


class Judged(NamedTuple):
    """What a version gave for a row whose label is known."""

    version: int
    revision: int
    outputs: Mapping[str, Any]
    truth: Any


def count_requests(unpacked: Unpacked, task: str) -> list[Counted]:
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
            failed = index in unpacked.errors
            total.failed.append(int(failed))
            if not failed:
                total.answered.append(index)
                total.latencies_us.append(latency_us)
    return [
        Counted(revision, total.stats(version, task, unpacked))
        for (version, revision), total in found.items()
    ]


@dataclass(slots=True)
class _Sum:
    n_rows: int = 0
    failed: list[int] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    latencies_us: list[int] = field(default_factory=list)

    def stats(self, version: int, task: str, unpacked: Unpacked) -> VersionStats:
        took = self.latencies_us
        forms = {"error": Form.of(self.failed)} | ({"latency": Form.of(took)} if took else {})
        predicted = predicted_sums(task, first_predictions(unpacked, self.answered))
        return VersionStats(
            version=version,
            n_rows=self.n_rows,
            n_requests=len(self.failed),
            n_errors=sum(self.failed),
            latency_sum_us=float(sum(took)),
            latency_sum_squares=float(sum(each * each for each in took)),
            latency_buckets=dict(Counter(map(latency_bucket, took))),
            sums=msgspec.structs.replace(predicted, forms=forms),
        )


def count_labels(task: str, judged: Iterable[Judged]) -> list[Counted]:
    """Count labels, and how the predictions fare beside them; a failed request predicted nothing."""
    found: dict[tuple[int, int], LabelSums] = {}
    for row in judged:
        found.setdefault((row.version, row.revision), LabelSums()).take(task, row.outputs, row.truth)
    return [Counted(revision, _labelled(version, sums)) for (version, revision), sums in found.items()]


def _labelled(version: int, found: LabelSums) -> VersionStats:
    sums = found.sums()
    correct, errors = sums.form("correct"), sums.form("abs_error")
    return VersionStats(
        version=version,
        n_labelled=found.n,
        n_judged=correct.n,
        n_correct=int(correct.total),
        n_measured=errors.n,
        abs_error_sum=errors.total,
        abs_error_sum_squares=errors.squares,
        sums=sums,
    )


def merge(first: VersionStats, second: VersionStats) -> VersionStats:
    """Add two figures of one version."""
    changes: dict[str, Any] = {
        field: getattr(first, field) + getattr(second, field)
        for field in FIELDS
        if field not in ("latency_buckets", "sums")
    }
    buckets = dict(first.latency_buckets)
    for bucket, count in second.latency_buckets.items():
        buckets[bucket] = buckets.get(bucket, 0) + count
    sums = first.sums.plus(second.sums)
    return msgspec.structs.replace(first, latency_buckets=buckets, sums=sums, **changes)


def add_counts(connection: sa.Connection, endpoint_pk: int, additions: Iterable[Counted]) -> None:
    """Add to the stored counts. The caller holds the endpoint's lock."""
    sums: dict[tuple[int, int], VersionStats] = {}
    for revision, stats in additions:
        key = (stats.version, revision)
        sums[key] = merge(sums[key], stats) if key in sums else stats
    for (version, revision), stats in sums.items():
        if not change_counts(connection, endpoint_pk, version, revision, partial(_merged, stats)):
            values = {"endpoint_pk": endpoint_pk, "version": version, "revision": revision}
            connection.execute(sa.insert(capture_counts).values(**values, **_values(stats)))


def _merged(more: VersionStats, known: VersionStats) -> VersionStats:
    return merge(known, more)


def change_counts(
    connection: sa.Connection,
    endpoint_pk: int,
    version: int,
    revision: int,
    change: Callable[[VersionStats], VersionStats],
) -> bool:
    """Change the stored counts of a version, and tell whether there are any. The caller holds the endpoint's lock."""
    place = (
        (capture_counts.c.endpoint_pk == endpoint_pk)
        & (capture_counts.c.version == version)
        & (capture_counts.c.revision == revision)
    )
    row = connection.execute(sa.select(*_COLUMNS).where(place)).mappings().one_or_none()
    if row is None:
        return False
    total = change(_stats(row))
    connection.execute(sa.update(capture_counts).where(place).values(**_values(total)))
    return True


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
    # What was counted before there were sums has none.
    return VersionStats(**{**row, "sums": row["sums"] or RowSums()})
