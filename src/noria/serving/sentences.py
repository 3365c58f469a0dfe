"""What gates and rollouts say: kept in English, and told by pages in the language of their reader."""

from __future__ import annotations

from typing import Final

from noria.core.web.languages import mark
from noria.core.web.retelling import Retelling

NO_REQUEST: Final = mark("The new version has answered no request yet")
NO_BLOCK: Final = mark("No block of %(rows)s requests of the new version is full yet")
FAILED: Final = mark(
    "%(new)s %% of %(n)s requests failed against %(old)s %%; the increase is between %(lower)s points and "
    "%(upper)s points, %(allowed)s points allowed"
)
FAILED_ALONE: Final = mark(
    "%(new)s %% of %(n)s requests failed without requests to the old version; the increase is between %(lower)s "
    "points and %(upper)s points, %(allowed)s points allowed"
)

NONE_TO_DIFFER: Final = mark("There is no old version to differ from")
NO_PREDICTION_NEW: Final = mark("No prediction of the new version is a single number or class yet")
NO_PREDICTION_OLD: Final = mark("No prediction of the old version is a single number or class yet")
DIFFER: Final = mark(
    "%(n)s predictions against %(m)s differ by %(seen)s points of the cumulative shares, between %(lower)s points "
    "and %(upper)s points; %(allowed)s points allowed"
)
ALIKE: Final = mark("%(share)s %% of %(n)s rows were predicted alike")

FEW_TIMES_NEW: Final = mark("%(n)s requests without error of the new version, %(needed)s needed")
FEW_TIMES_OLD: Final = mark(
    "%(n)s requests without error of the old version to compare %(mean)s ms with, %(needed)s needed"
)
FEW_BLOCKS_NEW: Final = mark(
    "%(n)s blocks of %(rows)s requests without error of the new version, %(needed)s needed"
)
FEW_BLOCKS_OLD: Final = mark(
    "%(n)s blocks of %(rows)s requests without error of the old version to compare %(mean)s ms with, %(needed)s needed"
)
QUICK: Final = mark("The mean latency of %(mean)s ms is below %(ignored)s ms")
QUICK_ALONE: Final = mark("The mean latency of %(mean)s ms has nothing to be compared with")
SLOWER: Final = mark(
    "The mean latency is %(mean)s ms against %(old)s ms, %(lower)s to %(upper)s times as long; %(allowed)s times is "
    "allowed"
)
OVER: Final = mark(
    "%(share)s %% of %(n)s requests took longer than %(limit)s ms; the share is between %(lower)s %% and %(upper)s "
    "%%, %(allowed)s %% allowed"
)

NONE_TO_BE_WORSE: Final = mark("There is no old version to be worse than")
FEW_LABELS: Final = mark(
    "Not judged: %(new)s labels for the new version and %(old)s for the old one, %(needed)s needed for each"
)
UNTOLD: Final = mark(
    "Not judged: %(new)s %(rows_words)s of the new version and %(old)s of the old one tell `%(metric)s`"
)
LOSS: Final = mark(
    "%(metric_words)s %(new)s %% on %(n)s %(rows_words)s against %(old)s %% on %(m)s; the loss is between %(lower)s "
    "points and %(upper)s points, %(allowed)s points allowed"
)
LARGER: Final = mark(
    "%(metric_words)s %(new)s on %(n)s %(rows_words)s against %(old)s on %(m)s, %(lower)s to %(upper)s times as "
    "large; %(allowed)s times is allowed"
)

LABELS: Final = mark("labels")
PAIRS: Final = mark("pairs of rows")
ROWS_OF: Final = mark("rows of `%(positive)s`")
BLOCKS_OF_LABELS: Final = mark("blocks of %(rows)s labels")
BLOCKS_OF_PAIRS: Final = mark("blocks of %(rows)s pairs of rows")
BLOCKS_OF_ROWS_OF: Final = mark("blocks of %(rows)s rows of `%(positive)s`")
"""What quality is told by."""

ACCURACY: Final = mark("Accuracy")
F1: Final = mark("F1")
AUC: Final = mark("AUC")
MAPE: Final = mark("Mean relative error")
MAE: Final = mark("Mean absolute error")
RMSE: Final = mark("Root mean squared error")

GATE_FAILED: Final = {
    "errors": mark("errors: %(text)s"),
    "latency": mark("latency: %(text)s"),
    "slow": mark("slow: %(text)s"),
    "predictions": mark("predictions: %(text)s"),
    "quality": mark("quality: %(text)s"),
}
NOT_LOADED: Final = mark("The new version cannot be loaded: %(text)s")
PAUSED: Final = mark("The rollout is paused")
NO_SERVER: Final = mark("No model server serves this endpoint; start one with `noria up` or `noria serve`")
NOT_FOLLOWING: Final = mark("The model servers do not follow this step yet")
APPROVED: Final = mark("It was approved")
PASSED: Final = mark("Every step passed its gates")
PROMOTED_BY_HAND: Final = mark("Promoted by hand")
ABORTED_BY_HAND: Final = mark("Aborted by hand")
FEW_ANSWERED: Final = mark("%(n)s of %(needed)s requests were answered")
FEW_PREDICTED: Final = mark("%(n)s of %(needed)s requests were predicted along")
LEFT: Final = mark("%(seconds)s s of the step are left")
UNDECIDED: Final = mark("Undecided for %(seconds)s s after its bake time: %(text)s")
BETTER: Final = mark("Version %(version)s is better: %(text)s")
STAYS: Final = mark("Undecided, so version %(version)s stays: %(text)s")
COMPARED: Final = mark("Compared on %(n)s requests: %(text)s")
PASSED_ALL: Final = mark("it passed every gate")
GATES_UNDECIDED: Final = mark("its gates are undecided")
ONE_LACKING: Final = mark(
    "One person of the role %(role)s or above, other than %(name)s, must approve it: `%(command)s`"
)
SOME_LACKING: Final = mark(
    "%(n)s persons of the role %(role)s or above, other than %(name)s, must approve it: `%(command)s`"
)

retelling: Final = Retelling(
    *GATE_FAILED.values(),
    NOT_LOADED,
    UNDECIDED,
    BETTER,
    STAYS,
    COMPARED,
    NO_REQUEST,
    NO_BLOCK,
    FAILED,
    FAILED_ALONE,
    NONE_TO_DIFFER,
    NO_PREDICTION_NEW,
    NO_PREDICTION_OLD,
    DIFFER,
    ALIKE,
    FEW_TIMES_NEW,
    FEW_TIMES_OLD,
    FEW_BLOCKS_NEW,
    FEW_BLOCKS_OLD,
    QUICK,
    QUICK_ALONE,
    SLOWER,
    OVER,
    NONE_TO_BE_WORSE,
    FEW_LABELS,
    UNTOLD,
    LOSS,
    LARGER,
    LABELS,
    PAIRS,
    ROWS_OF,
    BLOCKS_OF_LABELS,
    BLOCKS_OF_PAIRS,
    BLOCKS_OF_ROWS_OF,
    ACCURACY,
    F1,
    AUC,
    MAPE,
    MAE,
    RMSE,
    PAUSED,
    NO_SERVER,
    NOT_FOLLOWING,
    APPROVED,
    PASSED,
    PROMOTED_BY_HAND,
    ABORTED_BY_HAND,
    FEW_ANSWERED,
    FEW_PREDICTED,
    LEFT,
    PASSED_ALL,
    GATES_UNDECIDED,
    ONE_LACKING,
    SOME_LACKING,
)
"""Of what gates say, what a rollout waits for, and why it ended."""
