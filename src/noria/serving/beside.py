"""What shadows predicted beside answers: the pairs, and how shadows fare when the truth comes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import sqlalchemy as sa

from noria.serving.captured_rows import Reading
from noria.serving.chunks import Chunk, Wanted, find_beside, rows_at
from noria.serving.counts import Judged
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


def count_late(pairs: Iterable[Pair]) -> list[Judged]:
    """Give what shadows predicted whose answers had their labels before."""
    labelled = [(pair.shadow, pair.answer.label) for pair in pairs]
    return [
        judged(shadow, label.value) for shadow, label in labelled if label is not None and label.is_trusted
    ]


def shadows_beside(connection: sa.Connection, place: EndpointRow, ids: Iterable[str]) -> list[Prediction]:
    """Give what shadows predicted beside answers.

    Parameters
    ----------
    ids
        Of the answers.
    """
    wanted = set(ids)
    positions = [found.position for found in find_beside(connection, place.pk, wanted)]
    shadows = [row.prediction for row in rows_at(connection, place.pk, positions).values()]
    return [shadow for shadow in shadows if shadow.role is CaptureRole.SHADOW and shadow.id in wanted]


def judged(prediction: Prediction, truth: Any) -> Judged:
    """Give what a version gave for a row beside its label."""
    return Judged(prediction.version, prediction.revision, prediction.outputs, truth)
