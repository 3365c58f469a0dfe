"""What the page of a decision shows, as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from noria.catalog.entities import Figure
from noria.core.web.drawings import Interval, Scale
from noria.core.web.pages import PageContext
from noria.core.web.retelling import Sentence
from noria.decisions.pipeline_entities import PipelinePin


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A named value.

    Attributes
    ----------
    name
        To be translated.
    value
        JSON.
    words
        To be translated and shown in place of the value, when that is a name of ours.
    sentence
        Shown in place of the value, when that is a sentence of ours.
    """

    name: str
    value: Any
    words: str | None
    sentence: Sentence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a stage of the diagnosis found."""

    stage: str
    question: str
    verdict: str
    state: str
    sentence: Sentence
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseRow:
    """A cause with its probability."""

    words: str
    probability: float
    is_named: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A figure with its interval, and where both lie on the candidates' common scale, if they have one."""

    figure: Figure | None
    place: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateRow:
    """Something that could have been chosen."""

    words: str
    is_chosen: bool
    is_admissible: bool
    note: Sentence | None
    figures: tuple[Figure | None, ...]
    gain: Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The candidates side by side.

    Attributes
    ----------
    columns
        Names of the figures, to be translated.
    has_gain
        Whether any candidate's gain was measured.
    scale
        Over which gains are drawn.
    zero
        Where no gain lies on it, in per cent of the width.
    n_left_out
        Candidates that are not shown.
    """

    rows: tuple[CandidateRow, ...]
    columns: tuple[str, ...]
    has_gain: bool
    scale: Scale
    zero: float
    n_left_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """A step of a rollout; one that did not begin has no verdict."""

    number: int
    weight: float
    verdict: str | None
    n_requests: int | None
    ended_at: datetime | None
    sentences: tuple[Sentence, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutStory:
    """How the chosen version went out."""

    rollout_id: str
    strategy: str
    endpoint: str
    from_version: int | None
    to_version: int
    status: str
    reason: Sentence | None
    created_at: datetime
    ended_at: datetime | None
    steps: tuple[StepRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BeforeAfter:
    """The scores before and after the remedy, on one scale."""

    before: Measured
    after: Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A line of the decision's course."""

    at: datetime
    text: Sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a decision asks a person.

    Attributes
    ----------
    decision_id
        To be answered.
    endpoint
        Where it would act.
    remedy
        What it proposes, in words to be translated.
    from_version, to_version
        What would change; `to_version` is None where no version would.
    repair
        What would be done to inputs before the model sees them; empty where nothing would.
    pin
        Which revision a schedule would go back to; None where none would.
    reason
        Why it asks; None where nobody said.
    approve_url, reject_url
        Where the answers go.
    may_answer
        Whether the reader may.
    """

    decision_id: str
    endpoint: str
    remedy: str
    from_version: int
    to_version: int | None
    repair: tuple[Sentence, ...]
    pin: PipelinePin | None
    reason: Sentence | None
    approve_url: str
    reject_url: str
    may_answer: bool

    @property
    def can_be_carried_out(self) -> bool:
        """Whether Noria can do it; else a person has to."""
        return self.to_version is not None or bool(self.repair) or self.pin is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryContext(PageContext):
    """What the page of a decision shows.

    Attributes
    ----------
    now
        When the page was made.
    project, record_id
        Which record it is.
    kind
        `selection` or `remedy`.
    subject
        What it is about, as `endpoint:digits`.
    problem
        What was to be decided.
    author, created_at, closed_at
        Who opened the record, and when it was opened and closed.
    cause, cause_probability
        In words; None while there is none.
    choice
        In words; None while there is none.
    reason
        Why it was chosen.
    findings
        The evidence, stage by stage.
    causes
        The most probable first.
    comparison
        None when there were no candidates.
    action, outcome
        None while there is none.
    before_after
        None unless the outcome has scores before and after.
    rollouts
        Oldest first.
    status
        Where the decision stands, in words; None for a record that no decision of Noria's belongs to.
    course
        What was done, oldest first.
    question
        What it asks a person; None for nothing.
    subject_url
        Page of the subject; empty where it has none.
    incident_url
        Page of the incident that it answers; empty for none.
    """

    now: datetime
    project: str
    record_id: str
    kind: str
    subject: str
    problem: Sentence
    author: str
    created_at: datetime
    closed_at: datetime | None
    cause: str | None
    cause_probability: float | None
    choice: str | None
    reason: Sentence | None
    findings: tuple[Finding, ...]
    causes: tuple[CauseRow, ...]
    comparison: Comparison | None
    action: tuple[Fact, ...]
    outcome: tuple[Fact, ...]
    before_after: BeforeAfter | None
    rollouts: tuple[RolloutStory, ...]
    status: str | None
    course: tuple[Passage, ...]
    question: Question | None = None
    subject_url: str = ""
    incident_url: str = ""
