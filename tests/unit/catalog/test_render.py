"""A decision record as Markdown."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from noria.catalog.entities import (
    Candidate,
    DecisionRecord,
    Evidence,
    Figure,
    RecordChange,
    RecordKind,
    check_probabilities,
    merged,
)
from noria.catalog.render import figure_text, mentions, to_markdown
from noria.core.errors import Invalid

RECORD = DecisionRecord(
    id="r1",
    project="default",
    kind=RecordKind.REMEDY,
    subject="endpoint:digits",
    problem="Accuracy of `digits` fell from 0.97 to 0.88",
    task="classification",
    data_fingerprint={"rows": 400},
    evidence=[
        Evidence(stage="reality", verdict="yes", sentence="The drop is real (0.06 to 0.12)."),
        Evidence(stage="new_class", verdict="yes", sentence="Answers labelled 0 were never seen."),
    ],
    cause="new_class",
    cause_probability={"new_class": 0.93, "covariate_drift": 0.0699, "none": 0.0001},
    candidates=[
        Candidate(
            name="retrain",
            figures={"accuracy": Figure(value=0.968, low=0.94, high=0.985, n=158)},
            gain=Figure(value=0.085, low=0.05, high=0.12, n=158),
        ),
        Candidate(name="roll_back", admissible=False, note="no older version"),
    ],
    choice="retrain",
    reason="Its gain is surely positive.",
    action={"rollout": "r2"},
    outcome={"accuracy": 0.97},
    author="control",
    created_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
    closed_at=None,
)

STORY = """\
# Accuracy of `digits` fell from 0.97 to 0.88

Remedy for `endpoint:digits`, 2026-01-02 03:04 UTC, by control. Record `r1`.

## Evidence

- **reality**, yes: The drop is real (0.06 to 0.12).
- **new_class**, yes: Answers labelled 0 were never seen.

## Cause: new_class

- new_class: 93.0%
- covariate_drift: 7.0%

## Candidates

| candidate | accuracy | net gain | note |
| --- | --- | --- | --- |
| retrain | 0.968 (0.94 to 0.985, n = 158) | 0.085 (0.05 to 0.12, n = 158) |  |
| roll_back | – | – | not admissible: no older version |

## Choice: retrain

Its gain is surely positive.

## Action

- rollout: r2

## Outcome

- accuracy: 0.97
"""


def test_a_whole_record_is_told() -> None:
    """Problem, evidence, cause, candidates, choice, action and outcome, in this order."""
    assert to_markdown(RECORD) == STORY


def test_what_is_not_there_is_left_out() -> None:
    """A record that was just opened has a title and nothing made up."""
    opened = DecisionRecord(
        id="r",
        project="p",
        kind=RecordKind.SELECTION,
        subject="model:m",
        problem="Which one?",
        task=None,
        data_fingerprint={},
        evidence=[],
        cause=None,
        cause_probability={},
        candidates=[],
        choice=None,
        reason="",
        action=None,
        outcome=None,
        author="ana",
        created_at=RECORD.created_at,
        closed_at=None,
    )

    assert (
        to_markdown(opened)
        == "# Which one?\n\nSelection for `model:m`, 2026-01-02 03:04 UTC, by ana. Record `r`.\n"
    )


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (None, "–"),
        (Figure(value=0.5), "0.5"),
        (Figure(value=0.5, n=3), "0.5 (n = 3)"),
        (Figure(value=0.5, low=0.25), "0.5"),
        (Figure(value=1234567.0, low=0.0, high=float("inf"), n=2), "1.23e+06 (n = 2)"),
    ],
)
def test_figures_show_their_interval_and_rows(figure: Figure | None, text: str) -> None:
    """An interval is shown when it has both ends; an end at infinity is none."""
    assert figure_text(figure) == text


def test_words_are_found_in_the_story() -> None:
    """All of them, in any case; one that is missing makes it another record."""
    assert mentions(RECORD, ["RETRAIN", "older version"])
    assert mentions(RECORD, [])
    assert not mentions(RECORD, ["retrain", "recalibrate"])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_figure_is_a_number(value: float) -> None:
    """What is no number could not be read back, and is refused when it is made."""
    with pytest.raises(Invalid, match="figure"):
        Figure(value=value)


@pytest.mark.parametrize("value", [float("nan"), -0.1, 1.1])
def test_probabilities_lie_between_nought_and_one(value: float) -> None:
    """The cause is named."""
    with pytest.raises(Invalid, match="`new_class`"):
        check_probabilities({"new_class": value})
    check_probabilities({"new_class": 1.0, "none": 0.0})
    check_probabilities(None)


def test_a_change_adds_and_replaces() -> None:
    """Evidence of a new stage is appended, of a known one replaced; what is left out stays."""
    change = RecordChange(
        evidence=[
            Evidence(stage="reality", verdict="no", sentence="It was noise."),
            Evidence(stage="trial", verdict="yes", sentence="Retraining helps."),
        ],
        cause="none",
    )
    changed = merged(RECORD, change)

    assert [(e.stage, e.verdict) for e in changed.evidence] == [
        ("reality", "no"),
        ("new_class", "yes"),
        ("trial", "yes"),
    ]
    assert (changed.cause, changed.choice, changed.candidates) == ("none", "retrain", RECORD.candidates)
