"""Assessments: what people, judges and code say of traces."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

import msgspec

from noria.core.serialisation import Instant


class AssessmentKind(enum.StrEnum):
    """What an assessment says."""

    FEEDBACK = "feedback"
    EXPECTATION = "expectation"
    ISSUE = "issue"


class AssessmentSource(enum.StrEnum):
    """Who assessed."""

    UNSPECIFIED = "SOURCE_TYPE_UNSPECIFIED"
    HUMAN = "HUMAN"
    LLM_JUDGE = "LLM_JUDGE"
    CODE = "CODE"


class AssessmentError(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why an assessment could not be made."""

    error_code: str = ""
    error_message: str | None = None
    stack_trace: str | None = None


class NewAssessment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An assessment to add to a trace.

    Attributes
    ----------
    value
        Any JSON value: what was found (feedback), what should have come out (expectation), the issue's name (issue).
    span_id
        The span that is meant; None for the trace as a whole.
    overrides
        Id of an assessment of the same trace that this one corrects, and which is no longer valid from now on.
    created_at, updated_at
        Now, when left out.
    """

    name: str
    kind: AssessmentKind
    value: Any = None
    error: AssessmentError | None = None
    source: AssessmentSource = AssessmentSource.UNSPECIFIED
    source_id: str | None = None
    id: str | None = None
    span_id: str | None = None
    rationale: str | None = None
    metadata: dict[str, str] = {}
    overrides: str | None = None
    valid: bool = True
    created_at: Instant | None = None
    updated_at: Instant | None = None


class AssessmentChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an assessment shall say; what is left out stays as it is.

    Attributes
    ----------
    kind
        Of the value that is given; it must be the assessment's own.
    metadata
        Added to what is there.
    """

    name: str | None = None
    kind: AssessmentKind | None = None
    value: Any = None
    error: AssessmentError | None = None
    rationale: str | None = None
    metadata: dict[str, str] = {}


class Assessment(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody said of a trace or of a span.

    Attributes
    ----------
    valid
        False once another assessment overrides it.
    """

    id: str
    trace_id: str
    name: str
    kind: AssessmentKind
    value: Any
    error: AssessmentError | None
    source: AssessmentSource
    source_id: str | None
    span_id: str | None
    rationale: str | None
    metadata: dict[str, str]
    overrides: str | None
    valid: bool
    created_at: datetime
    updated_at: datetime
