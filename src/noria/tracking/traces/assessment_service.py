"""Operations on assessments of traces."""

from __future__ import annotations

from noria.core.operations import Service, operation
from noria.tracking.traces import assessing
from noria.tracking.traces.assessment_entities import Assessment, AssessmentChange, NewAssessment
from noria.tracking.traces.limits import check_assessment, check_change
from noria.tracking.traces.permissions import READ_TRACES, WRITE_TRACES
from noria.tracking.traces.places import trace_pk
from noria.tracking.traces.rows import held_row


class Assessments(Service):
    """What people, judges and code say of traces."""

    @operation("POST", "/projects/{project}/traces/{trace_id}/assessments", needs=WRITE_TRACES)
    def create(self, project: str, trace_id: str, new: NewAssessment) -> Assessment:
        """Assess a trace, or one of its spans."""
        check_assessment(new)
        with self.context.database.write() as connection:
            row = held_row(connection, project, trace_id)
            return assessing.create(connection, self.context.clock, row, trace_id, new)

    @operation("GET", "/projects/{project}/traces/{trace_id}/assessments/{assessment_id}", needs=READ_TRACES)
    def get(self, project: str, trace_id: str, assessment_id: str) -> Assessment:
        """Get one assessment."""
        with self.context.database.read() as connection:
            trace = trace_pk(connection, project, trace_id)
            return assessing.read_one(connection, trace, trace_id, assessment_id)

    @operation(
        "PATCH", "/projects/{project}/traces/{trace_id}/assessments/{assessment_id}", needs=WRITE_TRACES
    )
    def update(self, project: str, trace_id: str, assessment_id: str, change: AssessmentChange) -> Assessment:
        """Change what an assessment says; who said it, and of which span, stays."""
        check_change(change)
        with self.context.database.write() as connection:
            row = held_row(connection, project, trace_id)
            return assessing.update(connection, self.context.clock, row.pk, trace_id, assessment_id, change)

    @operation(
        "DELETE", "/projects/{project}/traces/{trace_id}/assessments/{assessment_id}", needs=WRITE_TRACES
    )
    def delete(self, project: str, trace_id: str, assessment_id: str) -> None:
        """Remove an assessment if it is there; one that it overrode is valid again."""
        with self.context.database.write() as connection:
            assessing.delete(connection, held_row(connection, project, trace_id).pk, assessment_id)
