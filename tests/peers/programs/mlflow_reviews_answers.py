"""What scorers, label schemas and review queues are on a server, through MLflow's functions; the argument is its URI.

The last line is what was told, as JSON.
"""

import sys

import mlflow
from mlflow.genai import label_schemas, review_queues
from mlflow.genai.judges import make_judge
from mlflow.genai.scorers import (
    Guidelines,
    ScorerSamplingConfig,
    delete_scorer,
    get_scorer,
    list_scorers,
)
from mlflow_notes import Notes

notes = Notes(sys.argv[1])
ask, say = notes.ask, notes.say


@mlflow.trace
def answer(question):
    return question


def scorers():
    judge = make_judge(name="short", instructions="Is {{ outputs }} short?", model="openai:/small")
    for _ in range(2):
        say("registered", judge.register().name)
    Guidelines(name="polite", guidelines="be polite").register()
    say("listed", [each.name for each in list_scorers()])
    say("instructions", get_scorer(name="short", version=1).instructions)
    ask("no scorer", lambda: get_scorer(name="nope").name)
    ask("started", lambda: judge.start(sampling_config=ScorerSamplingConfig(sample_rate=0.5)).name)
    ask("stopped", lambda: judge.stop().name)
    delete_scorer(name="short", version=1)
    ask("deleted version", lambda: get_scorer(name="short", version=1).name)
    ask("deleted", lambda: delete_scorer(name="short", version="all"))
    say("left", [each.name for each in list_scorers()])


def questions(experiment):
    kinds = (
        label_schemas.InputPassFail(positive_label="sí", negative_label="no"),
        label_schemas.InputCategorical(options=["a", "b"], multi_select=True),
        label_schemas.InputNumeric(min_value=0, max_value=1.5),
        label_schemas.InputText(max_length=9),
    )
    made = []
    for at, kind in enumerate(kinds):
        given = {"name": f"q{at}", "type": "feedback", "input": kind, "experiment_id": experiment}
        made.append(label_schemas.create_label_schema(**given))
        ask(f"again {at}", lambda given=given: label_schemas.create_label_schema(**given).name)
        notes.know(made[-1].schema_id, f"schema {at}")
        found = label_schemas.get_label_schema(schema_id=made[-1].schema_id)
        say(f"schema {at}", [found.name, str(found.type), str(found.input), found.is_default])
    say("schemas", [each.name for each in label_schemas.list_label_schemas(experiment_id=experiment)])
    changed = label_schemas.update_label_schema(made[0].schema_id, name="ok?", instruction="Look")
    say("changed", [changed.name, changed.instruction, str(changed.input)])
    ask("another kind", lambda: label_schemas.update_label_schema(made[0].schema_id, input=kinds[3]).name)
    label_schemas.delete_label_schema(schema_id=made[3].schema_id)
    ask("a deleted schema", lambda: label_schemas.get_label_schema(schema_id=made[3].schema_id).name)
    return made[0].schema_id


def queues(experiment, schema):
    answer(1)
    mlflow.flush_trace_async_logging()
    trace = notes.know(mlflow.get_last_active_trace_id(), "trace")

    def told(item):
        return [item.item_id, str(item.status), item.completed_by, item.completed_time_ms is not None]

    queue = review_queues.create_review_queue(
        name="Queue", queue_type="custom", experiment_id=experiment, users=["Ana"], schema_ids=[schema]
    )
    notes.know(queue.queue_id, "queue")
    say("queue", [queue.name, queue.users, queue.schema_ids, queue.created_by, str(queue.queue_type)])
    own = review_queues.get_or_create_user_queue(experiment_id=experiment, user="Bo")
    say("own", [own.name, own.users, own.schema_ids, own.created_by, str(own.queue_type)])
    say(
        "added",
        [told(each) for each in review_queues.add_items_to_review_queue(queue.queue_id, item_ids=[trace])],
    )
    ask("no trace", lambda: review_queues.add_items_to_review_queue(queue.queue_id, item_ids=["tr-0"]))
    for status, by in (("complete", "Ana"), ("complete", "bo"), ("pending", None), ("declined", "bo")):
        say(
            f"{status} {by}",
            told(
                review_queues.set_review_queue_item_status(
                    queue.queue_id, item_id=trace, status=status, completed_by=by
                )
            ),
        )
    say("items", [told(each) for each in review_queues.list_review_queue_items(queue.queue_id)])
    say("queues", [each.name for each in review_queues.list_review_queues(experiment_id=experiment)])
    ask("questions", lambda: review_queues.update_review_queue(queue.queue_id, schema_ids=[]).name)
    changed = review_queues.update_review_queue(queue.queue_id, users=["cy"], name="Other")
    say("changed queue", [changed.name, changed.users, changed.schema_ids])
    mlflow.MlflowClient().delete_traces(experiment_id=experiment, trace_ids=[trace])
    say("items of deleted traces", list(review_queues.list_review_queue_items(queue.queue_id)))
    review_queues.delete_review_queue(queue.queue_id)
    ask("a deleted queue", lambda: review_queues.get_review_queue(queue_id=queue.queue_id).name)


mlflow.set_tracking_uri(sys.argv[1])
chosen = mlflow.set_experiment(notes.name("reviewed")).experiment_id
notes.know(chosen, "experiment")
scorers()
queues(chosen, questions(chosen))
notes.tell()
