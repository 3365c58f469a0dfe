"""What shadows predicted beside answers: the pairs, and how shadows fare when the truth comes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from noria.serving.captured_rows import Reading
from noria.serving.chunks import Chunk, Wanted, find_beside, find_predictions, rows_at, unpacked_at
from noria.serving.counts import Judged
from noria.serving.first_predictions import predictions_of
from noria.serving.locate import EndpointRow
from noria.serving.packing import Unpacked
from noria.serving.predictions import ROLES, CapturedRow, CaptureRole, Prediction

_ANSWER: Final = ROLES.index(CaptureRole.ANSWER)
_SHADOW: Final = ROLES.index(CaptureRole.SHADOW)


class Pair(NamedTuple):
    """An answer with its label, and what a shadow predicted on the same inputs."""

    answer: CapturedRow
    shadow: Prediction


class Told(NamedTuple):
    """What is counted of a prediction in a pair: `predicted` is the output that labels are compared with."""

    version: int
    revision: int
    failed: bool
    predicted: Any


class Together(NamedTuple):
    """Shadows that were just kept, and their answers.

    Attributes
    ----------
    seen
        The answer and the shadow of every pair.
    labelled
        The pairs among them whose label came before the shadow.
    """

    seen: list[tuple[Told, Told]]
    labelled: list[Pair]


def pairs_of(connection: sa.Connection, endpoint_pk: int, kept: Unpacked) -> Together:
    """Give the shadows among what was just kept, each beside its answer; those whose answer is not there are left out.

    Of a pair without a label, which is nearly each, only what was predicted is read: shadows come as fast as answers,
    and whoever counts them takes processors from those who answer.

    Parameters
    ----------
    kept
        With the positions under which it was kept.
    """
    if not kept.n_others:
        return Together([], [])
    shadows = list(_shadows(kept))
    found = find_predictions(connection, {identity for identity, _ in shadows}, endpoint_pk)
    positions = {identity: places[0].position for identity, places in found.items()}
    answers = _answers(connection, endpoint_pk, positions.values())
    seen = [
        (answers[positions[identity]], shadow)
        for identity, shadow in shadows
        if positions.get(identity) in answers
    ]
    given = Reading(connection, endpoint_pk).labels_of(list(answers))
    labelled = {identity for identity, position in positions.items() if position in given}
    return Together(seen, _labelled(connection, endpoint_pk, kept, labelled) if labelled else [])


def _shadows(kept: Unpacked) -> Iterator[tuple[str, Told]]:
    """Give the shadows with the ids of their answers."""
    for index, role in enumerate(kept.roles):
        if role != _SHADOW:
            continue
        first, n_whole, identity = kept.rows[index], kept.n_whole[index], kept.ids[index]
        for row, predicted in enumerate(predictions_of(kept, index)):
            yield identity if n_whole == 1 else f"{identity}-{first + row}", _told(kept, index, predicted)


def _answers(connection: sa.Connection, endpoint_pk: int, positions: Iterable[int]) -> dict[int, Told]:
    found = {}
    for unpacked, here in unpacked_at(connection, endpoint_pk, positions):
        predicted: tuple[int, list[Any]] = (-1, [])
        for position in here:
            place = unpacked.find(position)
            if place is None or unpacked.roles[place[0]] != _ANSWER:
                continue
            index, row = place
            if index != predicted[0]:
                predicted = index, predictions_of(unpacked, index)
            found[position] = _told(unpacked, index, predicted[1][row])
    return found


def _told(unpacked: Unpacked, index: int, predicted: Any) -> Told:
    return Told(unpacked.versions[index], unpacked.revisions[index], index in unpacked.errors, predicted)


def _labelled(
    connection: sa.Connection, endpoint_pk: int, kept: Unpacked, labelled: Collection[str]
) -> list[Pair]:
    rows = Chunk(kept).behind(kept.positions[0] - 1, Wanted(role=CaptureRole.SHADOW))
    shadows = [row.prediction for row in rows if row.prediction.id in labelled]
    answers = Reading(connection, endpoint_pk).by_id(labelled)
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
