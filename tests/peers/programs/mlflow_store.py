"""Fill an MLflow store with what an import must bring; the arguments are the tracking URI and the artifact folder."""

import contextlib
import json
import math
import sys

import mlflow
from mlflow import MlflowClient
from mlflow.entities import AssessmentSource, Metric
from mlflow.genai import datasets as evaluation
from mlflow.genai.label_schemas import InputCategorical, InputNumeric, InputPassFail, InputText
from mlflow.tracing.attachments import Attachment
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

PICTURE = b"\x89PNG\r\n\x1a\n and so on"


@mlflow.trace(
    name="responder", span_type="CHAIN", attributes={"weight": 0.5, "parts": ["a", {"b": math.nan}]}
)
def answer(question):
    with mlflow.start_span("inner", span_type="LLM") as span:
        span.set_inputs({"messages": [{"role": "user", "content": question}]})
        span.set_outputs("¡hola!")
        if question == "fail":
            raise ValueError("no answer")
    return {"said": "¡hola!"}


@mlflow.trace(name="seer")
def look(question):
    return {"picture": Attachment(content_type="image/png", content_bytes=PICTURE), "of": question}


def make_reviews(store, experiment, traces):
    """Questions to reviewers, and queues of traces that wait for them or do not any more."""
    inputs = {
        "right": InputPassFail(positive_label="yes", negative_label="no"),
        "tone": InputCategorical(options=["warm", "cold"], multi_select=True),
        "stars": InputNumeric(min_value=0, max_value=5),
        "better": InputText(max_length=200),
    }
    ids = {
        name: store.create_label_schema(
            experiment,
            name=name,
            type="expectation" if name == "better" else "feedback",
            input=asked,
            instruction=f"about {name}",
            enable_comment=name == "tone",
        ).schema_id
        for name, asked in inputs.items()
    }
    queue = store.create_review_queue(
        experiment,
        name="weekly",
        queue_type="custom",
        created_by="ana",
        users=["ana", "bob"],
        schema_ids=[ids["right"], ids["tone"]],
    )
    store.add_items_to_review_queue(queue.queue_id, item_ids=traces)
    store.set_review_queue_item_status(
        queue.queue_id, item_id=traces[0], status="complete", completed_by="bob"
    )
    own = store.create_review_queue(
        experiment, name="bob", queue_type="user", created_by="bob", users=["bob"]
    )
    store.add_items_to_review_queue(own.queue_id, item_ids=traces[1:])


def make_traces(experiment, run):
    """Traces with what is said of them, scorers and an evaluation data set."""
    with mlflow.start_run(run_id=run):
        answer("¿qué?")
    mlflow.flush_trace_async_logging()
    first = mlflow.get_last_active_trace_id()
    mlflow.set_trace_tag(first, "colour", "red")
    mlflow.log_feedback(
        trace_id=first,
        name="good",
        value=True,
        rationale="it greets",
        source=AssessmentSource(source_type="HUMAN", source_id="ana"),
    )
    mlflow.log_expectation(trace_id=first, name="expected", value={"said": "hola"})
    good = mlflow.get_trace(first).info.assessments[0].assessment_id
    mlflow.override_feedback(trace_id=first, assessment_id=good, value=False)
    with contextlib.suppress(ValueError):
        answer("fail")
    mlflow.flush_trace_async_logging()
    failed = mlflow.get_last_active_trace_id()
    look("¿dónde?")
    mlflow.flush_trace_async_logging()
    seen = mlflow.get_last_active_trace_id()
    store = mlflow.tracking._tracking_service.utils._get_store()
    make_reviews(store, experiment, [first, failed])
    for number in (1, 2, 3):
        store.register_scorer(experiment, "short", json.dumps({"name": "short", "number": number}))
    store.delete_scorer(experiment, "short", 2)
    issue = store.create_issue(experiment, "slow", "It takes long", source_run_id=run).issue_id
    data = evaluation.create_dataset(name="questions", experiment_id=experiment, tags={"kind": "small"})
    data.merge_records(
        [
            {"inputs": {"question": str(at)}, "expectations": {"said": "hola"}, "tags": {"at": str(at)}}
            for at in range(3)
        ]
    )
    return {"trace": first, "failed": failed, "seen": seen, "evaluation": data.dataset_id, "issue": issue}


def main():
    uri, artifacts = sys.argv[1:3]
    mlflow.set_tracking_uri(uri)
    client = MlflowClient()
    experiment = client.create_experiment("años", artifact_location=artifacts, tags={"team": "one"})
    mlflow.set_experiment("años")
    x, y = load_iris(return_X_y=True)
    with mlflow.start_run(run_name="parent") as parent:
        mlflow.log_params({"depth": 2, "largo": "x" * 500})
        mlflow.log_text("hola", "notes/hi.txt")
        mlflow.log_text("", "empty.txt")
        tree = DecisionTreeClassifier(max_depth=2, random_state=0).fit(x, y)
        with mlflow.start_run(run_name="child", nested=True) as child:
            client.log_batch(
                child.info.run_id,
                metrics=[
                    Metric("loss", 1 / (step + 1), 1_700_000_000_000 + step, step) for step in range(2500)
                ],
            )
            for step, value in enumerate([math.nan, 0.5]):
                mlflow.log_metric("odd", value, step=step)
        logged = mlflow.sklearn.log_model(
            tree, name="tree", registered_model_name="iris", serialization_format="cloudpickle"
        )
    mlflow.register_model(logged.model_uri, "iris")
    mlflow.register_model(logged.model_uri, "iris")
    client.delete_model_version("iris", "2")
    client.set_registered_model_alias("iris", "champion", "3")
    client.transition_model_version_stage("iris", "3", "Production")
    client.set_registered_model_tag("iris", "kind", "flowers")
    gone = client.create_run(experiment).info.run_id
    client.delete_run(gone)
    running = client.create_run(experiment, run_name="still").info.run_id
    traced = make_traces(experiment, parent.info.run_id)
    empty = client.create_experiment("closed", artifact_location=artifacts)
    client.delete_experiment(empty)
    print(
        json.dumps(
            {
                "parent": parent.info.run_id,
                "child": child.info.run_id,
                "gone": gone,
                "running": running,
                "model": logged.model_id,
                **traced,
            }
        )
    )


main()
