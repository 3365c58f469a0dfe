"""Running sums over pairs: what two versions predicted on the same row, and how both fare beside its label.

Pairs tell more than two streams, since what makes a row hard makes it so for both versions. They change in the
transaction of the captures and labels that they count.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import sqlalchemy as sa

from noria.serving.beside import Pair, Told
from noria.serving.predictions import Prediction
from noria.serving.sums import PairStats
from noria.serving.tables import pair_counts


class CountedPair(NamedTuple):
    """An addition to the sums of a version beside another, under a revision of the endpoint."""

    version: int
    against: int
    revision: int
    stats: PairStats


def count_seen(pairs: Iterable[tuple[Told, Told]]) -> list[CountedPair]:
    """Count shadows beside their answers: each pair is the answer and the shadow."""
    found: dict[tuple[int, int, int], list[int]] = {}
    for answer, shadow in pairs:
        counts = found.setdefault((shadow.version, answer.version, shadow.revision), [0, 0, 0, 0])
        counts[0] += 1
        if shadow.failed or answer.failed:
            counts[2] += not answer.failed
            counts[3] += not shadow.failed
        else:
            counts[1] += answer.predicted == shadow.predicted
    return [
        CountedPair(
            *place,
            PairStats(n=n, n_agreed=agreed, n_only_new_failed=new_failed, n_only_old_failed=old_failed),
        )
        for place, (n, agreed, new_failed, old_failed) in found.items()
    ]


def count_labels_of(task: str, pairs: Iterable[Pair]) -> list[CountedPair]:
    """Count the trusted labels of pairs."""
    return [
        count_labelled(task, pair.answer.prediction, pair.shadow, pair.answer.label.value)
        for pair in pairs
        if pair.answer.label is not None and pair.answer.label.is_trusted
    ]


def count_labelled(task: str, answer: Prediction, shadow: Prediction, truth: Any) -> CountedPair:
    """Count the label of a pair; one that a version gave no single prediction for says nothing."""
    new, old = shadow.outputs.get("predictions"), answer.outputs.get("predictions")
    if not isinstance(new, (str, int, float)) or not isinstance(old, (str, int, float)):
        return _counted(answer, shadow, PairStats())
    if task == "regression" and not isinstance(new, str) and not isinstance(old, str):
        return _counted(answer, shadow, _measured(abs(new - truth), abs(old - truth)))
    right, old_right = new == truth, old == truth
    stats = PairStats(
        n_judged=1,
        n_only_new_right=int(right and not old_right),
        n_only_old_right=int(old_right and not right),
    )
    return _counted(answer, shadow, stats)


def add_pairs(connection: sa.Connection, endpoint_pk: int, additions: Iterable[CountedPair]) -> None:
    """Add to the stored sums. The caller holds the endpoint's lock."""
    sums: dict[tuple[int, int, int], PairStats] = {}
    for version, against, revision, stats in additions:
        key = (version, against, revision)
        sums[key] = sums[key].plus(stats) if key in sums else stats
    for (version, against, revision), stats in sums.items():
        values = {
            "endpoint_pk": endpoint_pk, "version": version, "against": against, "revision": revision
        }  # fmt: skip
        place = sa.and_(*(pair_counts.c[name] == value for name, value in values.items()))
        known = connection.execute(sa.select(pair_counts.c.stats).where(place)).scalar_one_or_none()
        if known is None:
            connection.execute(sa.insert(pair_counts).values(**values, stats=stats))
        else:
            connection.execute(sa.update(pair_counts).where(place).values(stats=known.plus(stats)))


def read_pairs(
    connection: sa.Connection, endpoint_pk: int, version: int, against: int, since_revision: int = 0
) -> PairStats:
    """Give the sums of a version beside another from a revision on; zeros where they predicted no row together."""
    query = sa.select(pair_counts.c.stats).where(
        pair_counts.c.endpoint_pk == endpoint_pk,
        pair_counts.c.version == version,
        pair_counts.c.against == against,
        pair_counts.c.revision >= since_revision,
    )
    total = PairStats()
    for stats in connection.execute(query).scalars():
        total = total.plus(stats)
    return total


def _measured(new: float, old: float) -> PairStats:
    return PairStats(
        n_measured=1,
        new_error_sum=new,
        new_error_squares=new * new,
        old_error_sum=old,
        old_error_squares=old * old,
        error_products=new * old,
    )


def _counted(answer: Prediction, shadow: Prediction, stats: PairStats) -> CountedPair:
    return CountedPair(shadow.version, answer.version, shadow.revision, stats)
