"""What windows lack to be compared, and why there is no estimate: kept in English, told in the reader's language."""

from __future__ import annotations

from typing import Final

from noria.core.web.languages import mark
from noria.core.web.retelling import Retelling

_WINDOWS: Final = (
    mark("The files of version %(version)s are gone, or it lacks its task or signature"),
    mark("What version %(version)s is compared with changed within this window"),
    mark("Version %(version)s has no golden batch with one answer a row: its predictions are not compared"),
    mark("The reference has no column that the model takes, or no rows"),
    mark("The reference of `%(name)s` holds no numbers, and the model takes numbers"),
    mark("The reference has fewer than %(rows)s rows to compare these segments with: %(segment_list)s"),
    mark(
        "`[monitors.segments]` names the column `%(name)s`, which the reference of %(ref)s does not have: did you mean "
        "`%(near)s`?"
    ),
    mark(
        "`[monitors.segments]` names the column `%(name)s`, which the reference of %(ref)s does not have: it has "
        "%(column_list)s"
    ),
    mark("Rows have inputs that the model does not take, which are not looked at: %(column_list)s"),
    mark("%(n)s rows are dated ahead of the clock, and counted as answered when they were seen"),
    mark("%(n)s rows; a comparison needs %(needed)s"),
    mark("Every input is one and the same value here and in the reference: there is nothing to compare"),
    mark("Its rows are held to no rules: %(text)s"),
    mark("Only the first %(n)s rows are held to the rules of `%(name)s`"),
    mark("%(n)s windows of the same hour and weekday, of %(all)s in all"),
    mark("%(n)s windows of the same hour on working days or at weekends, of %(all)s in all"),
    mark("It is not known what is usual at this hour: there are %(n)s of %(needed)s windows of history"),
    mark("It is not known what is usual at this hour: there are %(n)s of %(needed)s windows of this hour"),
    mark(
        "It is not known what is usual at this hour: there are %(needed)s windows of history with others of their hour"
    ),
)
_ESTIMATES: Final = (
    mark(
        "Quality is not estimated: version %(version)s was registered without held-out rows; "
        "`noria.register(..., holdout=...)` keeps both"
    ),
    mark(
        "Quality is not estimated: version %(version)s was registered without its answers to them; "
        "`noria.register(..., holdout=...)` keeps both"
    ),
    mark("Quality is not estimated: %(text)s"),
    mark("No estimate of quality: %(text)s"),
    mark(
        "Quality without labels is learnt on at least %(needed)s held-out rows, and there are %(n)s. Register the "
        "model with more rows in `holdout`"
    ),
    mark(
        "The model answers without probabilities, and without them nothing tells how sure it is. Register an estimator "
        "that has `predict_proba`"
    ),
    mark("The model has %(n)s classes; %(most)s are taken at most"),
    mark("Only %(n)s held-out rows have a label and an answer that are classes of the model"),
    mark("%(n)s rows have probabilities of its classes; an estimate needs %(needed)s"),
    mark("%(n)s rows have a finite prediction; an estimate needs %(needed)s"),
    mark("The model `%(name)s` has no version %(version)s"),
)

retelling: Final = Retelling(*_WINDOWS, *_ESTIMATES)
"""Of what windows lack, and of why quality is not estimated."""
