"""What evaluation data sets are on a server, through MLflow's own client; the argument is the server's URI.

The cases are those that MLflow's tests of its stores go through. The last line is what was told, as JSON.
"""

import json
import sys
import time
from itertools import pairwise

from mlflow_notes import Notes

notes = Notes(sys.argv[1])
store = notes.store
ask, say = notes.ask, notes.say
USER = "mlflow.user"


def new_experiment(name):
    return store.create_experiment(notes.name(name))


def new_dataset(name, **more):
    time.sleep(0.003)
    made = store.create_dataset(notes.name(name), **more)
    return notes.know(made.dataset_id, f"data {name}")


def told(dataset_id):
    found = store.get_dataset(dataset_id)
    return {
        "name": found.name,
        "tags": found.tags,
        "schema": found.schema and json.loads(found.schema),
        "profile": found.profile and json.loads(found.profile),
        "by": [found.created_by, found.last_updated_by],
        "changed": found.last_update_time > found.created_time,
    }


def records_of(dataset_id):
    found, _ = store._load_dataset_records(dataset_id)
    for each in found:
        notes.know(each.dataset_record_id, "record")
    kept = [
        [
            each.inputs,
            each.outputs,
            each.expectations,
            each.tags,
            each.source and [each.source.source_type, each.source.source_data],
            each.source_id,
            each.created_by,
            each.last_updated_by,
        ]
        for each in found
    ]
    return sorted(kept, key=str)


def question(text, **more):
    return {"inputs": {"question": text}, **more}


def lives():
    experiments = [new_experiment("first"), new_experiment("second")]
    made = new_dataset("made", tags={"purpose": "testing", USER: "ana"}, experiment_ids=experiments)
    say("made", [told(made), made.startswith("d-")])
    say("experiments", store.get_dataset_experiment_ids(made) == experiments)
    say("without anything", told(new_dataset("plain")))
    store.set_dataset_tags(made, {"purpose": "tests", "team": "ops", USER: None})
    say("tags", told(made))
    ask("tag off", store.delete_dataset_tag, made, "team")
    ask("tag off again", store.delete_dataset_tag, made, "team")
    say("fewer tags", told(made)["tags"])
    third = new_experiment("third")
    ask("add", lambda: store.add_dataset_to_experiments(made, [third]).dataset_id)
    ask("remove", lambda: store.remove_dataset_from_experiments(made, experiments[:1]).dataset_id)
    say(
        "other experiments", sorted(store.get_dataset_experiment_ids(made)) == sorted([experiments[1], third])
    )
    ask("no such experiment", store.add_dataset_to_experiments, made, ["999999"])
    ask("name again", lambda: bool(store.create_dataset(notes.name("made"))))
    ask("no name", store.create_dataset, "")
    store.delete_dataset(made)
    ask("deleted", store.get_dataset, made, tells="not found")
    for call, *more in (
        (store.get_dataset,),
        (store.delete_dataset,),
        (store.get_dataset_experiment_ids,),
        (store.set_dataset_tags, {"a": "1"}),
    ):
        ask(f"{call.__name__} of nothing", call, "d-nonexistent", *more, tells="d-nonexistent")


def records():
    made = new_dataset("records")
    digests = [store.get_dataset(made).digest]
    trace = {"source_type": "TRACE", "source_data": {"trace_id": "trace-1", "span_id": "span-1"}}
    first = question(
        "a", expectations={"answer": "x", "score": 0.8}, tags={"v": "1", "q": "high"}, source=trace
    )
    anew = question("a", expectations={"answer": "y", "more": 0.9}, tags={"v": "2", "r": "true"})
    batches = [
        [first, question("b", tags={USER: "ben"}), anew],
        [question("a", expectations={"rating": 5}), question("c", outputs="text")],
        [question("d", expectations={}), question("e", tags={})],
        [{"inputs": {}, "expectations": {"result": "without inputs"}}],
        [{"inputs": {"n": 1, "f": 0.5, "yes": True, "l": [1], "o": {"k": 1}, "none": None}}],
        [question("h", source={"source_type": "HUMAN", "source_data": {"user": "eva"}})],
        [],
    ]
    for at, batch in enumerate(batches):
        time.sleep(0.003)
        ask(f"upsert {at}", store.upsert_dataset_records, made, batch)
        digests.append(store.get_dataset(made).digest)
        say(f"after {at}", [told(made), records_of(made)])
    say("digests", [earlier != later for earlier, later in pairwise(digests)])
    ask("no inputs", store.upsert_dataset_records, made, [{"expectations": {"a": 1}}])
    found, _ = store._load_dataset_records(made)
    ids = [each.dataset_record_id for each in found]
    ask("delete one", store.delete_dataset_records, made, ids[:1])
    ask("delete it again", store.delete_dataset_records, made, ids[:2])
    say("left", [len(records_of(made)), told(made)["profile"]])
    for label, outputs in {"object": {"k": [1, 2]}, "number": 42, "list": ["a"]}.items():
        made = new_dataset(label)
        store.upsert_dataset_records(made, [question("a", outputs=outputs)])
        say(f"outputs: {label}", [told(made), records_of(made)])
    made = new_dataset("pages")
    store.upsert_dataset_records(made, [{"inputs": {"id": at}} for at in range(25)])
    sizes, seen, token = [], set(), None
    while not sizes or token:
        page, token = store._load_dataset_records(made, max_results=10, page_token=token)
        sizes.append(len(page))
        seen |= {each.inputs["id"] for each in page}
    say("pages of records", [sizes, len(seen)])


def searches():
    one, two = new_experiment("searched 1"), new_experiment("searched 2")
    for at in range(6):
        tags = {"priority": "high" if at % 2 else "low", USER: f"user_{at % 3}"}
        new_dataset(f"set_{at}", tags=tags, experiment_ids=[[one], [two], [one, two]][at % 3])
    own = f"name LIKE '{notes.name('%')}'"

    def found(text=own, order=("name",), experiments=(one, two), **more):
        listed = store.search_datasets(list(experiments), text, order_by=list(order), **more)
        return [each.name for each in listed if each.name.startswith(notes.name(""))]

    third = store.search_datasets([one, two], f"name = '{notes.name('set_3')}'")[0]
    for text in (
        f"name = '{third.name}'",
        f"name != '{third.name}'",
        f"name LIKE '{notes.name('set%')}'",
        f"name ILIKE '{notes.name('SET%').upper()}'",
        "tags.priority = 'high'",
        "tags.priority != 'high'",
        f"{own} AND tags.priority = 'low'",
        f"created_time > {third.created_time}",
        f"created_time <= {third.created_time}",
        "created_by = 'user_1'",
        "last_updated_by = 'user_2'",
        "name = 'a' OR name = 'b'",
        "name",
    ):
        ask(f"data sets where {text}", found, text)
    ask("a field that is not there", found, "invalid_field = 'value'", tells="Invalid attribute key")
    for order in (
        ["name DESC"],
        ["created_time"],
        ["created_time DESC"],
        ["last_update_time DESC"],
        ["nope"],
    ):
        ask(f"data sets by {order}", found, order=order)
    say("of one experiment", found(experiments=(one,)))
    say("without an experiment", found(experiments=()))
    page = store.search_datasets([one, two], max_results=4)
    rest = store.search_datasets([one, two], max_results=4, page_token=page.token)
    say("pages", [len(page), len(rest), bool(rest.token)])


for section in (lives, records, searches):
    section()
notes.tell()
