"""Sentences of reports and gates, gathered for the catalogues, and the names of families and checks."""

from __future__ import annotations

from typing import Final

from noria.core.web.languages import mark

FAMILIES: Final = {
    "golden": mark("Same answers as at registration"),
    "outputs": mark("Valid answers"),
    "types": mark("Wrong types"),
    "extremes": mark("Extremes"),
    "missing": mark("Missing values"),
    "unseen": mark("Unseen categories"),
    "rows": mark("Order and number of rows"),
    "scale": mark("Changes of scale"),
    "constant": mark("Constant columns"),
    "nudges": mark("Small nudges"),
    "slices": mark("Slices"),
    "speed": mark("Latency"),
    "memory": mark("Memory"),
    "determinism": mark("Determinism"),
    "onnx": mark("Equality of the ONNX form"),
    "own": mark("Own suites"),
}

ANSWERED: Final = mark("%(bad)s of %(n)s rows had no valid answer")
REFUSED: Final = mark("All %(n)s requests were refused at the door, as they should be")
SAME: Final = mark("%(bad)s of %(n)s rows were answered otherwise; the largest difference is %(error)s")
LET_THROUGH: Final = mark("%(bad)s of %(n)s malformed requests were let through by the signature")
TAKEN: Final = mark("The model itself answered %(bad)s of %(n)s malformed requests")
UNIT: Final = mark("A unit a thousand times smaller in `%(column)s` changes %(bad)s of %(n)s answers")
NUDGED: Final = mark("A nudge of %(size)s standard deviations turned %(bad)s of %(n)s answers")
SLICES_EVEN: Final = mark("None of %(n)s slices of the training sample is surely worse than the other rows")
SLICES_EVEN_HELD: Final = mark(
    "None of %(n)s slices of the held-out rows is surely worse than the other rows"
)
SLICE_WORST: Final = mark(
    "The slice `%(slice)s` scores %(score)s on %(n)s training rows, the others %(rest)s"
)
SLICE_WORST_HELD: Final = mark(
    "The slice `%(slice)s` scores %(score)s on %(n)s held-out rows, the others %(rest)s"
)
TIMED: Final = mark("Median %(ms)s ms for %(n)s rows, the slowest of %(calls)s calls %(slowest)s ms")
PEAK: Final = mark("The process took at most %(mb)s MB")
GREW: Final = mark("%(calls)s calls made the process grow by %(mb)s MB")
ONNX_ERROR: Final = mark("The largest relative error on %(n)s rows is %(error)s")
ONNX_FLIPS: Final = mark("%(bad)s of %(n)s labels differ")
NATIVE: Final = mark("The version has no ONNX form, so its own library answers")
NOT_EQUAL: Final = mark("Its own library answers, not its ONNX form: %(reason)s")
NO_NUMBERS: Final = mark("No input holds decimal numbers")
NO_TEXTS: Final = mark("No input holds categories")
NO_GOLDEN: Final = mark("No golden batch is kept with the version")
NO_TARGET: Final = mark("No sample of training rows with their target is kept with the version")
TOO_FEW: Final = mark("There are too few rows to tell slices apart")
LEFT_OUT: Final = mark("Left out by the settings of the project")
RAISED: Final = mark("The model raised %(error)s")
HUNG: Final = mark("The model did not answer within %(seconds)s s; its process was ended")
DIED: Final = mark("The process of the model ended by itself: %(how)s")
ATE: Final = mark("The model took more than %(mb)s MB; its process was ended")
NOT_LOADED: Final = mark("The version could not be loaded: %(error)s")
NOT_REACHED: Final = mark("Not reached: the validation ended before")
OWN_TRUE: Final = mark("It holds")
OWN_FALSE: Final = mark("It does not hold")
OWN_VALUE: Final = mark("It measured %(value)s")
OWN_SAID: Final = mark("%(said)s")
OWN_RAISED: Final = mark("The check itself raised %(error)s")

LACKS_REPORT: Final = mark("It was not validated")
LACKS_COUNTING: Final = mark("It was validated only by somebody who may not move aliases")
LACKS_CHECK: Final = mark("The check `%(check)s` did not pass: %(sentence)s")
LACKS_LIMIT: Final = mark("The check `%(check)s` measured %(value)s; at most %(limit)s passes")
LACKS_MISSING_CHECK: Final = mark("The check `%(check)s` is not in the report")
LACKS_SUITE: Final = mark("The suite `%(suite)s` was not run")
LACKS_APPROVAL: Final = mark("%(has)s of %(wants)s approvals by the role %(role)s were given")
LACKS_PACKAGE: Final = mark("No signed package of it was built")
LACKS_LOCK: Final = mark("It has no package with a complete lock")
