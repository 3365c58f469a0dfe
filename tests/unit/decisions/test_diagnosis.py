"""Verdicts become probabilities by one table."""

from __future__ import annotations

import pytest

from noria.decisions.diagnosis import LIKELIHOOD, PRIOR, STAGES, conclude, is_certain, posterior
from noria.decisions.entities import Cause
from noria.decisions.stages.finding import Finding, lacks

CALM = {
    "reality": "yes",
    "events": "no_change",
    "replay": "same",
    "contract": "kept",
    "versions": "none_better",
}


def findings(**verdicts: str) -> list[Finding]:
    return [
        Finding(stage=stage, verdict=verdicts[stage], sentence="", subject=f"subject of {stage}")
        for stage in STAGES
        if stage in verdicts
    ]


def test_the_table_is_a_table_of_probabilities() -> None:
    """Priors sum to 1, and so do the verdicts of each stage under each cause; none is 0."""
    assert sum(PRIOR.values()) == pytest.approx(1)
    for stage in STAGES:
        assert set(LIKELIHOOD[stage]) == set(Cause)
        for verdicts in LIKELIHOOD[stage].values():
            assert sum(verdicts.values()) == pytest.approx(1)
            assert min(verdicts.values()) > 0


def test_it_is_bayes_rule() -> None:
    """Two verdicts give prior times likelihoods, normalised."""
    found = posterior(findings(reality="yes", versions="older_better"))
    by_hand = {
        cause: PRIOR[cause]
        * LIKELIHOOD["reality"][cause]["yes"]
        * LIKELIHOOD["versions"][cause]["older_better"]
        for cause in Cause
    }

    assert found == pytest.approx({cause: value / sum(by_hand.values()) for cause, value in by_hand.items()})


def test_a_stage_that_lacks_data_moves_nothing() -> None:
    """Nothing looked at leaves the prior, and so does nothing seen."""
    assert posterior([lacks(stage, "") for stage in STAGES]) == pytest.approx(dict(PRIOR))


@pytest.mark.parametrize(
    ("verdicts", "cause"),
    [
        ({"reality": "no", "new_class": "no", "shift": "none"}, Cause.NONE),
        ({"contract": "corrupt", "new_class": "no", "shift": "covariate"}, Cause.INPUT_FAULT),
        ({"contract": "changed", "new_class": "no", "shift": "covariate"}, Cause.INPUT_FAULT),
        ({"contract": "changed", "events": "announced", "shift": "covariate"}, Cause.INPUT_CHANGE),
        ({"replay": "features_differ", "events": "change_near"}, Cause.PIPELINE_FAULT),
        ({"versions": "older_better", "events": "change_near", "new_class": "no"}, Cause.MODEL_REGRESSION),
        ({"new_class": "no", "shift": "covariate"}, Cause.COVARIATE_DRIFT),
        ({"new_class": "no", "shift": "label"}, Cause.LABEL_DRIFT),
        ({"new_class": "no", "shift": "concept"}, Cause.CONCEPT_DRIFT),
        ({"new_class": "yes", "shift": "label"}, Cause.NEW_CLASS),
        ({"new_class": "yes", "shift": "covariate"}, Cause.NEW_CLASS),
        ({"replay": "predictions_differ", "contract": "corrupt", "versions": "older_better"}, Cause.UNKNOWN),
    ],
)
def test_each_cause_has_its_picture(verdicts: dict[str, str], cause: Cause) -> None:
    """The picture that a cause gives is read as that cause; one that contradicts itself as none known."""
    found = conclude(findings(**{**CALM, **verdicts}))

    assert found.cause is cause
    assert found.probability >= 0.4


def test_the_subject_is_that_of_the_stage_that_speaks_for_the_cause() -> None:
    """A new class is named by the stage that saw it, not by another."""
    assert conclude(findings(**CALM, new_class="yes")).subject == "subject of new_class"
    assert conclude(findings(**{**CALM, "contract": "corrupt"})).subject == "subject of contract"


def test_no_diagnosis_ends_before_the_contract_was_looked_at() -> None:
    """However certain a cause, live rows are held to their contract: a remedy may want to learn from them."""
    early = findings(reality="yes", events="change_near", replay="features_differ", versions="older_better")
    sure = findings(**CALM, new_class="yes", shift="covariate")

    assert not is_certain(early)
    assert is_certain([*sure, *findings(new_class="yes")])


@pytest.mark.parametrize(
    ("verdict", "broken"), [("kept", False), ("corrupt", True), ("changed", True), ("lacks", False)]
)
def test_a_broken_contract_is_told(verdict: str, broken: bool) -> None:
    """Corrupt and changed columns both forbid learning from live rows."""
    assert conclude([Finding(stage="contract", verdict=verdict, sentence="")]).contract_broken is broken
