"""MLflow's endpoints of assessments."""

from __future__ import annotations

from typing import Any

from noria.core.adapters import AdapterRequest
from noria.interop.mlflow.assessment_messages import (
    AssessmentMessage,
    assessment_message,
    new_assessment,
    value_of,
)
from noria.interop.mlflow.errors import missing
from noria.interop.mlflow.messages import Empty
from noria.interop.mlflow.trace_access import trace_place
from noria.interop.mlflow.wire import Endpoints, Message, encode, missing_parameter
from noria.tracking.traces.assessing import AssessmentNotFound
from noria.tracking.traces.assessment_entities import AssessmentChange
from noria.tracking.traces.assessment_service import Assessments

ADDRESS = "3:traces/{trace_id}/assessments"
ONE = f"{ADDRESS}/{{assessment_id}}"

endpoint = Endpoints()


class CreateAssessment(Message):
    """An assessment to make."""

    assessment: AssessmentMessage | None = None


class UpdateAssessment(Message):
    """What an assessment shall say, and which of its fields that is."""

    assessment: AssessmentMessage | None = None
    update_mask: str = ""


@endpoint("POST", ADDRESS, CreateAssessment, required=("assessment",))
def create_assessment(request: AdapterRequest, message: CreateAssessment) -> bytes:
    """Assess a trace."""
    trace_id = request.path["trace_id"]
    place = trace_place(request, trace_id)
    new = new_assessment(_given(message.assessment))
    try:
        made = request.context.guarded(Assessments).create(place.project, trace_id, new)
    except AssessmentNotFound as error:
        raise _missing(trace_id, new.overrides) from error
    return encode({"assessment": assessment_message(made)})


@endpoint("GET", ONE, Empty)
def get_assessment(request: AdapterRequest, _: Empty) -> bytes:
    """Give an assessment."""
    trace_id, assessment_id = request.path["trace_id"], request.path["assessment_id"]
    place = trace_place(request, trace_id, told="Trace with request_id '{}' not found")
    try:
        found = request.context.guarded(Assessments).get(place.project, trace_id, assessment_id)
    except AssessmentNotFound as error:
        raise _missing(trace_id, assessment_id) from error
    return encode({"assessment": assessment_message(found)})


@endpoint("PATCH", ONE, UpdateAssessment, required=("assessment", "update_mask"))
def update_assessment(request: AdapterRequest, message: UpdateAssessment) -> bytes:
    """Change what an assessment says."""
    trace_id, assessment_id = request.path["trace_id"], request.path["assessment_id"]
    place = trace_place(request, trace_id)
    change = _change(_given(message.assessment), _paths(message.update_mask))
    try:
        changed = request.context.guarded(Assessments).update(place.project, trace_id, assessment_id, change)
    except AssessmentNotFound as error:
        raise _missing(trace_id, assessment_id) from error
    return encode({"assessment": assessment_message(changed)})


@endpoint("DELETE", ONE, Empty)
def delete_assessment(request: AdapterRequest, _: Empty) -> None:
    """Remove an assessment; one that is not there is no error."""
    trace_id = request.path["trace_id"]
    place = trace_place(request, trace_id)
    request.context.guarded(Assessments).delete(place.project, trace_id, request.path["assessment_id"])


def _given(message: AssessmentMessage | None) -> AssessmentMessage:
    if message is None:
        raise missing_parameter("assessment")
    return message


def _missing(trace_id: str, assessment_id: str | None) -> Exception:
    return missing(f"Assessment with ID '{assessment_id}' not found for trace '{trace_id}'")


def _paths(mask: str) -> set[str]:
    """Give the names of the fields in a mask, which may be in camelCase."""
    return {
        "".join(f"_{char.lower()}" if char.isupper() else char for char in path.strip())
        for path in mask.split(",")
    }


def _change(message: AssessmentMessage, paths: set[str]) -> AssessmentChange:
    given: dict[str, Any] = {}
    if "assessment_name" in paths:
        given["name"] = message.assessment_name
    if paths & {"feedback", "expectation"}:
        given["kind"], given["value"], given["error"] = value_of(message)
    if "rationale" in paths:
        given["rationale"] = message.rationale or ""
    if "metadata" in paths:
        given["metadata"] = message.metadata
    return AssessmentChange(**given)


ROUTES = endpoint.routes
