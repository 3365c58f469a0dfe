"""Where a search looks: experiments and the lifecycle of runs, with how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from noria.tracking.entities import Lifecycle
from noria.tracking.search.statement import Reader, Sql

ACTIVE, DELETED = Sql("deleted_at is null"), Sql("deleted_at is not null")


@dataclass(frozen=True, kw_only=True)
class Scope:
    """The runs among which a search looks.

    Attributes
    ----------
    experiments
        Integer keys, in ascending order.
    counts
        (deleted, status) → number of runs, kept by the writers.
    """

    experiments: tuple[int, ...]
    lifecycle: Lifecycle
    counts: dict[tuple[bool, str], int] = field(default_factory=dict)

    @property
    def n_runs(self) -> int:
        """Runs of the lifecycle asked for."""
        return sum(self.with_status.values())

    @property
    def n_all(self) -> int:
        """Runs of either lifecycle: metrics and params of both stand in one index."""
        return sum(self.counts.values())

    @property
    def with_status(self) -> dict[str, int]:
        """Status → number of runs of the lifecycle asked for."""
        found: dict[str, int] = {}
        for (deleted, status), n_runs in self.counts.items():
            if n_runs > 0 and self.lifecycle in (Lifecycle.ALL, _lifecycle_of(deleted=deleted)):
                found[status] = found.get(status, 0) + n_runs
        return found

    @property
    def is_mixed(self) -> bool:
        """Whether the experiments hold runs of the other lifecycle too."""
        return self.n_runs < self.n_all

    @property
    def of_runs(self) -> tuple[Sql, ...]:
        """Conditions on the table of runs, which has indexes of the active ones and of the deleted ones."""
        kinds = {
            Lifecycle.ACTIVE: (ACTIVE,),
            Lifecycle.DELETED: (DELETED,),
            Lifecycle.ALL: (ACTIVE, DELETED),
        }
        return kinds[self.lifecycle]


def measure_scope(reader: Reader, experiments: Sequence[int], lifecycle: Lifecycle) -> Scope:
    """Make a scope with its counts."""
    keys = tuple(sorted(set(experiments)))
    if not keys:
        return Scope(experiments=(), lifecycle=lifecycle)
    query = Sql("select is_deleted, status, sum(n_runs) from run_counts where").then(
        reader.among("experiment_pk", keys), Sql("group by is_deleted, status")
    )
    counts = {(bool(deleted), status): int(n_runs) for deleted, status, n_runs in reader.rows(query)}
    return Scope(experiments=keys, lifecycle=lifecycle, counts=counts)


def _lifecycle_of(*, deleted: bool) -> Lifecycle:
    return Lifecycle.DELETED if deleted else Lifecycle.ACTIVE
