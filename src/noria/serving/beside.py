"""What shadows predicted beside answers: the pairs, and how shadows fare when the truth comes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from noria.serving.captured_rows import Reading
from noria.serving.chunks import Chunk, Wanted, find_beside, rows_at
from noria.serving.counts import Counted, count_label
from noria.serving.locate import EndpointRow
from noria.serving.packing import Unpacked
from noria.serving.predictions import CapturedRow, CaptureRole, Prediction


class Pair(NamedTuple):
    """An answer with its label, and what a shadow predicted on the same inputs."""

    answer: CapturedRow
    shadow: Prediction


def pairs_of(connection: sa.Connection, endpoint_pk: int, kept: Unpacked) -> list[Pair]:
    """Give the shadows among what was just kept, each beside its answer; those whose answer is not there are left out.

    Parameters
    ----------
    kept
        With the positions under which it was kept.
    """
    if not kept.n_others:
        return []
    rows = Chunk(kept).behind(kept.positions[0] - 1, Wanted(role=CaptureRole.SHADOW))
    shadows = [row.prediction for row in rows]
    answers = Reading(connection, endpoint_pk).by_id(shadow.id for shadow in shadows)
    return [Pair(answers[shadow.id], shadow) for shadow in shadows if shadow.id in answers]


def count_late(place: EndpointRow, pairs: list[Pair]) -> list[Counted]:
    """Count the labels of shadows whose answers had theirs before."""
    return [
        _judged(place, pair.shadow, pair.answer.label.value)
        for pair in pairs
        if pair.answer.label is not None
    ]


def count_beside(connection: sa.Connection, place: EndpointRow, given: Mapping[str, Any]) -> list[Counted]:
    """Count the labels of answers for the shadows beside them.

    Parameters
    ----------
    given
        Id of a prediction → its label.
    """
    positions = [found.position for found in find_beside(connection, place.pk, given)]
    shadows = [row.prediction for row in rows_at(connection, place.pk, positions).values()]
    return [
        _judged(place, shadow, given[shadow.id])
        for shadow in shadows
        if shadow.role is CaptureRole.SHADOW and shadow.id in given
    ]


def _judged(place: EndpointRow, shadow: Prediction, truth: Any) -> Counted:
    predicted = shadow.outputs.get("predictions")
    return count_label(place.task, shadow.version, shadow.revision, predicted, truth)
