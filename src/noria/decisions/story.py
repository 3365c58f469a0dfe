"""Makes what the page of a decision shows of its record and rollouts. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from noria.catalog.entities import Candidate, DecisionRecord, Figure
from noria.core.ids import is_id
from noria.core.web.drawings import Scale, scale_over
from noria.core.web.retelling import Sentence
from noria.decisions import course_words, evidence_words
from noria.decisions.entities import Decision
from noria.decisions.story_views import (
    BeforeAfter,
    CandidateRow,
    CauseRow,
    Comparison,
    Fact,
    Finding,
    Measured,
    Passage,
    RolloutStory,
    StepRow,
    StoryContext,
)
from noria.decisions.words import (
    CALM_VERDICTS,
    CAUSE_WORDS,
    FACT_WORDS,
    OPEN_VERDICTS,
    REMEDY_WORDS,
    STAGE_WORDS,
    STATUS_WORDS,
    VALUE_WORDS,
    VERDICT_WORDS,
    in_words,
)
from noria.serving.entities import Rollout
from noria.serving.sentences import retelling as gates

LEAST_SHOWN_PROBABILITY = 0.001
"""As in the record's Markdown: what is less probable is left out."""

_END_OF_ID = 8
_FACTS = 24
_CANDIDATES = 50
_FIGURES = 4
_PASSAGES = 40
_PAIRED = ("_before", "_after", "_low", "_high")
_PLACES = {"score": "score_{when}", "low": "score_{when}_low", "high": "score_{when}_high", "n": "n_{when}"}


def tell(
    record: DecisionRecord, decision: Decision | None, rollouts: Sequence[Rollout], now: datetime
) -> StoryContext:
    """Make the story of a record, of the decision that it belongs to, and of the rollouts that it led to."""
    outcome = record.outcome or {}
    return StoryContext(
        live=record.closed_at is None,
        now=now,
        project=record.project,
        record_id=record.id,
        kind=record.kind,
        subject=record.subject,
        problem=course_words.found(record.problem),
        author=record.author,
        created_at=record.created_at,
        closed_at=record.closed_at,
        cause=in_words(CAUSE_WORDS, record.cause) if record.cause else None,
        cause_probability=record.cause_probability.get(record.cause or ""),
        choice=in_words(REMEDY_WORDS, record.choice) if record.choice else None,
        reason=course_words.found(record.reason) if record.reason else None,
        findings=tuple(
            Finding(
                stage=found.stage,
                question=in_words(STAGE_WORDS, found.stage),
                verdict=in_words(VERDICT_WORDS, found.verdict),
                state=verdict_state(found.verdict),
                sentence=evidence_words.retelling.find(found.sentence),
                facts=facts_of(found.figures),
            )
            for found in record.evidence
        ),
        causes=_causes(record),
        comparison=compare(record.candidates, record.choice),
        action=facts_of(record.action),
        outcome=facts_of({name: value for name, value in outcome.items() if not name.endswith(_PAIRED)}),
        before_after=before_after(outcome),
        status=in_words(STATUS_WORDS, decision.status) if decision else None,
        course=tuple(
            Passage(at=moment.at, text=course_words.found(moment.text))
            for moment in (decision.timeline[-_PASSAGES:] if decision else ())
        ),
        rollouts=tuple(_rollout(rollout) for rollout in rollouts),
    )


def verdict_state(verdict: str) -> str:
    """Give the state in which a verdict is shown."""
    if verdict in CALM_VERDICTS:
        return "none"
    return "busy" if verdict in OPEN_VERDICTS else "look"


def before_after(outcome: dict[str, Any]) -> BeforeAfter | None:
    """Put the scores before and after the remedy on one scale; None unless both were measured."""
    before, after = _score(outcome, "before"), _score(outcome, "after")
    if before is None or after is None:
        return None
    scale = scale_over([*_ends(before), *_ends(after)])
    return BeforeAfter(before=_measured(before, scale), after=_measured(after, scale))


def _score(outcome: dict[str, Any], when: str) -> Figure | None:
    numbers = {
        name: value
        for name in ("score", "low", "high", "n")
        if isinstance(value := outcome.get(_PLACES[name].format(when=when)), int | float)
    }
    if "score" not in numbers:
        return None
    n = numbers.get("n")
    return Figure(
        value=numbers["score"],
        low=numbers.get("low"),
        high=numbers.get("high"),
        n=None if n is None else int(n),
    )


def facts_of(values: dict[str, Any] | None) -> tuple[Fact, ...]:
    """Give the first facts of a JSON object, with names in words."""
    shown = list((values or {}).items())[:_FACTS]
    return tuple(
        Fact(
            name=in_words(FACT_WORDS, name),
            value=f"…{value[-_END_OF_ID:]}" if isinstance(value, str) and is_id(value) else value,
            words=VALUE_WORDS.get(value) if isinstance(value, str) else None,
            sentence=_sentence(value),
        )
        for name, value in shown
    )


def _sentence(value: Any) -> Sentence | None:
    """Give what a fact says, where it is a sentence of ours."""
    found = course_words.found(value) if isinstance(value, str) and " " in value else None
    return found if found is not None and found.is_known else None


def _causes(record: DecisionRecord) -> tuple[CauseRow, ...]:
    ranked = sorted(record.cause_probability.items(), key=lambda item: -item[1])
    return tuple(
        CauseRow(words=in_words(CAUSE_WORDS, name), probability=probability, is_named=name == record.cause)
        for name, probability in ranked
        if probability >= LEAST_SHOWN_PROBABILITY
    )


def compare(candidates: Sequence[Candidate], choice: str | None) -> Comparison | None:
    """Put the candidates side by side, their gains on one scale that shows zero."""
    if not candidates:
        return None
    shown = candidates[:_CANDIDATES]
    columns = tuple(sorted({name for candidate in shown for name in candidate.figures})[:_FIGURES])
    ends = [end for candidate in shown for end in _ends(candidate.gain)]
    scale = scale_over([0.0, *ends])
    rows = tuple(
        CandidateRow(
            words=in_words(REMEDY_WORDS, candidate.name),
            is_chosen=candidate.name == choice,
            is_admissible=candidate.admissible,
            note=course_words.found(candidate.note) if candidate.note else None,
            figures=tuple(candidate.figures.get(name) for name in columns),
            gain=_measured(candidate.gain, scale),
        )
        for candidate in shown
    )
    return Comparison(
        rows=rows,
        columns=tuple(in_words(FACT_WORDS, name) for name in columns),
        has_gain=bool(ends),
        scale=scale,
        zero=scale.place(0.0),
        n_left_out=len(candidates) - len(shown),
    )


def _ends(figure: Figure | None) -> list[float]:
    if figure is None:
        return []
    return [end for end in (figure.value, figure.low, figure.high) if end is not None and math.isfinite(end)]


def _measured(figure: Figure | None, scale: Scale) -> Measured:
    if figure is None or not math.isfinite(figure.value):
        return Measured(figure=figure, place=None)
    return Measured(figure=figure, place=scale.interval(figure.value, figure.low, figure.high))


def _rollout(rollout: Rollout) -> RolloutStory:
    return RolloutStory(
        rollout_id=rollout.id,
        strategy=rollout.strategy,
        endpoint=rollout.endpoint,
        from_version=rollout.from_version,
        to_version=rollout.to_version,
        status=rollout.status,
        reason=course_words.found(rollout.reason) if rollout.reason else None,
        created_at=rollout.created_at,
        ended_at=rollout.ended_at,
        steps=tuple(_step(rollout, index) for index in range(len(rollout.steps))),
    )


def _step(rollout: Rollout, index: int) -> StepRow:
    ended = next((result for result in rollout.history if result.step == index), None)
    return StepRow(
        number=index + 1,
        weight=rollout.steps[index].weight,
        verdict=ended.verdict if ended else None,
        n_requests=ended.n_requests if ended else None,
        ended_at=ended.ended_at if ended else None,
        sentences=tuple(gates.find(result.sentence) for result in ended.results) if ended else (),
    )
