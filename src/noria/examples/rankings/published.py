"""What the study published, wherever it did: each value is of a single draw, as precise as it was printed.

From the two versions of `scores.json`, the plots of DVC and the figures of the B.Sc. thesis in the repository
meridiaz/MLOps-Evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One set of figures.

    Attributes
    ----------
    part
        `scores` for the rows of the last year; `served` for experiments that set test rows aside.
    values
        As they were printed: the last digit says how far they were rounded.
    """

    where: str
    experiment: str
    part: str
    values: dict[str, str]


def _four(precision: str, recall: str, f1: str, accuracy: str) -> dict[str, str]:
    return {"precision": precision, "recall": recall, "f1": f1, "accuracy": accuracy}


def _test(precision: str, recall: str, f1: str, accuracy: str) -> dict[str, str]:
    return {f"test_{key}": value for key, value in _four(precision, recall, f1, accuracy).items()}


PUBLISHED = (
    Published(
        where="DVC, 2021-11-19",
        experiment="cwurData",
        part="scores",
        values={**_four("0.9423076923", "1.0", "0.9702970297", "0.97"), "roc_auc": "0.9943977591"},
    ),
    Published(
        where="DVC, 2021-12-24",
        experiment="cwurData",
        part="scores",
        values={**_four("0.9411764706", "0.9795918367", "0.96", "0.96"), "roc_auc": "0.9911964786"},
    ),
    Published(
        where="figure 5.4",
        experiment="cwurData",
        part="scores",
        values={**_four("0.94118", "0.97959", "0.96", "0.96"), "roc_auc": "0.9952"},
    ),
    Published(
        where="DVC plot",
        experiment="Cmr300",
        part="scores",
        values=_four("0.965278", "0.932886", "0.948805", "0.95"),
    ),
    Published(
        where="DVC plot",
        experiment="Tmr300",
        part="scores",
        values=_four("0.834254", "0.993421", "0.906907", "0.845"),
    ),
    Published(
        where="DVC plot",
        experiment="Snest64",
        part="scores",
        values=_four("0.959184", "0.959184", "0.959184", "0.96"),
    ),
    Published(
        where="DVC plot",
        experiment="Sf3",
        part="scores",
        values=_four("0.959184", "0.959184", "0.959184", "0.96"),
    ),
    Published(
        where="figure 6.4",
        experiment="cwurData",
        part="served",
        values=_four("0.941", "0.98", "0.96", "0.96"),
    ),
    Published(
        where="figure 6.7",
        experiment="cwurData",
        part="served",
        values=_test("0.895", "1", "0.944", "0.956"),
    ),
    Published(
        where="figure 6.7",
        experiment="Snest64",
        part="served",
        values=_test("0.986", "0.959", "0.973", "0.974"),
    ),
    Published(
        where="figure 6.7",
        experiment="timesData",
        part="served",
        values=_test("1", "0.941", "0.97", "0.974"),
    ),
)
