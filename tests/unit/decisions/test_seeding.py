"""Which kinds of models are tried first, by what the catalogue's records say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from noria.catalog.entities import Candidate, DecisionRecord, RecordKind
from noria.decisions.seeding import kind_of, kinds_first

KINDS = ["boosting", "forest", "linear", "network", "neighbours"]
HERE = {"n_columns": 12, "n_numeric": 12, "n_reference": 900, "n_classes": 2}


def record(
    ways: dict[str, float] | None = None,
    *,
    subject: str = "endpoint:other",
    task: str | None = "classification",
    fingerprint: dict[str, Any] | None = None,
    named: dict[str, str | None] | None = None,
) -> DecisionRecord:
    candidates = [Candidate(name="new_model", ways=ways)] if ways else []
    candidates += [Candidate(name=name) for name in named or {}]
    return DecisionRecord(
        id="r",
        project="default",
        kind=RecordKind.REMEDY,
        subject=subject,
        problem="",
        task=task,
        data_fingerprint=HERE if fingerprint is None else fingerprint,
        evidence=[],
        cause=None,
        cause_probability={},
        candidates=candidates,
        choice=next((name for name, chosen in (named or {}).items() if chosen), None),
        reason="",
        action=None,
        outcome=None,
        author="eva",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        closed_at=None,
    )


def first(*records: DecisionRecord) -> tuple[list[str], int]:
    return kinds_first(KINDS, records, model="prices", task="classification", fingerprint=HERE)


def test_without_records_the_order_is_the_usual_one() -> None:
    """Nothing is known, so nothing moves."""
    assert first() == (KINDS, 0)


def test_what_won_comes_first_and_what_lost_behind_the_untried() -> None:
    """(1 + won) / (3 + tried): 2/4 of the winner, 1/3 of what was never tried, 1/4 of what lost."""
    order, n_records = first(record({"boosting": 0.81, "forest": 0.80, "linear": 0.90}))

    assert order == ["linear", "network", "neighbours", "boosting", "forest"]
    assert n_records == 1


@pytest.mark.parametrize(
    "other",
    [
        record({"linear": 0.9, "boosting": 0.1}, task="regression"),
        record({"linear": 0.9, "boosting": 0.1}, task=None),
        record({"linear": 0.9, "boosting": 0.1}, fingerprint={}),
        record({"linear": 0.9}),
        record({"ours": 0.9, "theirs": 0.1}),
        record(named={"champion": "yes", "challenger": None}, subject="model:prices"),
    ],
)
def test_what_says_nothing_about_it_counts_nothing(other: DecisionRecord) -> None:
    """Another task, data that nobody described, a kind alone, or names that tell no kind."""
    assert first(other) == (KINDS, 0)


def test_the_more_alike_problem_decides() -> None:
    """A problem of a hundredth of the rows says less than one like this, whichever came first."""
    near = record({"forest": 0.9, "boosting": 0.8})
    far = record({"boosting": 0.9, "forest": 0.8}, fingerprint={**HERE, "n_reference": 9})

    assert first(near, far)[0][0] == first(far, near)[0][0] == "forest"


def test_a_selection_for_the_same_model_speaks_by_the_names_of_its_candidates() -> None:
    """A person chose a multilayer perceptron for this model, of three; for another model it says nothing."""
    named = {"logistic regression": None, "MLP 64": "yes", "Extra Trees": None}
    order, n_records = first(record(named=named, subject="model:prices", fingerprint={}))

    assert (order[0], n_records) == ("network", 1)
    assert order[-2:] == ["forest", "linear"]
    assert first(record(named=named, subject="model:shops", fingerprint={})) == (KINDS, 0)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("XGBClassifier", "boosting"),
        ("HistGradientBoosting", "boosting"),
        ("random_forest", "forest"),
        ("Ridge(alpha=1)", "linear"),
        ("knn-5", "neighbours"),
        ("support vectors", None),
    ],
)
def test_kinds_are_told_by_words(name: str, kind: str | None) -> None:
    """The usual names of estimators and of people for them."""
    assert kind_of(name) == kind
