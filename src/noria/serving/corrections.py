"""What the correction of a label changes of the sums that gates and figures are told by.

Sums over rows, classes and pairs of versions become those of the corrected label, as though it had been the first one.
Means of blocks and the pairs of rows of `auc` keep the label that they were counted by: which block or pair a row went
into is not kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from noria.serving.beside import judged, shadows_beside
from noria.serving.counts import Counted, Judged, change_counts, count_labels
from noria.serving.locate import EndpointRow
from noria.serving.pairs import CountedPair, add_pairs, count_labelled
from noria.serving.predictions import Prediction, VersionStats
from noria.serving.sums import MAX_CLASSES, OTHERS, ClassSums, Form, PairStats, RowSums

_BY_PAIRS_OF_ROWS = "auc"


class Correction(NamedTuple):
    """A trusted label in the place of another one that was counted."""

    prediction: Prediction
    before: Any
    after: Any


def count_corrections(
    connection: sa.Connection, place: EndpointRow, corrections: Sequence[Correction]
) -> None:
    """Change the sums of an endpoint; its lock is held, and what the labels before said has been counted."""
    beside: dict[str, list[Prediction]] = {}
    for shadow in shadows_beside(connection, place, {each.prediction.id for each in corrections}):
        beside.setdefault(shadow.id, []).append(shadow)
    for each in corrections:
        shadows = beside.get(each.prediction.id, [])
        _change_rows(connection, place, each, [each.prediction, *shadows])
        add_pairs(connection, place.pk, (_pair_change(place.task, each, shadow) for shadow in shadows))


def _change_rows(
    connection: sa.Connection, place: EndpointRow, correction: Correction, predicted: Iterable[Prediction]
) -> None:
    for prediction in predicted:
        before, after = (
            _counted(place.task, judged(prediction, truth)) for truth in (correction.before, correction.after)
        )
        change = partial(corrected, before=before.stats, after=after.stats)
        change_counts(connection, place.pk, after.stats.version, after.revision, change)


def _counted(task: str, row: Judged) -> Counted:
    (found,) = count_labels(task, [row])
    return found


def corrected(known: VersionStats, before: VersionStats, after: VersionStats) -> VersionStats:
    """Give sums in which one labelled row counts otherwise.

    Parameters
    ----------
    known
        Sums that hold the row.
    before, after
        Those of the row alone, by the label that was counted and by the one that stands now.
    """
    return msgspec.structs.replace(
        known,
        n_correct=max(0, known.n_correct + after.n_correct - before.n_correct),
        abs_error_sum=_moved(known.abs_error_sum, before.abs_error_sum, after.abs_error_sum),
        abs_error_sum_squares=_moved(
            known.abs_error_sum_squares, before.abs_error_sum_squares, after.abs_error_sum_squares
        ),
        sums=_corrected_sums(known.sums, before.sums, after.sums),
    )


def _corrected_sums(known: RowSums, before: RowSums, after: RowSums) -> RowSums:
    # What was counted before there was a form has none of it, and nothing of it is changed.
    forms = {
        name: form
        if name == _BY_PAIRS_OF_ROWS or name not in after.forms
        else Form(
            form.n,
            _moved(form.total, before.form(name).total, after.form(name).total),
            _moved(form.squares, before.form(name).squares, after.form(name).squares),
            form.blocks,
        )
        for name, form in known.forms.items()
    }
    classes = dict(known.classes)
    for name, less in before.classes.items():
        _add_class(classes, name, ClassSums(-less.n_true, -less.n_predicted, -less.n_both))
    for name, more in after.classes.items():
        _add_class(classes, name, more)
    return msgspec.structs.replace(known, forms=forms, classes=classes)


def _add_class(classes: dict[str, ClassSums], name: str, more: ClassSums) -> None:
    place = name if name in classes or len(classes) < MAX_CLASSES else OTHERS
    found = classes.get(place, ClassSums()).plus(more)
    classes[place] = ClassSums(max(0, found.n_true), max(0, found.n_predicted), max(0, found.n_both))


def _moved(total: float, before: float, after: float) -> float:
    return max(0.0, total + after - before)


def _pair_change(task: str, correction: Correction, shadow: Prediction) -> CountedPair:
    answer = correction.prediction
    before = count_labelled(task, answer, shadow, correction.before)
    after = count_labelled(task, answer, shadow, correction.after)
    names = PairStats.__struct_fields__
    change = {name: getattr(after.stats, name) - getattr(before.stats, name) for name in names}
    return after._replace(stats=PairStats(**change))
