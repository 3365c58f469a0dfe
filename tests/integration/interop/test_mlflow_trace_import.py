"""What the reader of an MLflow store tells of traces and what judges them, written into a workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from noria.core.config import load_settings
from noria.core.workspace import open_workspace
from noria.interop.mlflow.importing.entities import (
    EvaluationDatasetEndLine,
    EvaluationDatasetLine,
    ExperimentLine,
    IssueLine,
    LabelSchemaLine,
    RecordsLine,
    ReviewItemLine,
    ReviewQueueLine,
    ScorerLine,
    SpansLine,
    TraceEndLine,
    TraceLine,
    TraceLinksLine,
)
from noria.interop.mlflow.importing.reviewing import ReviewWriter
from noria.interop.mlflow.importing.tracing import TraceWriter
from noria.interop.mlflow.importing.writing import IMPORTED_TAG, Writer
from noria.tracking.evaluation_datasets import EvaluationDatasets
from noria.tracking.issue_entities import IssueStatus
from noria.tracking.issues import Issues
from noria.tracking.reviewing.labels import LabelSchemas
from noria.tracking.reviewing.queue_entities import ReviewStatus
from noria.tracking.reviewing.queues import ReviewQueues
from noria.tracking.reviewing.scorers import Scorers
from noria.tracking.service import Experiments
from noria.tracking.traces.entities import Span, TraceState
from noria.tracking.traces.service import Traces

SPAN = Span(trace_id="tr-1", id="00000000000000ab", name="root", started_ns=5, ended_ns=9)
DATASET = f"d-{'0' * 32}"
GOOD = {
    "assessment_id": "a-1",
    "assessment_name": "good",
    "feedback": {"value": 0.5},
    "create_time": "2025-01-01T00:00:00Z",
}


def trace_line(**given: Any) -> TraceLine:
    """Give what is told of a trace at its beginning."""
    told: dict[str, Any] = {
        "id": "tr-1",
        "experiment": "7",
        "client_request_id": None,
        "started_ms": 1_700_000_000_000,
        "duration_ms": 4,
        "state": "OK",
        "request": '{"q": 1}',
        "response": None,
        "metadata": {"mlflow.trace.session": "s"},
        "tags": {"mlflow.traceName": "t", "mlflow.trace.spansLocation": "ARTIFACT_REPO", "k": "v"},
        "assessments": [GOOD, {"assessment_name": "of no kind"}],
    }
    return TraceLine(**{**told, **given})


def test_an_import_of_traces_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """What is complete is passed over; what was cut short comes again, once; what cannot be kept is told."""
    issue = IssueLine(
        id=f"iss-{'0' * 32}",
        experiment="7",
        name="slow",
        description="It takes long",
        status="resolved",
        severity=None,
        root_causes=["load"],
        categories=[],
        source_run="0" * 32,
        created_by="ana",
        created_ms=5_000,
    )
    with open_workspace(load_settings(workspace=str(tmp_path))) as workspace:
        project = workspace.project
        traces = workspace.service(Traces)

        def begin() -> tuple[Writer, TraceWriter]:
            writer = Writer(workspace, "sqlite:///m.db")
            writer.experiment(ExperimentLine(id="7", name="chat", tags={}, created_ms=None, deleted=False))
            return writer, TraceWriter(writer)

        first, stopped = begin()
        assert stopped.trace(trace_line())
        stopped.spans(SpansLine(spans=[SPAN]))
        assert IMPORTED_TAG not in traces.get(project, "tr-1").tags

        second, whole = begin()
        assert whole.trace(trace_line())
        whole.spans(SpansLine(spans=[SPAN]))
        whole.trace_end(TraceEndLine(id="tr-1", complete=True))
        assert whole.trace(trace_line(id="tr-2", state="NEW"))
        whole.trace_end(TraceEndLine(id="tr-2", complete=False))
        whole.links(TraceLinksLine(run="0" * 32, traces=["tr-1"]))
        whole.scorer(ScorerLine(experiment="7", name="s", version=3, content="{}", created_ms=5))
        whole.scorer(ScorerLine(experiment="7", name="s", version=4, content="nonsense", created_ms=5))
        whole.issue(issue)
        data = EvaluationDatasetLine(id=DATASET, name="d", tags={}, experiments=["7", "8"], created_ms=5)
        assert whole.evaluation_dataset(data)
        whole.records(RecordsLine(records=[{"inputs": {"q": 1}}, {"inputs": 5}]))
        whole.evaluation_dataset_end(EvaluationDatasetEndLine(id=DATASET))

        found = traces.get(project, "tr-1")
        assert (found.name, found.session, found.state, found.is_final) == ("t", "s", TraceState.OK, True)
        assert (found.tags, found.spans) == ({"k": "v", IMPORTED_TAG: "sqlite:///m.db"}, [SPAN])
        assert [(each.id, each.value) for each in found.assessments] == [("a-1", 0.5)]
        assert traces.get(project, "tr-2").tags == {"k": "v"}
        kept = workspace.service(EvaluationDatasets).get(project, DATASET)
        assert (kept.n_records, len(kept.experiments)) == (1, 1)
        number = kept.experiments[0]
        assert [each.version for each in workspace.service(Scorers).versions(project, number, "s").items] == [
            3
        ]
        report = second.report("3")
        assert (report.n_traces, report.n_scorers, report.n_evaluation_datasets) == (2, 1, 1)
        written = workspace.service(Issues).get(project, issue.id)
        assert (written.status, written.severity, written.source_run) == (IssueStatus.RESOLVED, None, None)
        assert (written.created_at.timestamp(), report.n_issues) == (5.0, 1)
        skipped = [(each.what.partition(" ")[0], each.name) for each in report.skipped]
        assert sorted(skipped) == [
            ("assessment", "of no kind"),
            ("assessment", "of no kind"),
            ("record", "None"),
            ("scorer", "s@4"),
            ("traces", "0" * 32),
        ]

        third, again = begin()
        assert not again.trace(trace_line())
        assert again.trace(trace_line(id="tr-2"))
        assert not again.evaluation_dataset(data)
        again.scorer(ScorerLine(experiment="7", name="s", version=3, content="{}", created_ms=5))
        again.issue(issue)
        assert third.report("3").n_present == 4
        assert first.report("3").n_traces == 0


def test_an_import_of_reviews_brings_what_is_missing(tmp_path: Path) -> None:
    """What is there of a name stays; a trace or question that cannot be kept does not keep the others away."""
    inputs = {"right": {"kind": "pass_fail", "positive_label": "yes", "negative_label": "no"}}
    inputs["list"] = {"kind": "InputTextList"}
    with open_workspace(load_settings(workspace=str(tmp_path))) as workspace:
        project = workspace.project

        def bring(items: list[ReviewItemLine]) -> Writer:
            writer = Writer(workspace, "sqlite:///m.db")
            writer.experiment(ExperimentLine(id="7", name="chat", tags={}, created_ms=None, deleted=False))
            traces, reviews = TraceWriter(writer), ReviewWriter(writer)
            for identity in ("tr-1", "tr-2"):
                if traces.trace(trace_line(id=identity, assessments=[])):
                    traces.trace_end(TraceEndLine(id=identity, complete=True))
            for at, (name, asked) in enumerate([("default", inputs["right"]), *inputs.items()]):
                reviews.label_schema(
                    LabelSchemaLine(
                        id=f"there-{at}",
                        experiment="7",
                        name=name,
                        type="feedback",
                        input=asked,
                        instruction=None,
                        enable_comment=False,
                        is_default=name == "default",
                    )
                )
            reviews.review_queue(
                ReviewQueueLine(
                    experiment="7",
                    name="weekly",
                    type="custom",
                    created_by="ana",
                    users=[],
                    schemas=["there-0", "there-1", "there-2"],
                    items=items,
                )
            )
            return writer

        pending = ReviewItemLine(id="tr-1", status=ReviewStatus.PENDING, by=None)
        gone = ReviewItemLine(id="tr-9", status=ReviewStatus.DECLINED, by="ana")
        done = ReviewItemLine(id="tr-2", status=ReviewStatus.COMPLETE, by="bob")
        first = bring([pending, gone]).report("3")
        number = workspace.service(Experiments).get(project, "chat").number
        queues = workspace.service(ReviewQueues)
        queue = queues.named(project, number, "weekly")
        ids = {each.name: each.id for each in workspace.service(LabelSchemas).list(project, number).items}
        second = bring([pending, gone, done]).report("3")
        found = {each.id: (each.status, each.completed_by) for each in queues.items(project, queue.id).items}

    assert (first.n_label_schemas, first.n_review_queues) == (1, 1)
    assert (second.n_label_schemas, second.n_review_queues) == (0, 0)
    assert len(ids) == 2
    assert set(queue.schemas) == set(ids.values())
    assert sorted((each.what, each.name) for each in first.skipped) == [
        ("label schema", "list"),
        ("trace of review queue weekly", "tr-9"),
    ]
    assert found == {"tr-1": (ReviewStatus.PENDING, None), "tr-2": (ReviewStatus.COMPLETE, "bob")}
