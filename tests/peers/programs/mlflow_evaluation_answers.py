"""What evaluations leave on a server, through MLflow's functions; the argument is its URI.

Of an application and of a model: runs, traces with what was judged, data sets, sessions, prompts that were used, and
the metrics of a logged model. The last line is what was told, as JSON.
"""

import contextlib
import json
import os
import sys

import mlflow
from mlflow.data import from_pandas
from mlflow.entities import AssessmentSource, Feedback, SpanEvent
from mlflow.genai.datasets import create_dataset, get_dataset
from mlflow.genai.scorers import scorer
from mlflow_notes import Notes

notes = Notes(sys.argv[1])
ask, say = notes.ask, notes.say
client = mlflow.MlflowClient()
os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "false"  # what was traced is there when it is asked for

FILTERS = (
    "trace.status = 'ERROR'",
    "status = 'OK' AND execution_time_ms >= 0",
    "span.name = 'inner'",
    "span.type = 'LLM'",
    "span.status = 'ERROR'",
    "span.attributes.k LIKE '%1%'",
    "span.attributes.k = 1",
    "span.content LIKE '%boom%'",
    "span.duration_ms > 1",
    "trace.name LIKE 'out%'",
    "trace.client_request_id = 'asked-1'",
    "trace.text LIKE '%boom%'",
    "metadata.`mlflow.trace.session` = 's1'",
    "request_metadata.x = '1'",
    "tags.a IS NULL",
    "feedback.exact = 'true'",
    "expectation.a = 'no'",
    "feedback.nope = '1'",
    "timestamp_ms > 0 AND trace.end_time > 0",
)


def experiment(text):
    made = mlflow.set_experiment(notes.name(text)).experiment_id
    notes.know(made, text)
    return made


def judged(trace):
    found = sorted(trace.info.assessments, key=lambda each: each.name)
    return [[each.name, each.value, each.rationale, each.source.source_type, each.metadata] for each in found]


@scorer
def exact(outputs, expectations):
    return outputs == expectations["a"]


@scorer
def half(outputs):
    return Feedback(value=0.5, rationale=f"half of {outputs}", metadata={"kind": "fixed"})


def an_application(chosen):
    rows = [
        {"inputs": {"question": "1"}, "expectations": {"a": "1!"}},
        {"inputs": {"question": "2"}, "expectations": {"a": "no"}},
    ]
    evaluated = mlflow.genai.evaluate(
        data=rows, predict_fn=lambda question: f"{question}!", scorers=[exact, half]
    )
    run = client.get_run(notes.know(evaluated.run_id, "run"))
    say("metrics of the run", run.data.metrics)
    say("status of the run", run.info.status)
    say("inputs of the run", [each.dataset.source_type for each in run.inputs.dataset_inputs])
    traces = sorted(client.search_traces(locations=[chosen]), key=lambda each: each.data.request)
    for trace in traces:
        say("asked", [trace.data.request, trace.data.response])
        say("expected", [each[:2] for each in judged(trace) if each[0] == "a"])
        say("judged", [each[:3] for each in judged(trace) if each[0] != "a"])
    for condition in (f"run_id = '{evaluated.run_id}'", *FILTERS):
        ask(condition, lambda condition=condition: count(chosen, condition), tells="")


def count(chosen, condition):
    return len(client.search_traces(locations=[chosen], filter_string=condition))


def a_data_set(chosen):
    made = create_dataset(name=notes.name("set"), experiment_id=[chosen])
    made.merge_records([{"inputs": {"question": str(at)}, "expectations": {"a": at}} for at in range(3)])
    with mlflow.start_span("root") as span:
        span.set_inputs({"question": "of a trace"})
        span.set_outputs("answer")
    mlflow.log_expectation(trace_id=span.trace_id, name="a", value=5)
    made.merge_records([client.get_trace(span.trace_id)])
    frame = get_dataset(dataset_id=made.dataset_id).to_df()
    say("records", sorted(json.dumps(each, sort_keys=True) for each in frame["inputs"]))
    say("expected", sorted(json.dumps(each, sort_keys=True) for each in frame["expectations"]))
    evaluated = mlflow.genai.evaluate(
        data=get_dataset(dataset_id=made.dataset_id), predict_fn=lambda question: question, scorers=[half]
    )
    run = client.get_run(evaluated.run_id)
    say("metrics over a data set", run.data.metrics)
    say("inputs over a data set", [each.dataset.name for each in run.inputs.dataset_inputs])


def traces(chosen):
    @mlflow.trace(span_type="LLM", attributes={"k": 1})
    def outer(number):
        with mlflow.start_span("inner") as span:
            span.set_inputs(number)
            span.add_event(SpanEvent("seen", attributes={"q": 1}))
        return number * 2

    @mlflow.trace
    def failing():
        raise ValueError("boom")

    outer(2)
    with contextlib.suppress(ValueError):
        failing()
    for session in ("s1", "s1", "s2"):
        with mlflow.start_span("turn") as span:
            mlflow.update_current_trace(
                metadata={"mlflow.trace.session": session, "mlflow.trace.user": "ana"},
                client_request_id=f"asked-{session[1]}",
                request_preview="a question",
                response_preview="an answer",
            )
    info = client.get_trace(span.trace_id).info
    say("previews", [info.client_request_id, info.request_preview, info.response_preview])
    say("sessions", sorted((each.id, len(each)) for each in mlflow.search_sessions(locations=[chosen])))
    for condition in FILTERS:
        ask(condition, lambda condition=condition: count(chosen, condition), tells="")
    human = AssessmentSource("HUMAN", "ana")
    first = mlflow.log_feedback(trace_id=span.trace_id, name="mark", value={"x": [1]}, source=human)
    mlflow.update_assessment(
        trace_id=span.trace_id,
        assessment_id=first.assessment_id,
        assessment=Feedback(name="mark", value=2, source=human),
    )
    mlflow.override_feedback(trace_id=span.trace_id, assessment_id=first.assessment_id, value=3)
    marks = client.get_trace(span.trace_id).info.assessments
    say("marks", sorted((each.value, each.valid) for each in marks))
    ask("no trace", lambda: mlflow.get_trace("tr-none"))


def prompts():
    name = notes.name("prompt")
    mlflow.genai.register_prompt(name=name, template="hi {{x}}", commit_message="first", tags={"a": "b"})
    mlflow.genai.register_prompt(
        name=name,
        template=[{"role": "user", "content": "{{q}}"}],
        response_format={"type": "object"},
        model_config={"model_name": "small", "temperature": 0.5},
    )
    say("newest", mlflow.genai.load_prompt(name).version)
    say("settings", mlflow.genai.load_prompt(name).model_config)
    with mlflow.start_run() as run:
        mlflow.genai.load_prompt(f"prompts:/{name}/1")
    linked = json.loads(client.get_run(run.info.run_id).data.tags.get("mlflow.linkedPrompts", "[]"))
    say("linked to a run", linked)
    for version in ("1", "2"):
        client.delete_prompt_version(name, version)
    ask("delete", lambda: client.delete_prompt(name))
    say("gone", mlflow.genai.load_prompt(name, allow_missing=True))


def a_model():
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    columns, labels = load_iris(return_X_y=True, as_frame=True)
    model = LogisticRegression(max_iter=500).fit(columns, labels)
    data = from_pandas(columns.assign(label=labels), targets="label", name="iris")
    with mlflow.start_run() as run:
        logged = mlflow.sklearn.log_model(model, name="m", pip_requirements=[])
        mlflow.models.evaluate(
            logged.model_uri,
            data,
            model_type="classifier",
            evaluator_config={"log_model_explainability": False},
        )
    found = client.get_run(run.info.run_id)
    say("metrics of a model's run", found.data.metrics)
    say("its data sets", [each.dataset.name for each in found.inputs.dataset_inputs])
    say("its files", sorted(each.path for each in client.list_artifacts(run.info.run_id)))
    of_model = client.get_logged_model(logged.model_id).metrics
    say("metrics of the model", sorted((each.key, each.value, each.dataset_name) for each in of_model))


an_application(experiment("application"))
a_data_set(experiment("data set"))
traces(experiment("traces"))
prompts()
a_model()
notes.tell()
