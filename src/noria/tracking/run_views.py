"""What the pages of a run read besides what operations give: curves, ranges of metrics, and its family."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from noria.core.admission import admit
from noria.core.database.prepared import Prepared
from noria.core.operations import Service
from noria.tracking.chunks import PackedPoints
from noria.tracking.curves import Curve, read_curve
from noria.tracking.entities import RunStatus
from noria.tracking.keys import key_names, known_keys
from noria.tracking.permissions import READ_RUNS
from noria.tracking.run_keys import run_pk
from noria.tracking.tables import metric_chunks, metric_points, runs

MAX_RANGED_POINTS = 100_000
"""Up to so many points of a run are looked through for the least and the greatest of each metric."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Least and greatest value of a metric; None when it has only NaN."""

    least: float | None
    greatest: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Relative:
    """A run that another was started in, or that was started in it."""

    id: str
    name: str
    status: RunStatus


class RunViews(Service):
    """Readings for who is in this process; no operations."""

    def curves(
        self, project: str, run_id: str, keys: Sequence[str], *, max_points: int, share: float = 0.0
    ) -> dict[str, Curve]:
        """Give metrics as curves, in the order asked for; keys that the run does not have are left out.

        Parameters
        ----------
        share
            Width of a moving average as a share of all points; 0 for none.
        """
        admit(self.context.principal, READ_RUNS, project)
        with self.context.database.read() as connection:
            run = run_pk(connection, project, run_id)
            known = known_keys(connection, keys)
            found = {
                key: read_curve(connection, run, known[key], max_points, share=share)
                for key in keys
                if key in known
            }
        return {key: curve for key, curve in found.items() if curve.n_points}

    def ranges(self, project: str, run_id: str) -> dict[str, Range] | None:
        """Give the least and the greatest value of each metric; None where that would take long."""
        admit(self.context.principal, READ_RUNS, project)
        with self.context.database.read() as connection:
            run = {"run": run_pk(connection, project, run_id)}
            rows = _ROW_RANGES.all(connection, run)
            n_packed = _N_PACKED.all(connection, run)[0][0] or 0
            if n_packed + sum(n for _, n, _, _ in rows) > MAX_RANGED_POINTS:
                return None
            found = {key: Range(least=low, greatest=high) for key, _, low, high in rows}
            for key, data in _CHUNKS.all(connection, run) if n_packed else ():
                packed = _range_of(PackedPoints(data).values)
                found[key] = _joined(found[key], packed) if key in found else packed
            names = key_names(connection, set(found))
        return {names[key]: each for key, each in found.items()}

    def parent(self, project: str, run_id: str) -> Relative | None:
        """Give the run inside which a run was started."""
        return next(self._relatives(_PARENT, project, run_id, 1), None)

    def children(self, project: str, run_id: str, limit: int) -> list[Relative]:
        """Give the runs that were started inside a run, newest first."""
        return list(self._relatives(_CHILDREN, project, run_id, limit))

    def _relatives(self, query: Prepared, project: str, run_id: str, limit: int) -> Iterator[Relative]:
        admit(self.context.principal, READ_RUNS, project)
        with self.context.database.read() as connection:
            asked = {"run": run_pk(connection, project, run_id), "limit": limit}
            rows = query.all(connection, asked)
        return (Relative(id=id_, name=name, status=RunStatus(status)) for id_, name, status in rows)


def _range_of(values: Sequence[float]) -> Range:
    least, greatest = min(values), max(values)
    if math.isnan(least):  # only where the first is
        numbers = [value for value in values if not math.isnan(value)]
        least, greatest = min(numbers, default=math.nan), max(numbers, default=math.nan)
    if math.isnan(least):
        return Range(least=None, greatest=None)
    return Range(least=least, greatest=greatest)


def _joined(first: Range, second: Range) -> Range:
    lows = [each.least for each in (first, second) if each.least is not None]
    highs = [each.greatest for each in (first, second) if each.greatest is not None]
    return Range(least=min(lows, default=None), greatest=max(highs, default=None))


_NUMBER = sa.case((metric_points.c.is_nan == sa.literal_column("0"), metric_points.c.value))
_ROW_RANGES = Prepared(
    sa.select(metric_points.c.key_pk, sa.func.count(), sa.func.min(_NUMBER), sa.func.max(_NUMBER))
    .where(metric_points.c.run_pk == sa.bindparam("run"))
    .group_by(metric_points.c.key_pk)
)
_N_PACKED = Prepared(
    sa.select(sa.cast(sa.func.sum(metric_chunks.c.n_points), sa.BigInteger)).where(
        metric_chunks.c.run_pk == sa.bindparam("run")
    )
)
_CHUNKS = Prepared(
    sa.select(metric_chunks.c.key_pk, metric_chunks.c.data).where(
        metric_chunks.c.run_pk == sa.bindparam("run")
    )
)
_own = runs.alias("own")
_PARENT = Prepared(
    sa.select(runs.c.id, runs.c.name, runs.c.status)
    .join(_own, _own.c.parent_pk == runs.c.pk)
    .where(_own.c.pk == sa.bindparam("run"))
    .limit(sa.bindparam("limit", type_=sa.BigInteger))
)
_CHILDREN = Prepared(
    sa.select(runs.c.id, runs.c.name, runs.c.status)
    .where(runs.c.parent_pk == sa.bindparam("run"))
    .where(runs.c.deleted_at.is_(None))
    .order_by(runs.c.started_at.desc(), runs.c.pk.desc())
    .limit(sa.bindparam("limit", type_=sa.BigInteger))
)
