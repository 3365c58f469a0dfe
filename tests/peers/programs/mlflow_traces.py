"""A day of tracing with the unmodified MLflow client, against the server whose URI is the argument.

Every step asserts what MLflow's own server would show; the last line is what was made, as JSON.
"""

import json
import sys
import time

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import AssessmentSource, Expectation, Feedback, SpanType, TraceState
from mlflow.exceptions import MlflowException
from mlflow.genai.datasets import (
    add_dataset_to_experiments,
    create_dataset,
    delete_dataset,
    delete_dataset_tag,
    get_dataset,
    remove_dataset_from_experiments,
    search_datasets,
    set_dataset_tags,
)
from mlflow.tracing.client import TracingClient


@mlflow.trace(span_type=SpanType.RETRIEVER)
def retrieve(question):
    return [{"page_content": f"On {question}", "metadata": {"doc_uri": "ü"}}]


@mlflow.trace(name="answer", attributes={"version": 3})
def answer(question, user=None):
    mlflow.update_current_trace(
        tags={"lang": "es"}, metadata={"mlflow.trace.user": user or "", "mlflow.trace.session": "chat-1"}
    )
    documents = retrieve(question)
    with mlflow.start_span("model", span_type=SpanType.CHAT_MODEL) as span:
        span.set_inputs({"messages": [question, documents]})
        usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
        span.set_attribute("mlflow.chat.tokenUsage", usage)
        span.set_outputs({"text": "Porque sí."})
    return "Porque sí."


def refused(code, call, *args, **kwargs):
    """Check that the server refuses a call with an error code."""
    found = None
    try:
        call(*args, **kwargs)
    except MlflowException as error:
        found = error
    assert found is not None, f"{call} was not refused"
    assert found.error_code == code, (found.error_code, str(found))


def arrived(experiment, n, **wanted):
    """Give the traces of an experiment, newest first, once all have arrived."""
    mlflow.flush_trace_async_logging()
    limit = time.monotonic() + 30
    while True:
        found = mlflow.search_traces(locations=[experiment], return_type="list", **wanted)
        if len(found) == n or time.monotonic() > limit:
            assert len(found) == n, [each.info for each in found]
            return found
        time.sleep(0.05)


def spans(experiment):
    """Decorated functions, blocks and errors become traces that read as they were written."""
    answer("¿Por qué?", user="ana")
    try:
        with mlflow.start_span("bad") as span:
            span.set_inputs({"x": 1})
            raise ValueError("boom")
    except ValueError:
        pass
    failed, good = arrived(experiment, 2)

    assert (good.info.state, failed.info.state) == (TraceState.OK, TraceState.ERROR)
    assert good.info.tags["mlflow.traceName"] == "answer"
    assert good.info.tags["lang"] == "es"
    assert good.info.trace_metadata["mlflow.trace.user"] == "ana"
    assert good.info.token_usage == {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    assert json.loads(good.info.request_preview) == {"question": "¿Por qué?", "user": "ana"}
    assert [span.name for span in good.data.spans] == ["answer", "retrieve", "model"]
    root, retrieved, model = good.data.spans
    assert root.parent_id is None
    assert {retrieved.parent_id, model.parent_id} == {root.span_id}
    assert root.get_attribute("version") == 3
    assert root.inputs == {"question": "¿Por qué?", "user": "ana"}
    assert root.outputs == "Porque sí."
    assert retrieved.span_type == SpanType.RETRIEVER
    assert retrieved.outputs == [{"page_content": "On ¿Por qué?", "metadata": {"doc_uri": "ü"}}]
    assert failed.data.spans[0].events[0].name == "exception"
    assert mlflow.get_trace(good.info.trace_id).to_dict() == good.to_dict()
    assert mlflow.get_trace(mlflow.get_last_active_trace_id()).info.state == TraceState.ERROR
    refused("RESOURCE_DOES_NOT_EXIST", MlflowClient().get_trace, "tr-" + "0" * 32)
    return good.info.trace_id, failed.info.trace_id


def searches(experiment, good, failed):
    """Filters on everything that a trace holds, orders and pages."""

    def found(text, **more):
        traces = mlflow.search_traces(
            locations=[experiment], filter_string=text, return_type="list", include_spans=False, **more
        )
        return [each.info.trace_id for each in traces]

    assert found("status = 'ERROR'") == [failed]
    assert found("trace.name = 'answer'") == found("trace.name LIKE 'ans%'") == [good]
    assert found("tags.lang = 'es'") == found("tags.lang IS NOT NULL") == [good]
    assert found("metadata.`mlflow.trace.session` = 'chat-1'") == [good]
    assert found("span.name = 'model' AND span.type = 'CHAT_MODEL'") == [good]
    assert found("span.name = 'model' AND span.type = 'RETRIEVER'") == []
    assert found("trace.text LIKE '%Porque%'") == [good]
    assert found(f"trace.timestamp_ms < {int(time.time() * 1000) + 1}", order_by=["timestamp_ms"]) == [
        good,
        failed,
    ]
    client = MlflowClient()
    first = client.search_traces(locations=[experiment], max_results=1)
    second = client.search_traces(locations=[experiment], max_results=1, page_token=first.token)
    assert [each.info.trace_id for each in (*first, *second)] == [failed, good]
    if second.token:  # MLflow's own server gives an empty page after the last
        assert not client.search_traces(locations=[experiment], max_results=1, page_token=second.token)
    frame = mlflow.search_traces(locations=[experiment])
    assert list(frame.trace_id) == [failed, good]
    assert frame.state[1] == "OK"
    refused("INVALID_PARAMETER_VALUE", found, "nonsense = 'x'")


def runs(experiment):
    """Traces made within a run are found by it, and so are those that are linked to it later."""
    with mlflow.start_run() as run:
        answer("in a run")
    newest = arrived(experiment, 3)[0].info.trace_id
    assert [each.info.trace_id for each in arrived(experiment, 1, run_id=run.info.run_id)] == [newest]
    other = MlflowClient().create_run(experiment)
    MlflowClient().link_traces_to_run([newest], other.info.run_id)
    assert [each.info.trace_id for each in arrived(experiment, 1, run_id=other.info.run_id)] == [newest]


def tags(trace_id):
    mlflow.set_trace_tag(trace_id, "stage", "prod")
    assert mlflow.get_trace(trace_id).info.tags["stage"] == "prod"
    mlflow.delete_trace_tag(trace_id, "stage")
    assert "stage" not in mlflow.get_trace(trace_id).info.tags
    refused("RESOURCE_DOES_NOT_EXIST", mlflow.delete_trace_tag, trace_id, "stage")


def assessments(experiment, trace_id):
    """Feedback and expectations are logged, read, changed, overridden, searched for and deleted."""
    human = AssessmentSource(source_type="HUMAN", source_id="ana")
    good = mlflow.log_feedback(
        trace_id=trace_id, name="correct", value=True, source=human, rationale="así es", metadata={"a": "b"}
    )
    mlflow.log_expectation(trace_id=trace_id, name="facts", value={"dates": [1492]})
    mlflow.log_feedback(trace_id=trace_id, name="score", error=ValueError("no judge"))
    read = mlflow.get_assessment(trace_id, good.assessment_id)
    assert (read.name, read.value, read.rationale, read.source.source_id) == (
        "correct",
        True,
        "así es",
        "ana",
    )
    assert read.metadata == {"a": "b"}
    found = {each.name: each for each in mlflow.get_trace(trace_id).info.assessments}
    assert found["facts"].value == {"dates": [1492]}
    assert found["score"].error.error_message == "no judge"
    mlflow.update_assessment(trace_id, good.assessment_id, Feedback(name="correct", value=False))
    assert mlflow.get_assessment(trace_id, good.assessment_id).value is False
    better = mlflow.override_feedback(trace_id=trace_id, assessment_id=good.assessment_id, value=True)
    assert mlflow.get_assessment(trace_id, good.assessment_id).valid is False
    wanted = {"locations": [experiment], "return_type": "list"}
    assert len(mlflow.search_traces(filter_string="feedback.correct = 'true'", **wanted)) == 1
    assert len(mlflow.search_traces(filter_string="feedback.correct IS NULL", **wanted)) == 2
    mlflow.delete_assessment(trace_id, better.assessment_id)
    assert mlflow.get_assessment(trace_id, good.assessment_id).valid is True
    refused("RESOURCE_DOES_NOT_EXIST", mlflow.get_assessment, trace_id, better.assessment_id)


def metrics(experiment):
    """Figures on traces are computed by the server."""
    store = TracingClient().store
    from mlflow.entities.trace_metrics import AggregationType, MetricAggregation, MetricViewType

    def asked(metric, *aggregations, view=MetricViewType.TRACES, **more):
        return store.query_trace_metrics(
            experiment_ids=[experiment],
            view_type=view,
            metric_name=metric,
            aggregations=[MetricAggregation(**each) for each in aggregations],
            **more,
        )

    count = {"aggregation_type": AggregationType.COUNT}
    median = {"aggregation_type": AggregationType.PERCENTILE, "percentile_value": 50.0}
    by_status = asked("trace_count", count, dimensions=["trace_status"])
    assert [(each.dimensions["trace_status"], each.values["COUNT"]) for each in by_status] == [
        ("ERROR", 1),
        ("OK", 2),
    ]
    assert asked("total_tokens", {"aggregation_type": AggregationType.SUM})[0].values["SUM"] == 30
    assert asked("latency", median)[0].values["P50.0"] >= 0
    by_type = asked("span_count", count, view=MetricViewType.SPANS, dimensions=["span_type"])
    assert {each.dimensions["span_type"]: each.values["COUNT"] for each in by_type}["CHAT_MODEL"] == 2
    related = TracingClient().calculate_trace_filter_correlation(
        experiment_ids=[experiment],
        filter_string1="tags.lang = 'es'",
        filter_string2="status = 'OK'",
    )
    assert (related.filter1_count, related.joint_count, related.total_count) == (2, 2, 3)
    assert abs(related.npmi - 1) < 1e-9


def files(experiment, trace_id):
    """A client before 3.5 puts the spans into a file, and gets them from there."""
    client = TracingClient()
    kept = mlflow.get_trace(trace_id)
    client._upload_trace_data(kept.info, kept.data)
    read = client._download_trace_data(kept.info)
    assert [each.name for each in read.spans] == [each.name for each in kept.data.spans]
    assert read.spans[0].inputs == kept.data.spans[0].inputs


def datasets(experiment, trace_id):
    """Evaluation datasets take records from lists, frames and traces, and join and part experiments."""
    client = MlflowClient()
    other = client.create_experiment("judged elsewhere")
    made = create_dataset(name="qa", experiment_id=[experiment], tags={"team": "ml"})
    made.merge_records(
        [
            {"inputs": {"q": "What?"}, "expectations": {"a": "x"}, "tags": {"level": "easy"}},
            {"inputs": {"q": "Who?"}},
        ]
    )
    made.merge_records([{"inputs": {"q": "What?"}, "expectations": {"b": "y"}}])
    frame = made.to_df().set_index("dataset_record_id")
    assert sorted(each["q"] for each in frame["inputs"]) == ["What?", "Who?"]
    kept = next(each for each in frame["expectations"] if each)
    assert kept == {"a": "x", "b": "y"}
    mlflow.log_expectation(trace_id=trace_id, name="short", value="sí")
    made.merge_records([mlflow.get_trace(trace_id)])
    made.merge_records(pd.DataFrame([{"inputs": {"q": "Where?"}, "expectations": {"a": "z"}}]))
    read = get_dataset(dataset_id=made.dataset_id)
    assert len(read.to_df()) == 4
    assert read.tags["team"] == "ml"
    assert json.loads(read.profile)["num_records"] == 4
    set_dataset_tags(dataset_id=made.dataset_id, tags={"env": "test"})
    delete_dataset_tag(dataset_id=made.dataset_id, key="team")
    assert get_dataset(dataset_id=made.dataset_id).tags["env"] == "test"
    assert "team" not in get_dataset(dataset_id=made.dataset_id).tags
    found = search_datasets(experiment_ids=[experiment], filter_string="tags.env = 'test'", order_by=["name"])
    assert [each.name for each in found] == ["qa"]
    joined = add_dataset_to_experiments(dataset_id=made.dataset_id, experiment_ids=[other])
    assert sorted(joined.experiment_ids) == sorted([experiment, other])
    parted = remove_dataset_from_experiments(dataset_id=made.dataset_id, experiment_ids=[other])
    assert parted.experiment_ids == [experiment]
    assert made.delete_records([frame.index[0]]) == 1
    gone = create_dataset(name="gone", experiment_id=[experiment])
    delete_dataset(dataset_id=gone.dataset_id)
    refused("RESOURCE_DOES_NOT_EXIST", get_dataset, dataset_id=gone.dataset_id)
    return made.dataset_id


def deletions(experiment, failed):
    client = MlflowClient()
    assert client.delete_traces(experiment, trace_ids=[failed]) == 1
    assert failed not in [each.info.trace_id for each in arrived(experiment, 2)]
    until = int(time.time() * 1000)
    assert client.delete_traces(experiment, max_timestamp_millis=until, max_traces=1) == 1
    assert len(arrived(experiment, 1)) == 1
    assert client.delete_traces(experiment, trace_ids=["tr-" + "0" * 32]) == 0


def main():
    mlflow.set_tracking_uri(sys.argv[1])
    experiment = mlflow.set_experiment("asked").experiment_id
    good, failed = spans(experiment)
    searches(experiment, good, failed)
    runs(experiment)
    tags(good)
    assessments(experiment, good)
    metrics(experiment)
    files(experiment, good)
    dataset = datasets(experiment, good)
    deletions(experiment, failed)
    kept = arrived(experiment, 1)[0]
    mlflow.log_assessment(kept.info.trace_id, Expectation(name="last", value="word"))
    mlflow.flush_trace_async_logging(terminate=True)
    print(json.dumps({"experiment": experiment, "trace": kept.info.trace_id, "dataset": dataset}))


main()
