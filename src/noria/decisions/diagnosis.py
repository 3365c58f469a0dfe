"""From the stages' verdicts to a probability for each cause.

The prior and one table of likelihoods are all that is weighed: `LIKELIHOOD[stage][cause]` gives the probability of
each verdict of a stage if the cause were true and the stage had data enough. Verdicts of different stages are taken as
independent given the cause (naive Bayes), so the posterior is the softmax of the log prior plus the log likelihoods.
A stage that lacks data moves nothing. The figures are judgements about how often each stage says what under each
cause, written down before any episode was scored; `unknown` expects every verdict about equally, so it gains when no
cause explains what was seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import msgspec

from noria.catalog.entities import Evidence
from noria.decisions.entities import Cause
from noria.decisions.stages.finding import LACKS, Finding

PRIOR: Mapping[Cause, float] = {
    Cause.NONE: 0.17,
    Cause.INPUT_FAULT: 0.13,
    Cause.INPUT_CHANGE: 0.07,
    Cause.PIPELINE_FAULT: 0.12,
    Cause.MODEL_REGRESSION: 0.1,
    Cause.COVARIATE_DRIFT: 0.13,
    Cause.LABEL_DRIFT: 0.07,
    Cause.CONCEPT_DRIFT: 0.1,
    Cause.NEW_CLASS: 0.06,
    Cause.UNKNOWN: 0.05,
}
"""How often each cause is behind an alert before anything was looked at."""

_C = Cause


def _rows(
    verdicts: tuple[str, ...], rows: Mapping[Cause, tuple[float, ...]]
) -> dict[Cause, dict[str, float]]:
    return {cause: dict(zip(verdicts, rows[cause], strict=True)) for cause in Cause}


LIKELIHOOD: Mapping[str, Mapping[Cause, Mapping[str, float]]] = {
    "reality": _rows(
        ("yes", "unclear", "no"),
        {
            _C.NONE: (0.02, 0.38, 0.6),
            # The model may lean little on what broke.
            _C.INPUT_FAULT: (0.7, 0.2, 0.1),
            _C.INPUT_CHANGE: (0.7, 0.2, 0.1),
            _C.PIPELINE_FAULT: (0.7, 0.2, 0.1),
            _C.MODEL_REGRESSION: (0.8, 0.18, 0.02),
            # Rows that became frequent may be easy ones.
            _C.COVARIATE_DRIFT: (0.5, 0.25, 0.25),
            _C.LABEL_DRIFT: (0.5, 0.25, 0.25),
            _C.CONCEPT_DRIFT: (0.8, 0.18, 0.02),
            # A rare class costs little beside what rows lose by chance.
            _C.NEW_CLASS: (0.7, 0.2, 0.1),
            _C.UNKNOWN: (0.6, 0.3, 0.1),
        },
    ),
    # Innocent deployments lie near many an onset, so a deployment says little and its absence more.
    "events": _rows(
        ("change_near", "no_change", "announced"),
        {
            _C.NONE: (0.3, 0.68, 0.02),
            _C.INPUT_FAULT: (0.3, 0.68, 0.02),
            _C.INPUT_CHANGE: (0.1, 0.3, 0.6),
            _C.PIPELINE_FAULT: (0.75, 0.23, 0.02),
            _C.MODEL_REGRESSION: (0.9, 0.08, 0.02),
            _C.COVARIATE_DRIFT: (0.3, 0.65, 0.05),
            _C.LABEL_DRIFT: (0.3, 0.68, 0.02),
            _C.CONCEPT_DRIFT: (0.3, 0.68, 0.02),
            _C.NEW_CLASS: (0.3, 0.68, 0.02),
            _C.UNKNOWN: (0.5, 0.45, 0.05),
        },
    ),
    "replay": _rows(
        ("same", "features_differ", "predictions_differ"),
        {
            _C.NONE: (0.994, 0.003, 0.003),
            _C.INPUT_FAULT: (0.994, 0.003, 0.003),
            _C.INPUT_CHANGE: (0.97, 0.02, 0.01),
            _C.PIPELINE_FAULT: (0.25, 0.7, 0.05),
            # A newly registered version replays its own golden batch; one that was altered does not.
            _C.MODEL_REGRESSION: (0.8, 0.01, 0.19),
            _C.COVARIATE_DRIFT: (0.994, 0.003, 0.003),
            _C.LABEL_DRIFT: (0.994, 0.003, 0.003),
            _C.CONCEPT_DRIFT: (0.994, 0.003, 0.003),
            _C.NEW_CLASS: (0.994, 0.003, 0.003),
            _C.UNKNOWN: (0.8, 0.1, 0.1),
        },
    ),
    "contract": _rows(
        ("kept", "corrupt", "changed"),
        {
            _C.NONE: (0.985, 0.005, 0.01),
            _C.INPUT_FAULT: (0.1, 0.6, 0.3),
            _C.INPUT_CHANGE: (0.2, 0.15, 0.65),
            _C.PIPELINE_FAULT: (0.6, 0.2, 0.2),
            _C.MODEL_REGRESSION: (0.985, 0.005, 0.01),
            _C.COVARIATE_DRIFT: (0.97, 0.01, 0.02),
            _C.LABEL_DRIFT: (0.98, 0.005, 0.015),
            _C.CONCEPT_DRIFT: (0.98, 0.005, 0.015),
            _C.NEW_CLASS: (0.96, 0.01, 0.03),
            _C.UNKNOWN: (0.6, 0.2, 0.2),
        },
    ),
    "versions": _rows(
        # Held-out training rows are beyond the reach of what happened to live ones.
        ("none_better", "older_better", "worse_from_start"),
        {
            _C.NONE: (0.977, 0.02, 0.003),
            _C.INPUT_FAULT: (0.897, 0.1, 0.003),
            _C.INPUT_CHANGE: (0.897, 0.1, 0.003),
            _C.PIPELINE_FAULT: (0.847, 0.15, 0.003),
            _C.MODEL_REGRESSION: (0.1, 0.3, 0.6),
            _C.COVARIATE_DRIFT: (0.897, 0.1, 0.003),
            _C.LABEL_DRIFT: (0.897, 0.1, 0.003),
            _C.CONCEPT_DRIFT: (0.847, 0.15, 0.003),
            _C.NEW_CLASS: (0.947, 0.05, 0.003),
            _C.UNKNOWN: (0.6, 0.39, 0.01),
        },
    ),
    "new_class": _rows(
        ("no", "unclear", "part", "yes"),
        {
            # Labels that training never had are there or not; a few may be slips.
            _C.NONE: (0.95, 0.0485, 0.001, 0.0005),
            _C.INPUT_FAULT: (0.95, 0.04, 0.008, 0.002),
            _C.INPUT_CHANGE: (0.95, 0.04, 0.008, 0.002),
            _C.PIPELINE_FAULT: (0.95, 0.04, 0.008, 0.002),
            _C.MODEL_REGRESSION: (0.94, 0.04, 0.01, 0.01),
            _C.COVARIATE_DRIFT: (0.93, 0.05, 0.015, 0.005),
            _C.LABEL_DRIFT: (0.93, 0.05, 0.015, 0.005),
            _C.CONCEPT_DRIFT: (0.93, 0.05, 0.015, 0.005),
            _C.NEW_CLASS: (0.01, 0.09, 0.2, 0.7),
            _C.UNKNOWN: (0.85, 0.1, 0.03, 0.02),
        },
    ),
    "shift": _rows(
        ("none", "covariate", "label", "concept"),
        {
            _C.NONE: (0.92, 0.05, 0.02, 0.01),
            _C.INPUT_FAULT: (0.15, 0.55, 0.05, 0.25),
            _C.INPUT_CHANGE: (0.15, 0.55, 0.05, 0.25),
            _C.PIPELINE_FAULT: (0.45, 0.15, 0.05, 0.35),
            _C.MODEL_REGRESSION: (0.4, 0.05, 0.05, 0.5),
            _C.COVARIATE_DRIFT: (0.1, 0.75, 0.05, 0.1),
            _C.LABEL_DRIFT: (0.1, 0.15, 0.7, 0.05),
            _C.CONCEPT_DRIFT: (0.15, 0.1, 0.05, 0.7),
            # A class among many moves the rest little.
            _C.NEW_CLASS: (0.3, 0.3, 0.25, 0.15),
            _C.UNKNOWN: (0.3, 0.25, 0.2, 0.25),
        },
    ),
}
"""Stage → cause → verdict → probability of the verdict; sums to 1 over the verdicts."""

STAGES = tuple(LIKELIHOOD)
"""In the order in which they are looked at."""

CERTAIN = 0.99
"""A cause this probable ends the diagnosis; but never before the contract was looked at."""

BROKEN = ("corrupt", "changed")
"""Verdicts of the contract after which nothing may learn from live rows."""


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """What is behind an incident.

    Attributes
    ----------
    causes
        Probability by cause; sums to 1.
    cause
        The most probable one.
    subject
        Column, version, feature or class concerned.
    contract_broken
        Whether live rows break the contract of the training data.
    lacks_labels
        Whether labels would tell more: without them neither causes nor remedies can be judged.
    """

    causes: dict[Cause, float]
    cause: Cause
    subject: str | None
    evidence: list[Evidence]
    contract_broken: bool
    lacks_labels: bool = False

    @property
    def probability(self) -> float:
        """Probability of the most probable cause."""
        return self.causes[self.cause]


_SPEAKS: Mapping[Cause, tuple[str, ...]] = {
    Cause.INPUT_FAULT: ("contract",),
    Cause.INPUT_CHANGE: ("contract",),
    Cause.PIPELINE_FAULT: ("replay", "contract", "events"),
    Cause.MODEL_REGRESSION: ("versions", "events"),
    Cause.NEW_CLASS: ("new_class",),
}


def posterior(findings: Iterable[Finding]) -> dict[Cause, float]:
    """Weigh verdicts.

    Examples
    --------
    >>> causes = posterior([Finding(stage="versions", verdict="older_better", sentence="")])
    >>> max(causes, key=causes.__getitem__).value, round(sum(causes.values()), 9)
    ('model_regression', 1.0)
    """
    logs = {cause: math.log(share) for cause, share in PRIOR.items()}
    for finding in findings:
        if finding.verdict != LACKS:
            for cause, verdicts in LIKELIHOOD[finding.stage].items():
                logs[cause] += math.log(verdicts[finding.verdict])
    highest = max(logs.values())
    weights = {cause: math.exp(value - highest) for cause, value in logs.items()}
    total = sum(weights.values())
    return {cause: weight / total for cause, weight in weights.items()}


def conclude(findings: list[Finding], *, lacks_labels: bool = False) -> Diagnosis:
    """Make a diagnosis of what the stages found."""
    causes = posterior(findings)
    cause = max(causes, key=causes.__getitem__)
    by_stage = {finding.stage: finding for finding in findings}
    subjects = [by_stage[stage].subject for stage in _SPEAKS.get(cause, ()) if stage in by_stage]
    return Diagnosis(
        causes=causes,
        cause=cause,
        subject=next((subject for subject in subjects if subject), None),
        evidence=[finding.evidence for finding in findings],
        contract_broken="contract" in by_stage and by_stage["contract"].verdict in BROKEN,
        lacks_labels=lacks_labels,
    )


def is_certain(findings: list[Finding]) -> bool:
    """Tell whether later stages need not be looked at."""
    looked_at = {finding.stage for finding in findings}
    return "contract" in looked_at and max(posterior(findings).values()) >= CERTAIN
