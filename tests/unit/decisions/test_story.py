"""The story of a decision, made from its record."""

from __future__ import annotations

import ast
import pkgutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.catalog.entities import Candidate, DecisionRecord, Figure, RecordKind
from noria.decisions import stages
from noria.decisions.diagnosis import LIKELIHOOD
from noria.decisions.entities import Cause, DecisionStatus, Remedy
from noria.decisions.story import before_after, compare, facts_of, tell, verdict_state
from noria.decisions.words import (
    CALM_VERDICTS,
    CAUSE_WORDS,
    FACT_WORDS,
    OPEN_VERDICTS,
    REMEDY_WORDS,
    STAGE_WORDS,
    STATUS_WORDS,
    VERDICT_WORDS,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def a_record(**changes: Any) -> DecisionRecord:
    fields: dict[str, Any] = {
        "id": "0" * 32,
        "project": "default",
        "kind": RecordKind.REMEDY,
        "subject": "endpoint:digits",
        "problem": "It got worse",
        "task": None,
        "data_fingerprint": {},
        "evidence": [],
        "cause": None,
        "cause_probability": {},
        "candidates": [],
        "choice": None,
        "reason": "",
        "action": None,
        "outcome": None,
        "author": "local",
        "created_at": NOW,
        "closed_at": None,
    }
    return DecisionRecord(**{**fields, **changes})


def test_everything_that_is_decided_has_words() -> None:
    """Each cause, remedy, status, stage and verdict has words for its readers."""
    verdicts = {v for causes in LIKELIHOOD.values() for row in causes.values() for v in row}

    assert set(CAUSE_WORDS) == set(Cause)
    assert set(REMEDY_WORDS) == set(Remedy)
    assert set(STATUS_WORDS) == set(DecisionStatus)
    assert set(STAGE_WORDS) == set(LIKELIHOOD)
    assert set(VERDICT_WORDS) == verdicts | {"lacks"}
    assert verdicts >= CALM_VERDICTS
    assert not CALM_VERDICTS & OPEN_VERDICTS


def test_every_figure_of_a_stage_has_words() -> None:
    """No reader of the evidence meets the name of a field."""
    found = {
        key.value
        for module in pkgutil.iter_modules(stages.__path__)
        for node in ast.walk(ast.parse(Path(stages.__path__[0], f"{module.name}.py").read_text()))
        for shown in _figures_of(node)
        for key in shown.keys
        if isinstance(key, ast.Constant)
    }

    assert {"n_far", "auc", "mean"} <= found
    assert {str(name) for name in found} - set(FACT_WORDS) == set()


def _figures_of(node: ast.AST) -> list[ast.Dict]:
    """Give the figures that a call passes on, or that a function of figures returns."""
    if isinstance(node, ast.keyword) and node.arg == "figures":
        return [node.value] if isinstance(node.value, ast.Dict) else []
    if isinstance(node, ast.FunctionDef) and node.name.endswith("_figures"):
        returned = [each.value for each in ast.walk(node) if isinstance(each, ast.Return)]
        return [each for each in returned if isinstance(each, ast.Dict)]
    return []


def test_an_open_record_is_live_and_a_closed_one_is_not() -> None:
    """Only what may still change is looked at again."""
    assert tell(a_record(), None, [], NOW).live
    assert not tell(a_record(closed_at=NOW), None, [], NOW).live


def test_causes_are_told_with_the_most_probable_first() -> None:
    """What is as good as impossible is left out, as in the record's Markdown."""
    told = tell(
        a_record(
            cause="new_class",
            cause_probability={"unknown": 0.0005, "concept_drift": 0.1, "new_class": 0.8995},
        ),
        None,
        [],
        NOW,
    )

    assert [(row.words, row.is_named) for row in told.causes] == [
        (CAUSE_WORDS["new_class"], True),
        (CAUSE_WORDS["concept_drift"], False),
    ]


@pytest.mark.parametrize(
    ("verdict", "state"), [("yes", "look"), ("no", "none"), ("lacks", "busy"), ("of its own", "look")]
)
def test_verdicts_stand_out_when_they_found_something(verdict: str, state: str) -> None:
    """What speaks against trouble is calm, what tells nothing is open, and all else stands out."""
    assert verdict_state(verdict) == state


gains = st.builds(
    lambda value, down, up: Figure(value=value, low=value - down, high=value + up, n=10),
    st.floats(-1e6, 1e6),
    st.floats(0, 1e5),
    st.floats(0, 1e5),
)


@given(st.lists(st.none() | gains, min_size=1, max_size=6))
def test_gains_lie_on_one_scale_with_zero(found: list[Figure | None]) -> None:
    """Drawn intervals keep the order of their ends, and a gain that is surely positive lies right of zero."""
    compared = compare([Candidate(name=str(i), gain=gain) for i, gain in enumerate(found)], "0")

    assert compared is not None
    assert 0 <= compared.zero <= 100
    for row, gain in zip(compared.rows, found, strict=True):
        place = row.gain.place
        assert (place is None) == (gain is None)
        if place is not None and gain is not None:
            assert 0 <= place.low <= place.value <= place.high <= 100
            assert (gain.low or 0) < 0 or place.low >= compared.zero


def test_the_comparison_is_bounded() -> None:
    """A record of many candidates and figures shows the first ones, and says how many are left out."""
    figures = {f"f{i}": Figure(value=1.0) for i in range(20)}
    compared = compare([Candidate(name=str(i), figures=figures) for i in range(80)], None)

    assert compared is not None
    assert (len(compared.rows), compared.n_left_out, len(compared.columns)) == (50, 30, 4)
    assert compare([], None) is None


def test_the_outcome_s_scores_are_paired() -> None:
    """Scores before and after are drawn on one scale; where one is missing, or is no number, there is no drawing."""
    outcome = {
        "score_before": 0.8,
        "score_after": 0.9,
        "score_after_low": 0.85,
        "score_after_high": 0.95,
        "n_after": 60,
    }
    both = before_after(outcome)

    assert both is not None
    assert both.after.figure == Figure(value=0.9, low=0.85, high=0.95, n=60)
    assert both.before.place is not None
    assert both.after.place is not None
    assert both.before.place.value < both.after.place.low
    assert before_after({"score_before": 0.8}) is None
    assert before_after({"score_before": "much", "score_after": 0.9}) is None


def test_facts_of_ours_have_words() -> None:
    """Names that Noria gives are told in words, all else as it is, and endless objects are cut."""
    known, foreign = facts_of({"remedy": "retrain", "my_number": 3})

    assert (known.name, known.words) == ("remedy", REMEDY_WORDS["retrain"])
    assert (foreign.name, foreign.value, foreign.words) == ("my number", 3, None)
    assert len(facts_of({str(i): i for i in range(100)})) == 24
    assert facts_of(None) == ()
