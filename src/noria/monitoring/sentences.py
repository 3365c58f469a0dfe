"""What alerts say: kept in English, and told by pages in the language of their reader."""

from __future__ import annotations

from typing import Final, NamedTuple

from noria.core.web.languages import mark
from noria.core.web.retelling import Retelling

LEARNED_ERRORS: Final = 2.58
"""Standard errors by which the learned reference of a segment is lowered: one in two hundred is too high even then."""

WHERE: Final = mark("Where `%(segment)s`: %(text)s")
WITH_PREDICTIONS: Final = mark("%(text)s; so have the predictions (PSI %(psi)s)")
AMONG_SEGMENTS: Final = mark("%(text)s. Among the segments that drifted: %(segment_list)s")
INPUTS_DRIFTED: Final = mark(
    "%(drifted)s of %(columns)s inputs have drifted in %(windows)s windows in a row; `%(top)s` most "
    "(PSI %(psi)s, adjusted p %(p)s)"
)
PREDICTIONS_DRIFTED: Final = mark(
    "Predictions have drifted in %(windows)s windows in a row (PSI %(psi)s, adjusted p %(p)s), and no input has"
)
PREDICTIONS_DRIFTED_THERE: Final = mark(
    "predictions have drifted in %(windows)s windows in a row (PSI %(psi)s, adjusted p %(p)s), and no input has"
)
ERRORS: Final = mark(
    "%(failed)s of %(all)s requests failed, %(share)s (99%% interval %(low)s to %(high)s); %(tolerated)s is tolerated"
)
DROPPED: Final = mark(
    "%(measure)s of version %(version)s is %(mean)s on the newest %(n)s labelled answers (95%% interval %(low)s to "
    "%(high)s); it was %(reference)s on %(reference_n)s held-out rows. Evidence this strong comes without a drop at "
    "most once in %(rate)s labels on average"
)
DROPPED_WINDOW: Final = mark(
    "%(measure)s of version %(version)s is %(mean)s on %(n)s labelled answers; it was %(reference)s on "
    "%(reference_n)s held-out rows. So low a score comes without a drop in at most %(p)s of such windows"
)
DROPPED_THERE: Final = mark(
    "%(measure)s of version %(version)s is %(mean)s on the newest %(n)s labelled answers (95%% interval %(low)s to "
    "%(high)s); it was %(reference)s on %(reference_n)s of its first labels, less 2.58 standard errors. Evidence "
    "this strong comes without a drop at most once in %(rate)s labels on average"
)
DROPPED_WINDOW_THERE: Final = mark(
    "%(measure)s of version %(version)s is %(mean)s on %(n)s labelled answers; it was %(reference)s on "
    "%(reference_n)s of its first labels, less 2.58 standard errors. So low a score comes without a drop in at "
    "most %(p)s of such windows"
)
RULE_BROKEN: Final = mark(
    "The rule `%(rule)s` of the training data is broken by %(broken)s of %(all)s rows, %(share)s (surely more than "
    "%(low)s); %(tolerated)s is tolerated"
)
RULE_BROKEN_IN_A_ROW: Final = mark(
    "The rule `%(rule)s` of the training data is broken in %(windows)s windows in a row"
)
OTHER_RULES: Final = mark("%(text)s; so are %(broken)s of %(others)s other rules")
FORECASTS_WORSE: Final = mark(
    "Forecasts %(steps)s steps ahead are worse than repeating the last season of %(season)s: mean absolute error "
    "%(mae)s against %(naive)s on %(n)s rows (adjusted p %(p)s)"
)
FORECASTS_WORSE_NEXT: Final = mark(
    "Forecasts %(steps)s step ahead are worse than repeating the last season of %(season)s: mean absolute error "
    "%(mae)s against %(naive)s on %(n)s rows (adjusted p %(p)s)"
)
OTHER_HORIZONS: Final = mark("%(text)s; so are those of %(worse)s of %(others)s other horizons")
NO_SERVER: Final = mark(
    "No model server answers: the last one, `%(server)s`, gave its last sign of life %(seconds)s s ago and did not say "
    "that it leaves"
)
DISK_FULL: Final = mark(
    "The disk of the model server `%(server)s` is full, as it says itself: it answers, but cannot keep what it "
    "answers; %(dropped)s predictions were dropped, %(waiting)s MiB wait"
)

LOGGED: Final = mark(
    "The model servers logged %(n)s errors in five minutes; %(tolerated)s are tolerated. The newest line: `%(line)s`"
)
LOGGED_MORE: Final = mark(
    "The model servers logged %(n)s errors in five minutes; %(tolerated)s are tolerated, and in 99 of 100 of the "
    "%(windows)s windows before there were at most %(usual)s. The newest line: `%(line)s`"
)
NO_LOOK: Final = mark(
    "Nobody looks at what the endpoint answers: a look was asked for %(minutes)s minutes ago, and no worker has ended "
    "one since"
)
LOOKS_FAIL: Final = mark(
    "Nobody sees what the endpoint answers: looks at it have failed for %(minutes)s minutes, the newest with "
    "`%(error)s`"
)


class Drop(NamedTuple):
    """What is said of a drop: on the newest labels, and in windows of them; and whether it begins a sentence."""

    newest: str
    windows: str
    begins: bool = True


BELOW_HELD_OUT: Final = Drop(DROPPED, DROPPED_WINDOW)
BELOW_FIRST: Final = Drop(DROPPED_THERE, DROPPED_WINDOW_THERE, begins=False)

CALM: Final = mark("Neither an input nor the predictions have drifted in %(windows)s windows in a row")
RULES_KEPT: Final = mark("Rows have kept the rules of the training data in %(windows)s windows in a row")
FEW_ERRORS: Final = mark("No more than %(share)s of the requests failed in %(windows)s windows in a row")
QUALITY_BACK: Final = mark(
    "The newest %(n)s labelled answers score %(mean)s (95%% interval %(low)s to %(high)s), as they should"
)
FORECASTS_BACK: Final = mark("Forecasts of every horizon are at least as good as repeating the last season")
ENDPOINT_GONE: Final = mark("The endpoint was deleted")
SERVER_BACK: Final = mark("A model server answers again")
DISK_BACK: Final = mark("There is room on the disk again")
FEW_LOGGED: Final = mark(
    "The model servers logged no more than %(bound)s errors in five minutes, %(windows)s windows in a row"
)

LOOKED_AT: Final = mark("What the endpoint answers is looked at again")

MEASURES: Final = (mark("Accuracy"), mark("accuracy"), mark("Score"), mark("score"))
"""What quality is called, at the beginning of a sentence and within one."""

retelling: Final = Retelling(
    WHERE,
    AMONG_SEGMENTS,
    WITH_PREDICTIONS,
    OTHER_HORIZONS,
    OTHER_RULES,
    INPUTS_DRIFTED,
    PREDICTIONS_DRIFTED,
    PREDICTIONS_DRIFTED_THERE,
    ERRORS,
    DROPPED,
    DROPPED_WINDOW,
    DROPPED_THERE,
    DROPPED_WINDOW_THERE,
    RULE_BROKEN,
    RULE_BROKEN_IN_A_ROW,
    FORECASTS_WORSE,
    FORECASTS_WORSE_NEXT,
    NO_SERVER,
    DISK_FULL,
    LOGGED_MORE,
    LOGGED,
    CALM,
    FEW_ERRORS,
    RULES_KEPT,
    QUALITY_BACK,
    FORECASTS_BACK,
    ENDPOINT_GONE,
    SERVER_BACK,
    DISK_BACK,
    FEW_LOGGED,
    NO_LOOK,
    LOOKS_FAIL,
    LOOKED_AT,
    *MEASURES,
)
"""Of what alerts say, and of why they are over."""
