"""What earlier decisions tell the next."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from scipy.stats import beta

from noria.catalog.entities import Candidate, DecisionRecord, Evidence, Figure, RecordKind
from noria.decisions.choice import choose
from noria.decisions.entities import Cause, DecisionSection, Remedy
from noria.decisions.memory import (
    FAILED,
    HELD,
    Outcomes,
    believed,
    credibilities,
    held,
    outcomes_of,
    rejection_of,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)
BETTER = {"result": "promoted", "score_before": 0.8, "score_after": 0.95}
WORSE = {"result": "promoted", "score_before": 0.8, "score_after": 0.7}


def record(
    number: int = 0, *, outcome: dict[str, Any] | None = None, gain: float | None = 500.0, **more: Any
) -> DecisionRecord:
    found = Figure(value=gain, low=gain - 100, high=gain + 100, n=100) if gain is not None else None
    told: dict[str, Any] = {
        "subject": "endpoint:shop",
        "cause": Cause.INPUT_FAULT.value,
        "choice": Remedy.REPAIR_INPUTS.value,
        "evidence": [
            Evidence(stage="contract", verdict="changed", sentence="", figures={"subject": "column a"}),
            Evidence(stage="versions", verdict="lacks", sentence=""),
        ],
        **more,
    }
    return DecisionRecord(
        id=f"{number:032x}",
        project="default",
        kind=RecordKind.REMEDY,
        problem="",
        task=None,
        data_fingerprint={},
        cause_probability={},
        candidates=[Candidate(name=Remedy.REPAIR_INPUTS.value, gain=found)],
        reason="",
        action=None,
        outcome=outcome,
        author="control",
        created_at=NOW,
        closed_at=None if outcome is None else NOW,
        **told,
    )


def retrained(*outcomes: dict[str, Any], cause: Cause = Cause.CONCEPT_DRIFT) -> list[DecisionRecord]:
    return [
        record(number, outcome=outcome, cause=cause.value, choice=Remedy.RETRAIN.value)
        for number, outcome in enumerate(outcomes)
    ]


@pytest.mark.parametrize(("n_held", "n_failed"), [(0, 0), (3, 0), (0, 1), (0, 7), (5, 5)])
def test_credibility_is_the_mean_of_the_posterior_against_that_of_the_prior(
    n_held: int, n_failed: int
) -> None:
    """It agrees with the beta distribution of SciPy, and never exceeds 1."""
    posterior = float(beta(HELD + n_held, FAILED + n_failed).mean())
    prior = float(beta(HELD, FAILED).mean())

    assert Outcomes(n_held=n_held, n_failed=n_failed).credibility == pytest.approx(
        min(1.0, posterior / prior)
    )


def test_outcomes_are_counted_by_cause_and_remedy() -> None:
    """Only measured outcomes of the same cause count; a rollout that was undone is a failure."""
    records = [
        *retrained(BETTER, BETTER, WORSE, {"result": "rolled_back"}, {"result": "promoted"}),
        *retrained(WORSE, WORSE, cause=Cause.COVARIATE_DRIFT),
        record(9, outcome=None, cause=Cause.CONCEPT_DRIFT.value, choice=Remedy.RETRAIN.value),
    ]

    assert held(records[4]) is None
    assert outcomes_of(records, Cause.CONCEPT_DRIFT) == {Remedy.RETRAIN: Outcomes(n_held=2, n_failed=2)}


def test_a_remedy_that_failed_before_gains_less_and_may_lose_its_place() -> None:
    """What failed four times is believed half, and no longer beats what has no history."""
    settings = DecisionSection()
    causes = {Cause.CONCEPT_DRIFT: 1.0}
    gains = {Remedy.RETRAIN: 900.0, Remedy.RECALIBRATE: 600.0}
    candidates = [
        Candidate(name=remedy.value, gain=Figure(value=gain, low=gain - 200, high=gain + 200, n=100))
        for remedy, gain in gains.items()
    ]
    known = credibilities(retrained(WORSE, WORSE, WORSE, WORSE, WORSE), Cause.CONCEPT_DRIFT)
    plain = choose(causes, candidates, settings, contract_broken=False)
    after = choose(causes, believed(candidates, known, settings), settings, contract_broken=False)

    assert known == {"retrain": 0.5}
    assert (plain.remedy, after.remedy) == (Remedy.RETRAIN, Remedy.RECALIBRATE)
    assert believed(candidates, known, settings)[0].gain == Figure(value=400.0, low=300.0, high=500.0, n=100)


REJECTED = {"result": "rejected", "reason": "Rejected by ann"}


def test_a_rejected_proposal_is_the_same_on_the_same_evidence() -> None:
    """It is found whatever its exact gain, as long as the trouble did not grow by a quarter."""
    old = record(1, outcome=REJECTED)

    for gain in (500.0, 450.0, 620.0, None):
        assert rejection_of([old], record(2, gain=gain), Remedy.REPAIR_INPUTS) is old


@pytest.mark.parametrize(
    "changes",
    [
        {"gain": 700.0},
        {"subject": "endpoint:other"},
        {"cause": Cause.PIPELINE_FAULT.value},
        {
            "evidence": [
                Evidence(stage="contract", verdict="changed", sentence="", figures={"subject": "column b"})
            ]
        },
    ],
    ids=["worse", "endpoint", "cause", "column"],
)
def test_new_evidence_asks_again(changes: dict[str, Any]) -> None:
    """Another endpoint, cause or column, or a clearly larger gain, is a new question."""
    assert rejection_of([record(1, outcome=REJECTED)], record(2, **changes), Remedy.REPAIR_INPUTS) is None


def test_only_what_was_rejected_counts() -> None:
    """A proposal that was carried out, another remedy, and the record itself are no rejection."""
    proposal = record(2)

    assert rejection_of([record(1, outcome=BETTER)], proposal, Remedy.REPAIR_INPUTS) is None
    assert rejection_of([record(1, outcome=REJECTED)], proposal, Remedy.FIX_PIPELINE) is None
    assert rejection_of([record(2, outcome=REJECTED)], proposal, Remedy.REPAIR_INPUTS) is None


def test_a_wait_and_what_a_person_does_keep_their_figures() -> None:
    """Only what Noria carries out itself has outcomes to be judged by."""
    settings = DecisionSection()
    first = record().candidates[0]
    candidates = [msgspec.structs.replace(first, name=name) for name in ("ask", "wait")]

    assert believed(candidates, {"ask": 0.1, "wait": 0.1}, settings) == candidates
