"""What is chosen for which figures."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from noria.catalog.entities import Candidate, Figure
from noria.core.config import load_settings
from noria.core.errors import ConfigInvalid
from noria.decisions.choice import choose, labels_needed, net_gain, within_allowance
from noria.decisions.entities import (
    ADMISSIBLE,
    DEFAULT_COST,
    DEFAULT_POLICY,
    LEARNS_FROM_LIVE_ROWS,
    MOVES,
    Cause,
    DecisionSection,
    DecisionStatus,
    Policy,
    Remedy,
    admissible,
)

NEW_CLASS = {Cause.NEW_CLASS: 0.95, Cause.UNKNOWN: 0.05}
SETTINGS = DecisionSection()


def candidate(remedy: Remedy, value: float, low: float, high: float, **more: Any) -> Candidate:
    return Candidate(name=remedy.value, gain=Figure(value=value, low=low, high=high, n=60), **more)


WAIT = candidate(Remedy.WAIT, 0, 0, 0)


def test_every_cause_and_remedy_is_in_the_tables() -> None:
    """No cause without remedies, no remedy without policy and cost, no status without moves."""
    assert set(ADMISSIBLE) == set(Cause)
    assert set(DEFAULT_POLICY) == set(DEFAULT_COST) == set(Remedy)
    assert set(MOVES) == set(DecisionStatus)
    assert all(Remedy.WAIT in remedies for remedies in ADMISSIBLE.values())


@pytest.mark.parametrize("cause", [Cause.INPUT_FAULT, Cause.INPUT_CHANGE, Cause.PIPELINE_FAULT, Cause.NONE])
def test_nothing_learns_from_broken_inputs(cause: Cause) -> None:
    """No cause that spoils the inputs admits a remedy that learns from them."""
    assert not ADMISSIBLE[cause] & LEARNS_FROM_LIVE_ROWS


def test_a_broken_contract_forbids_learning_whatever_the_cause() -> None:
    """Even if a new class is nearly certain."""
    assert Remedy.RETRAIN in admissible(NEW_CLASS, contract_broken=False)
    assert Remedy.RETRAIN not in admissible(NEW_CLASS, contract_broken=True)


def test_improbable_causes_add_no_remedies() -> None:
    """A cause of 5 % does not open its remedies."""
    causes = {Cause.NONE: 0.95, Cause.CONCEPT_DRIFT: 0.05}

    assert admissible(causes, contract_broken=False) == {Remedy.WAIT, Remedy.ASK}


def test_the_best_remedy_that_surely_pays_is_taken() -> None:
    """A higher expected gain whose interval holds 0 loses to a smaller sure one."""
    found = choose(
        NEW_CLASS,
        [WAIT, candidate(Remedy.ROLL_BACK_MODEL, 300, 100, 500), candidate(Remedy.RETRAIN, 900, -50, 2000)],
        SETTINGS,
        contract_broken=False,
    )

    assert (found.remedy, found.policy) == (Remedy.ROLL_BACK_MODEL, Policy.AUTOMATIC)


def test_a_gain_that_is_not_sure_asks_for_labels() -> None:
    """The number of labels is what shrinks the interval off 0, over the share that judges."""
    found = choose(
        NEW_CLASS, [WAIT, candidate(Remedy.RETRAIN, 100, -100, 300)], SETTINGS, contract_broken=False
    )

    assert (found.remedy, found.n_labels) == (Remedy.ASK, 360)


def test_a_gain_too_small_to_ever_tell_waits() -> None:
    """More than two thousand labels are not asked for."""
    found = choose(
        NEW_CLASS, [WAIT, candidate(Remedy.RETRAIN, 1, -100, 100)], SETTINGS, contract_broken=False
    )

    assert found.remedy is Remedy.WAIT


def test_nothing_that_pays_waits() -> None:
    """An expected loss is not worth a label."""
    found = choose(
        NEW_CLASS, [WAIT, candidate(Remedy.RETRAIN, -5, -100, 90)], SETTINGS, contract_broken=False
    )

    assert (found.remedy, found.n_labels) == (Remedy.WAIT, 0)


@pytest.mark.parametrize(
    ("cause", "remedy"),
    [(Cause.INPUT_FAULT, Remedy.REPAIR_INPUTS), (Cause.PIPELINE_FAULT, Remedy.FIX_PIPELINE)],
)
def test_what_a_person_has_to_mend_is_proposed(cause: Cause, remedy: Remedy) -> None:
    """Nothing was tried, and still it is known what to do."""
    found = choose({cause: 1.0}, [WAIT], SETTINGS, contract_broken=True)

    assert (found.remedy, found.policy) == (remedy, Policy.ASK)


def test_policies_decide_what_happens_by_itself() -> None:
    """`ask` proposes the same remedy; `forbid` passes it over."""
    candidates = [WAIT, candidate(Remedy.RETRAIN, 900, 500, 2000)]
    asks = DecisionSection(policy={Remedy.RETRAIN: Policy.ASK})
    forbids = DecisionSection(policy={Remedy.RETRAIN: Policy.FORBID})

    asked = choose(NEW_CLASS, candidates, asks, contract_broken=False)
    assert (asked.remedy, asked.policy) == (Remedy.RETRAIN, Policy.ASK)
    assert choose(NEW_CLASS, candidates, forbids, contract_broken=False).remedy is Remedy.WAIT


def test_what_was_done_often_enough_within_a_day_is_proposed() -> None:
    """A loop that changes and changes back would else go on without anybody seeing it."""
    found = choose(
        NEW_CLASS, [WAIT, candidate(Remedy.RETRAIN, 900, 500, 1300)], SETTINGS, contract_broken=False
    )
    most = SETTINGS.automatic_per_day

    assert within_allowance(found, most - 1, SETTINGS) == found
    asked = within_allowance(found, most, SETTINGS)
    assert (asked.remedy, asked.policy) == (found.remedy, Policy.ASK)
    assert f"`automatic_per_day` allows {most}" in asked.reason
    assert within_allowance(asked, most, SETTINGS) == asked


def test_costs_are_taken_off_once() -> None:
    """2 % over 10,000 rows are 200 answers; a retraining costs 100 of them."""
    found = net_gain(Figure(value=0.02, low=0.0, high=0.04, n=60), Remedy.RETRAIN, SETTINGS)

    assert (found.value, found.low, found.high) == (100.0, -100.0, 300.0)


def test_the_needed_labels_shrink_the_interval_to_0() -> None:
    """With four times the rows the half-width halves."""
    assert labels_needed(Figure(value=100.0, low=-100.0, high=300.0, n=50)) == 150
    assert labels_needed(Figure(value=-1.0, low=-2.0, high=0.0, n=50)) == 0


def test_a_misspelt_remedy_in_the_project_file_is_an_error(tmp_path: Any) -> None:
    """`[decisions.policy]` names remedies and policies that exist."""
    (tmp_path / "noria.toml").write_text('[decisions.policy]\nretrian = "ask"\n')
    with pytest.raises(ConfigInvalid, match="decisions"):
        load_settings(folder=tmp_path, environ={})


def test_the_project_file_sets_policies_and_costs(tmp_path: Any) -> None:
    """What is named there wins; what is not keeps its default."""
    (tmp_path / "noria.toml").write_text(
        '[decisions]\nmin_labels = 12\n[decisions.policy]\nretrain = "ask"\n[decisions.cost]\nretrain = 7\n'
    )
    found = load_settings(folder=tmp_path, environ={}).section("decisions", DecisionSection)

    assert (found.min_labels, found.policy_of(Remedy.RETRAIN), found.cost_of(Remedy.RETRAIN)) == (
        12,
        Policy.ASK,
        7.0,
    )
    assert found.policy_of(Remedy.WAIT) is Policy.AUTOMATIC
    assert msgspec.convert(msgspec.to_builtins(found), DecisionSection) == found


@pytest.mark.parametrize(
    ("causes", "low", "expected"),
    [
        (
            {Cause.INPUT_FAULT: 0.45, Cause.PIPELINE_FAULT: 0.3, Cause.UNKNOWN: 0.25},
            500,
            (Remedy.REPAIR_INPUTS, Policy.AUTOMATIC),
        ),
        ({Cause.INPUT_FAULT: 0.9, Cause.UNKNOWN: 0.1}, -500, (Remedy.REPAIR_INPUTS, Policy.ASK)),
        ({Cause.INPUT_FAULT: 0.4, Cause.PIPELINE_FAULT: 0.6}, 500, (Remedy.FIX_PIPELINE, Policy.ASK)),
        ({Cause.INPUT_FAULT: 0.3, Cause.INPUT_CHANGE: 0.7}, 500, (Remedy.FIX_PIPELINE, Policy.ASK)),
        ({Cause.INPUT_FAULT: 0.3, Cause.COVARIATE_DRIFT: 0.7}, 500, (Remedy.WAIT, Policy.AUTOMATIC)),
    ],
)
def test_inputs_are_put_right_only_where_a_fault_is_likeliest(
    causes: dict[Cause, float], low: float, expected: tuple[Remedy, Policy]
) -> None:
    """And by itself only where that surely pays; a change by design and broken code are a person's."""
    settings = DecisionSection(policy={Remedy.REPAIR_INPUTS: Policy.AUTOMATIC})
    tried = [WAIT, candidate(Remedy.REPAIR_INPUTS, 900, low, 1300, note="`a` is divided by 7")]
    choice = choose(causes, tried, settings, contract_broken=True)

    assert (choice.remedy, choice.policy) == expected
