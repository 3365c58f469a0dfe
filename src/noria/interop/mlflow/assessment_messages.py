"""Assessments as MLflow's clients send and read them."""

from __future__ import annotations

import json
from typing import Any, Final

from noria.interop.mlflow.decoding import Message, WireEnum, invalid_parameter
from noria.interop.mlflow.errors import invalid
from noria.interop.mlflow.moments import read_moment, sent_moment
from noria.tracking.traces.assessment_entities import (
    Assessment,
    AssessmentError,
    AssessmentKind,
    AssessmentSource,
    NewAssessment,
)

_JSON_FORMAT: Final = "JSON_FORMAT"


class SourceType(WireEnum):
    """Who assessed."""

    SOURCE_TYPE_UNSPECIFIED = "SOURCE_TYPE_UNSPECIFIED", 0
    HUMAN = "HUMAN", 1
    LLM_JUDGE = "LLM_JUDGE", 2
    CODE = "CODE", 3


class SourceMessage(Message):
    """Who assessed, by kind and name."""

    source_type: SourceType = SourceType.SOURCE_TYPE_UNSPECIFIED
    source_id: str | None = None


class ErrorMessage(Message):
    """Why something could not be assessed."""

    error_code: str = ""
    error_message: str | None = None
    stack_trace: str | None = None


class FeedbackMessage(Message):
    """What was found."""

    value: Any = None
    error: ErrorMessage | None = None


class SerializedMessage(Message):
    """A value as text."""

    serialization_format: str = ""
    value: str = ""


class ExpectationMessage(Message):
    """What should have come out."""

    value: Any = None
    serialized_value: SerializedMessage | None = None


class IssueMessage(Message):
    """A problem that is kept elsewhere."""

    issue_name: str = ""


class AssessmentMessage(Message):
    """An assessment."""

    assessment_id: str | None = None
    assessment_name: str = ""
    span_id: str | None = None
    source: SourceMessage | None = None
    create_time: str | None = None
    last_update_time: str | None = None
    feedback: FeedbackMessage | None = None
    expectation: ExpectationMessage | None = None
    issue: IssueMessage | None = None
    rationale: str | None = None
    metadata: dict[str, str] = {}
    overrides: str | None = None
    valid: bool = True


def new_assessment(message: AssessmentMessage) -> NewAssessment:
    """Give an assessment that shall be made."""
    kind, value, error = value_of(message)
    source = message.source or SourceMessage()
    return NewAssessment(
        name=message.assessment_name,
        kind=kind,
        value=value,
        error=error,
        source=AssessmentSource(source.source_type.value),
        source_id=source.source_id or None,
        id=message.assessment_id or None,
        span_id=message.span_id or None,
        rationale=message.rationale or None,
        metadata=message.metadata,
        overrides=message.overrides or None,
        valid=message.valid,
        created_at=read_moment(message.create_time, "assessment.create_time"),
        updated_at=read_moment(message.last_update_time, "assessment.last_update_time"),
    )


def value_of(message: AssessmentMessage) -> tuple[AssessmentKind, Any, AssessmentError | None]:
    """Give kind, value and error of an assessment.

    Raises
    ------
    MlflowError
        If it is of no kind, or its text cannot be read.
    """
    if message.feedback is not None:
        return AssessmentKind.FEEDBACK, message.feedback.value, _error(message.feedback.error)
    if message.expectation is not None:
        return AssessmentKind.EXPECTATION, _expected(message.expectation), None
    if message.issue is not None:
        return AssessmentKind.ISSUE, message.issue.issue_name, None
    raise invalid("Unknown assessment type: None")


def assessment_message(found: Assessment) -> dict[str, Any]:
    """Give an assessment."""
    optional = {
        "span_id": found.span_id,
        "rationale": found.rationale,
        "overrides": found.overrides,
        "metadata": found.metadata or None,
    }
    source: dict[str, str] = {"source_type": found.source.value}
    if found.source_id is not None:
        source["source_id"] = found.source_id
    return {
        "assessment_id": found.id,
        "assessment_name": found.name,
        "trace_id": found.trace_id,
        "source": source,
        "create_time": sent_moment(found.created_at),
        "last_update_time": sent_moment(found.updated_at),
        **_sent_value(found),
        **{name: value for name, value in optional.items() if value is not None},
        "valid": found.valid,
    }


def _expected(message: ExpectationMessage) -> Any:
    if message.serialized_value is None:
        if message.value is None:
            raise invalid("The `value` field must be specified.")
        return message.value
    if message.serialized_value.serialization_format != _JSON_FORMAT:
        raise invalid(
            f"Unknown serialization format: {message.serialized_value.serialization_format}. "
            "Only JSON_FORMAT is supported."
        )
    try:
        return json.loads(message.serialized_value.value)
    except (ValueError, RecursionError) as error:
        raise invalid_parameter(
            "assessment.expectation.serialized_value.value", message.serialized_value.value
        ) from error


def _error(message: ErrorMessage | None) -> AssessmentError | None:
    if message is None:
        return None
    return AssessmentError(
        error_code=message.error_code,
        error_message=message.error_message or None,
        stack_trace=message.stack_trace or None,
    )


def _sent_value(found: Assessment) -> dict[str, Any]:
    if found.kind is AssessmentKind.ISSUE:
        return {"issue": {"issue_name": found.value}}
    if found.kind is AssessmentKind.EXPECTATION:
        if isinstance(found.value, (list, dict)):
            text = json.dumps(found.value)
            return {
                "expectation": {"serialized_value": {"serialization_format": _JSON_FORMAT, "value": text}}
            }
        return {"expectation": {"value": found.value}}
    error = {} if found.error is None else {"error": _sent_error(found.error)}
    return {"feedback": {"value": found.value, **error}}


def _sent_error(error: AssessmentError) -> dict[str, str]:
    told_of = {"error_message": error.error_message, "stack_trace": error.stack_trace}
    return {"error_code": error.error_code, **{name: text for name, text in told_of.items() if text}}
