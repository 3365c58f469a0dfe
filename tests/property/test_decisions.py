"""Rules of the decision that hold for any figures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.catalog.entities import Candidate, Figure
from noria.decisions.choice import choose
from noria.decisions.diagnosis import LIKELIHOOD, posterior
from noria.decisions.entities import (
    LEARNS_FROM_LIVE_ROWS,
    Cause,
    DecisionSection,
    Policy,
    Remedy,
    admissible,
)
from noria.decisions.figures import paired_gain, scores_of
from noria.decisions.stages.finding import LACKS, Finding

pytestmark = pytest.mark.property


@st.composite
def findings(draw: st.DrawFn) -> list[Finding]:
    found = []
    for stage, causes in LIKELIHOOD.items():
        verdicts = [*causes[Cause.NONE], LACKS, None]
        verdict = draw(st.sampled_from(verdicts))
        if verdict is not None:
            found.append(Finding(stage=stage, verdict=verdict, sentence=""))
    return found


@st.composite
def candidates(draw: st.DrawFn) -> list[Candidate]:
    found = []
    for remedy in draw(st.sets(st.sampled_from(Remedy))):
        low, value, high = sorted(draw(st.lists(st.floats(-1e4, 1e4), min_size=3, max_size=3)))
        gain = draw(st.none() | st.just(Figure(value=value, low=low, high=high, n=draw(st.integers(1, 500)))))
        found.append(Candidate(name=remedy.value, gain=gain, admissible=draw(st.booleans())))
    return found


policies = st.dictionaries(st.sampled_from(Remedy), st.sampled_from(Policy))
rights = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


@given(findings())
def test_probabilities_sum_to_1(found: list[Finding]) -> None:
    """Whatever the stages say, each cause has a probability above 0 and together they are 1."""
    causes = posterior(found)

    assert set(causes) == set(Cause)
    assert math.isclose(sum(causes.values()), 1.0, rel_tol=1e-9)
    assert min(causes.values()) > 0


@given(findings())
def test_the_order_of_the_stages_does_not_matter(found: list[Finding]) -> None:
    """Evidence weighs the same whenever it comes."""
    assert posterior(found[::-1]) == pytest.approx(posterior(found))


@given(findings(), candidates(), policies, st.booleans())
def test_nothing_inadmissible_or_forbidden_is_chosen(
    found: list[Finding], tried: list[Candidate], policy: dict[Remedy, Policy], broken: bool
) -> None:
    """A choice is admissible, not forbidden, left to a person where it must be, and never learns from broken rows."""
    causes = posterior(found)
    settings = DecisionSection(policy=policy)
    choice = choose(causes, tried, settings, contract_broken=broken)

    assert choice.remedy in admissible(causes, contract_broken=broken)
    if choice.remedy is Remedy.ASK:
        assert choice.policy is Policy.ASK
    elif choice.remedy is Remedy.FIX_PIPELINE and choice.policy is Policy.AUTOMATIC:
        assert max(causes, key=causes.__getitem__) is Cause.PIPELINE_FAULT
    elif choice.remedy is Remedy.FIX_PIPELINE:
        assert causes[Cause.PIPELINE_FAULT] + causes[Cause.INPUT_CHANGE] > 0.1
    elif choice.remedy is Remedy.REPAIR_INPUTS and choice.policy is Policy.ASK:
        assert causes[Cause.INPUT_FAULT] > 0.1  # told to a person, also where it was not shown to pay
    elif choice.remedy is not Remedy.WAIT:
        (chosen,) = [c for c in tried if c.name == choice.remedy.value]
        assert chosen.admissible
        assert choice.policy is settings.policy_of(choice.remedy)
    if choice.remedy not in (Remedy.WAIT, Remedy.ASK):
        assert settings.policy_of(choice.remedy) is not Policy.FORBID
    assert not (broken and choice.remedy in LEARNS_FROM_LIVE_ROWS)


@given(candidates())
def test_what_is_carried_out_surely_pays(tried: list[Candidate]) -> None:
    """An automatic remedy other than waiting has a lower bound above 0."""
    choice = choose({Cause.CONCEPT_DRIFT: 1.0}, tried, DecisionSection(), contract_broken=False)
    if choice.policy is Policy.AUTOMATIC and choice.remedy is not Remedy.WAIT:
        (chosen,) = [c for c in tried if c.name == choice.remedy.value]
        assert chosen.gain is not None
        assert (chosen.gain.low or 0) > 0


@given(rights, st.randoms(use_true_random=False))
def test_the_order_of_judged_rows_does_not_matter(pairs: list[tuple[bool, bool]], order: object) -> None:
    """Permuting the rows within the judging part changes no estimate."""
    shuffled = [pairs[i] for i in np.random.default_rng(len(pairs)).permutation(len(pairs))]
    first = paired_gain(*_columns(pairs), alpha=0.05)

    assert paired_gain(*_columns(shuffled), alpha=0.05) == first


@given(rights)
def test_a_gain_changes_sign_with_its_sides(pairs: list[tuple[bool, bool]]) -> None:
    """What one model gains the other loses, bounds included."""
    new, old = _columns(pairs)
    forth, back = paired_gain(new, old, alpha=0.05), paired_gain(old, new, alpha=0.05)

    assert forth.estimate == pytest.approx(-back.estimate)
    assert forth.lower == pytest.approx(-back.upper)


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=1), st.floats(1e-6, 1e6))
def test_scores_lie_between_0_and_1(pairs: list[tuple[float, float]], bound: float) -> None:
    """A regression's score falls with its error and stays in range."""
    predicted, actual = _columns(pairs)
    found = scores_of("regression", predicted, actual, bound)

    assert ((found >= 0) & (found <= 1)).all()
    assert (scores_of("regression", actual, actual, bound) == 1).all()


def _columns(pairs: list[tuple[bool, bool]] | list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [float(a) for a, _ in pairs], [float(b) for _, b in pairs]
