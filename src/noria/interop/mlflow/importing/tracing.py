"""Writes traces, scorers and evaluation data sets that the reader tells into a workspace.

A trace or evaluation data set keeps its id, and carries the tag `noria.imported_from` once it is complete; versions of
a scorer keep their numbers. So a second import goes on where the first one stopped.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from noria.core.errors import Invalid, NotFound
from noria.interop.mlflow.assessment_messages import AssessmentMessage, new_assessment
from noria.interop.mlflow.datasets import new_record
from noria.interop.mlflow.decoding import Decoder
from noria.interop.mlflow.errors import MlflowError
from noria.interop.mlflow.importing.entities import (
    EvaluationDatasetEndLine,
    EvaluationDatasetLine,
    FileLine,
    IssueLine,
    RecordsLine,
    ScorerLine,
    SpansLine,
    TraceEndLine,
    TraceLine,
    TraceLinksLine,
)
from noria.interop.mlflow.importing.writing import CHUNK_BYTES, IMPORTED_TAG, Writer
from noria.interop.mlflow.trace_messages import SPANS_TAG, told
from noria.tracking.artifacts import Artifacts
from noria.tracking.evaluation_datasets import EvaluationDatasets
from noria.tracking.evaluation_entities import EvaluationTags, NewEvaluationDataset, NewRecord, NewRecords
from noria.tracking.issue_entities import IssueSeverity, IssueStatus, NewIssue
from noria.tracking.issues import IssueNotFound, Issues
from noria.tracking.reviewing.scorer_entities import NewScorer
from noria.tracking.reviewing.scorers import ScorerNotFound, Scorers
from noria.tracking.run_keys import RunNotFound
from noria.tracking.traces.assessment_entities import NewAssessment
from noria.tracking.traces.entities import NewTrace, SpanBatch, TraceRunLinks, TraceState
from noria.tracking.traces.limits import MAX_LINKED, check_assessment
from noria.tracking.traces.service import Traces

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ASSESSMENT = Decoder(AssessmentMessage)


class TraceWriter:
    """Takes the reader's lines on traces and what judges them.

    Parameters
    ----------
    writer
        Takes the other lines, and keeps what was done.
    """

    def __init__(self, writer: Writer) -> None:
        workspace = writer.workspace
        self._writer = writer
        self._project = workspace.project
        self._traces = workspace.service(Traces)
        self._artifacts = workspace.service(Artifacts)
        self._issues = workspace.service(Issues)
        self._scorers = workspace.service(Scorers)
        self._datasets = workspace.service(EvaluationDatasets)
        self._trace: TraceLine | None = None
        self._dataset: str | None = None

    def trace(self, line: TraceLine) -> bool:
        """Begin a trace; False when it is here already."""
        self._trace = None
        try:
            if IMPORTED_TAG in self._traces.get(self._project, line.id, spans=False).tags:
                self._writer.count("n_present")
                return False
        except NotFound:
            pass
        self._trace = line
        return True

    def spans(self, line: SpansLine) -> None:
        """Keep spans of the trace at hand."""
        trace = self._trace
        if trace is None:
            return
        batch = SpanBatch(experiment=self._writer.numbers[trace.experiment], spans=line.spans)
        self._writer.attempt(
            "spans of trace", trace.id, lambda: self._traces.keep_spans(self._project, batch)
        )

    @property
    def is_at_hand(self) -> bool:
        """Whether a trace has begun and not ended, so that a file is attached to it."""
        return self._trace is not None

    def attachment(self, line: FileLine) -> None:
        """Keep a file that spans of the trace at hand refer to, where MLflow's clients look for it."""
        trace = self._trace
        if trace is None:
            return
        what = f"attachment of {trace.id}"
        if trace.experiment in self._writer.elsewhere:
            self._writer.refuse(what, line.path, "the experiment here keeps its files in a store of others")
            return
        path = f"{self._writer.numbers[trace.experiment]}/traces/{trace.id}/artifacts/{line.path}"

        def put() -> None:
            with Path(line.place).open("rb") as file:
                chunks = iter(lambda: file.read(CHUNK_BYTES), b"")
                self._artifacts.put(self._project, chunks, of="", path=path)

        if self._writer.attempt(what, line.path, put):
            self._writer.count("n_files")

    def trace_end(self, line: TraceEndLine) -> None:
        """Complete the trace at hand, in one piece: nothing that was said of it comes twice."""
        trace, self._trace = self._trace, None
        if trace is None or trace.id != line.id:
            return
        new = self._new_trace(trace, complete=line.complete)
        if self._writer.attempt("trace", trace.id, lambda: self._traces.record(self._project, new)):
            self._writer.count("n_traces")

    def links(self, line: TraceLinksLine) -> None:
        """Say which traces have to do with a run."""
        for start in range(0, len(line.traces), MAX_LINKED):
            links = TraceRunLinks(trace_ids=line.traces[start : start + MAX_LINKED], run_id=line.run)

            def link(links: TraceRunLinks = links) -> None:
                self._traces.link_run(self._project, links)

            self._writer.attempt("traces of run", line.run, link)

    def scorer(self, line: ScorerLine) -> None:
        """Keep a version of a scorer under its own number."""
        number = self._writer.numbers[line.experiment]
        try:
            latest = self._scorers.get(self._project, number, line.name).version
        except ScorerNotFound:
            latest = 0
        if line.version <= latest:
            self._writer.count("n_present")
            return
        new = NewScorer(
            experiment=number,
            name=line.name,
            content=line.content,
            version=line.version,
            created_at=_instant(line.created_ms),
        )
        name = f"{line.name}@{line.version}"
        if self._writer.attempt("scorer", name, lambda: self._scorers.register(self._project, new)):
            self._writer.count("n_scorers")

    def issue(self, line: IssueLine) -> None:
        """Write an issue down under its own id, which traces that show it name."""
        try:
            self._issues.get(self._project, line.id)
        except IssueNotFound:
            if self._writer.attempt("issue", line.id, lambda: self._write_issue(line)):
                self._writer.count("n_issues")
            return
        self._writer.count("n_present")

    def evaluation_dataset(self, line: EvaluationDatasetLine) -> bool:
        """Begin an evaluation data set; False when it is here already, or cannot be."""
        self._dataset = None
        try:
            if IMPORTED_TAG in self._datasets.get(self._project, line.id).tags:
                self._writer.count("n_present")
                return False
        except NotFound:
            numbers = self._writer.numbers
            new = NewEvaluationDataset(
                id=line.id,
                name=line.name,
                tags=line.tags,
                experiments=[numbers[each] for each in line.experiments if each in numbers],
                created_at=_instant(line.created_ms),
            )
            made = self._writer.attempt(
                "evaluation data set", line.id, lambda: self._datasets.create(self._project, new)
            )
            if not made:
                return False
        self._dataset = line.id
        return True

    def records(self, line: RecordsLine) -> None:
        """Keep records of the evaluation data set at hand."""
        dataset = self._dataset
        if dataset is None:
            return
        records = [record for each in line.records if (record := self._record(dataset, each)) is not None]
        self._writer.attempt(
            "records of evaluation data set",
            dataset,
            lambda: self._datasets.keep_records(self._project, dataset, NewRecords(records=records)),
        )

    def evaluation_dataset_end(self, line: EvaluationDatasetEndLine) -> None:
        """Complete the evaluation data set at hand."""
        if self._dataset == line.id:
            tags = EvaluationTags(tags={IMPORTED_TAG: self._writer.source})
            self._datasets.set_tags(self._project, line.id, tags)
            self._writer.count("n_evaluation_datasets")

    def _write_issue(self, line: IssueLine) -> None:
        new = NewIssue(
            id=line.id,
            experiment=self._writer.numbers[line.experiment],
            name=line.name,
            description=line.description,
            status=IssueStatus.__members__.get(line.status.upper(), IssueStatus.PENDING),
            severity=IssueSeverity.__members__.get((line.severity or "").upper()),
            root_causes=line.root_causes,
            categories=line.categories,
            source_run=line.source_run,
            created_by=line.created_by,
            created_at=_instant(line.created_ms),
            last_seen_at=_instant(line.created_ms if line.seen_ms is None else line.seen_ms),
            metadata=line.metadata,
        )
        try:
            self._issues.create(self._project, new)
        except RunNotFound:  # its run was not brought, or is gone
            self._issues.create(self._project, msgspec.structs.replace(new, source_run=None))

    def _new_trace(self, trace: TraceLine, *, complete: bool) -> NewTrace:
        parts = told(trace.metadata, {key: value for key, value in trace.tags.items() if key != SPANS_TAG})
        state = _state(trace.state)
        return NewTrace(
            id=trace.id,
            experiment=self._writer.numbers[trace.experiment],
            started_at=_EPOCH + timedelta(milliseconds=trace.started_ms),
            state=state,
            duration_ms=trace.duration_ms,
            name=parts.name,
            client_request_id=trace.client_request_id,
            session=parts.session,
            request=trace.request,
            response=trace.response,
            usage=parts.usage,
            cost=parts.cost,
            metadata=parts.metadata,
            tags={**parts.tags, IMPORTED_TAG: self._writer.source} if complete else parts.tags,
            assessments=self._read_assessments(trace),
            is_final=state is not TraceState.IN_PROGRESS,
        )

    def _read_assessments(self, trace: TraceLine) -> list[NewAssessment]:
        """Give the assessments that can be kept, so that one that cannot does not keep the trace away."""
        kept: list[NewAssessment] = []
        for each in trace.assessments:
            try:
                new = new_assessment(_ASSESSMENT.read_fields(each))
                check_assessment(new)
            except (MlflowError, Invalid) as error:
                self._writer.refuse(
                    f"assessment of {trace.id}", str(each.get("assessment_name")), error.message
                )
                continue
            kept.append(new)
        return kept

    def _record(self, dataset: str, sent: dict[str, Any]) -> NewRecord | None:
        try:
            return new_record(sent)
        except MlflowError as error:
            self._writer.refuse(f"record of {dataset}", str(sent.get("dataset_record_id")), error.message)
            return None


def _state(name: str) -> TraceState:
    known = TraceState.__members__.get(name)
    return TraceState.UNSPECIFIED if known is None else known


def _instant(at_ms: int | None) -> datetime | None:
    return None if at_ms is None else _EPOCH + timedelta(milliseconds=at_ms)
