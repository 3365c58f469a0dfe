"""The decision record and its parts."""

from __future__ import annotations

import enum
import math
from datetime import datetime
from typing import Any

import msgspec

from noria.core.errors import Invalid


class RecordKind(enum.StrEnum):
    """What was decided: which model to register, or what to do about one that got worse."""

    SELECTION = "selection"
    REMEDY = "remedy"


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A measured value with its interval.

    Attributes
    ----------
    low, high
        Ends of the interval at `level`; None when there is none, or it does not end.
    n
        Rows it was measured on.
    """

    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None
    level: float = 0.95

    def __post_init__(self) -> None:
        """Refuse a value that is no number: a record of it could not be read again."""
        if not math.isfinite(self.value):
            raise Invalid(f"A figure is {self.value}", hint="Leave out what could not be measured")
        for end in ("low", "high"):
            bound = getattr(self, end)
            if bound is not None and not math.isfinite(bound):
                msgspec.structs.force_setattr(self, end, None)


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What one stage of a diagnosis found.

    Attributes
    ----------
    stage
        Name of the stage: `reality`, `replay`, `new_class`.
    verdict
        One word: `yes`, `no`, `unclear`, or what the stage calls its findings.
    sentence
        The finding, with its figures, for a person.
    figures
        The same for programs; JSON values.
    """

    stage: str
    verdict: str
    sentence: str
    figures: dict[str, Any] = {}


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """Something that could have been chosen.

    Attributes
    ----------
    gain
        Against doing nothing, net of cost.
    admissible
        False when a rule forbade it, whatever its figures; `note` says which.
    ways
        Mean score of each way to do it of which the best was taken; on the rows that chose, so the best's is too high.
    """

    name: str
    figures: dict[str, Figure] = {}
    ways: dict[str, float] = {}
    gain: Figure | None = None
    admissible: bool = True
    note: str = ""


class NewRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A record to open; a selection is usually complete at once.

    Attributes
    ----------
    key
        Asking again with the same key gives the record that exists already.
    closed
        True for a record that is final as it is.
    """

    kind: RecordKind
    subject: str
    problem: str
    task: str | None = None
    data_fingerprint: dict[str, Any] = {}
    evidence: list[Evidence] = []
    cause: str | None = None
    cause_probability: dict[str, float] = {}
    candidates: list[Candidate] = []
    choice: str | None = None
    reason: str = ""
    action: dict[str, Any] | None = None
    outcome: dict[str, Any] | None = None
    key: str | None = None
    closed: bool = False


class RecordChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to add to an open record; what is left out stays as it is.

    Attributes
    ----------
    task, data_fingerprint
        Of the model and data that it turned out to be about.
    evidence
        Appended; a stage that is there already is replaced, since a stage may be repeated on newer labels.
    """

    task: str | None = None
    data_fingerprint: dict[str, Any] | None = None
    evidence: list[Evidence] = []
    cause: str | None = None
    cause_probability: dict[str, float] | None = None
    candidates: list[Candidate] | None = None
    choice: str | None = None
    reason: str | None = None
    action: dict[str, Any] | None = None


class RecordOutcome(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How it fared; closes the record."""

    outcome: dict[str, Any]


class DecisionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Why something was chosen, and how it fared.

    Attributes
    ----------
    subject
        `model:digits` or `endpoint:digits`.
    problem
        What was to be decided, in a sentence.
    data_fingerprint
        What the data is like: rows, columns, classes; for finding similar problems later.
    cause_probability
        Probability by name of cause; sums to 1 when there is one.
    closed_at
        When it became final; nothing changes afterwards.
    """

    id: str
    project: str
    kind: RecordKind
    subject: str
    problem: str
    task: str | None
    data_fingerprint: dict[str, Any]
    evidence: list[Evidence]
    cause: str | None
    cause_probability: dict[str, float]
    candidates: list[Candidate]
    choice: str | None
    reason: str
    action: dict[str, Any] | None
    outcome: dict[str, Any] | None
    author: str
    created_at: datetime
    closed_at: datetime | None


class RecordPage(msgspec.Struct, frozen=True, kw_only=True):
    """Records, newest first; `next` continues."""

    items: list[DecisionRecord]
    next: str | None


def check_probabilities(probabilities: dict[str, float] | None) -> None:
    """Refuse what is not between 0 and 1."""
    for cause, probability in (probabilities or {}).items():
        if not 0.0 <= probability <= 1.0:
            raise Invalid(
                f"The probability of `{cause}` is {probability}", hint="Probabilities lie between 0 and 1"
            )


def merged(record: DecisionRecord, change: RecordChange) -> DecisionRecord:
    """Give the record with a change taken in."""
    stages = {evidence.stage: evidence for evidence in (*record.evidence, *change.evidence)}
    given = {
        name: value
        for name in (
            *("task", "data_fingerprint", "cause", "cause_probability"),
            *("candidates", "choice", "reason", "action"),
        )
        if (value := getattr(change, name)) is not None
    }
    return msgspec.structs.replace(record, evidence=list(stages.values()), **given)
