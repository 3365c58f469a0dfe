"""What a tracking store answers through MLflow's own client; the argument is the server's URI.

The cases are those that MLflow's tests of its stores go through. The last line is what was told, as JSON.
"""

import math
import sys
import time
from threading import Thread

import requests
from mlflow.entities import (
    Dataset,
    DatasetInput,
    ExperimentTag,
    InputTag,
    LoggedModelInput,
    LoggedModelOutput,
    LoggedModelParameter,
    LoggedModelStatus,
    LoggedModelTag,
    Metric,
    Param,
    RunStatus,
    RunTag,
    ViewType,
)
from mlflow_notes import Notes

notes = Notes(sys.argv[1])
store = notes.store
ask, say = notes.ask, notes.say

INACTIVE = "must be in the 'active' state"
TOO_LONG = "exceeds the maximum length"
STATUSES = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
VIEWS = (ViewType.ACTIVE_ONLY, ViewType.DELETED_ONLY, ViewType.ALL)


def tick():
    """Let the clock of a server move on, whose moments count milliseconds."""
    time.sleep(0.003)


def new_experiment(name, **more):
    tick()
    return store.create_experiment(notes.name(name), **more)


def new_run(experiment, name="run", start=1, tags=()):
    made = store.create_run(experiment, "Anderson", start, list(tags), name)
    return notes.know(made.info.run_id, f"run {name}")


def new_model(experiment, label, **more):
    tick()
    made = store.create_logged_model(experiment_id=experiment, **more)
    if "name" not in more:
        notes.know(made.name, f"name of {label}")
    return notes.know(made.model_id, label)


def stage_of(experiment):
    found = store.get_experiment(experiment)
    return found.name, found.lifecycle_stage, found.tags, found.artifact_location


def info_of(run):
    info = store.get_run(run).info
    return info.run_name, info.status, info.start_time, info.end_time, info.lifecycle_stage, info.artifact_uri


def data_of(run):
    data = store.get_run(run).data
    return data.params, data.metrics, data.tags


def history(run, key, **more):
    found = store.get_metric_history(run, key, **more)
    return [(each.value, each.timestamp, each.step) for each in found]


def search(experiments, text="", view=ViewType.ALL, limit=1000, order=None, after=None):
    return store.search_runs(experiments, text, view, limit, order, after)


def run_names(*arguments, **named):
    return [each.info.run_name for each in search(*arguments, **named)]


def pages(find):
    """Give the sizes of all pages of a search."""
    page = find(None)
    sizes = [len(page)]
    while page.token:
        page = find(page.token)
        sizes.append(len(page))
    return sizes


def context(value):
    return [InputTag("mlflow.data.context", value)]


# --- experiments ---


def lives_of_experiments():
    made = new_experiment("goku")
    first = store.get_experiment(made)
    say("made", [stage_of(made), first.creation_time == first.last_update_time])
    ask("by name", lambda: store.get_experiment_by_name(notes.name("goku")).experiment_id == made)
    ask("by a name that is not there", store.get_experiment_by_name, "idontexist")
    tick()
    store.delete_experiment(made)
    deleted = store.get_experiment(made)
    say("deleted", [stage_of(made), deleted.last_update_time > first.last_update_time])
    ask("deleted by name", lambda: store.get_experiment_by_name(notes.name("goku")).experiment_id == made)
    ask("delete again", store.delete_experiment, made, tells="No Experiment with id=.+ exists")
    ask("set tag of deleted", store.set_experiment_tag, made, ExperimentTag("a", "b"), tells=INACTIVE)
    ask("run in deleted", store.create_run, made, "u", 0, [], "n", tells=INACTIVE)
    ask(
        "name of deleted",
        store.create_experiment,
        notes.name("goku"),
        tells=r"Experiment\(name=.+\) already exists",
    )
    tick()
    store.restore_experiment(made)
    restored = store.get_experiment(made)
    say("restored", [stage_of(made), restored.last_update_time > deleted.last_update_time])
    ask("restore again", store.restore_experiment, made, tells="No Experiment with id=.+ exists")
    tick()
    store.rename_experiment(made, notes.name("vegeta"))
    renamed = store.get_experiment(made)
    say("renamed", [stage_of(made), renamed.last_update_time > restored.last_update_time])
    ask("rename to a long name", store.rename_experiment, made, "x" * 501, tells=f"'name' {TOO_LONG}")
    ask("a long name", store.create_experiment, "x" * 501, tells=f"'name' {TOO_LONG}")
    ask("no name", store.create_experiment, "")
    for bad in ("invalid_id", "1.5", "99999"):
        for call in (store.get_experiment, store.delete_experiment, store.restore_experiment):
            ask(f"{call.__name__} {bad}", call, bad, tells="No Experiment|must be a valid integer")
        ask(f"rename {bad}", store.rename_experiment, bad, "x", tells="No Experiment|must be a valid integer")


def runs_of_deleted_experiments():
    made = new_experiment("with runs")
    first, _ = new_run(made, "first"), new_run(made, "second", 2)
    store.delete_run(first)
    store.delete_experiment(made)
    say("runs of deleted", [run_names([made], view=view) for view in VIEWS])
    ask("write to a run of deleted", store.log_metric, first, Metric("a", 1, 1, 1), tells=INACTIVE)
    store.restore_experiment(made)
    say("runs of restored", [run_names([made], view=view) for view in VIEWS])


def tags_of_experiments():
    made = new_experiment("tags", tags=[ExperimentTag("key1", "val1"), ExperimentTag("key2", "val2")])
    for key, value in [("key1", "new"), ("lines", "a\nb\nc"), ("k e y", "v"), ("empty", "")]:
        store.set_experiment_tag(made, ExperimentTag(key, value))
    say("tags", store.get_experiment(made).tags)
    long = ExperimentTag("long", "😀" * 20_000)
    ask("20000", lambda: store.set_experiment_tag(made, long))
    say("20000 characters", store.get_experiment(made).tags["long"] == long.value)
    too_long = ExperimentTag("long", "a" * 20_001)
    ask("20001", store.set_experiment_tag, made, too_long, tells="exceeds the maximum length of 20000")
    ask("empty key", store.set_experiment_tag, made, ExperimentTag("", "v"))
    ask("a//b", store.set_experiment_tag, made, ExperimentTag("a//b", "v"))
    ask("delete tag", store.delete_experiment_tag, made, "key1")
    ask("delete it again", store.delete_experiment_tag, made, "key1", tells="No tag with name: key1")


def searches_of_experiments():
    values = {"a": {"key1": "value", "key2": "value"}, "ab": {"key1": "vaLue", "key2": "vaLue"}}
    for name, tags in {**values, "Abc": {"k e y 1": "value"}, "under_score": {}}.items():
        new_experiment(name, tags=[ExperimentTag(*tag) for tag in tags.items()])
    store.delete_experiment(new_experiment("gone"))
    own = f"name LIKE '{notes.name('%')}'"

    def found(text=own, order=("name",), view=ViewType.ACTIVE_ONLY):
        listed = store.search_experiments(view, 1000, text, list(order))
        return [each.name for each in listed if each.name.startswith(notes.name(""))]

    a = store.get_experiment_by_name(notes.name("a"))
    filters = [
        *(f"{name} = '{a.name}'" for name in ("name", "attribute.name", "attribute.`name`")),
        *(f"name {text}" for text in (f"!= '{a.name}'", "LIKE 'a%'", f"LIKE '{notes.name('a%')}'")),
        f"name ILIKE '{notes.name('A%').upper()}' AND name ILIKE '%b'",
        f"name LIKE '{notes.name('under_score')}'",
        "tag.key1 = 'value'",
        "tags.key1 != 'value'",
        "tag.key1 != 'VALUE'",
        "tag.`k e y 1` = 'value'",
        "tag.\"k e y 1\" = 'value'",
        "tag.key1 LIKE 'val%'",
        "tag.key1 ILIKE '%alu%'",
        "tag.key1 LIKE 'va%' AND tag.key2 LIKE '%Lue'",
        "tag.KEY = 'value'",
        "tag.key1 IS NOT NULL",
        "tag.key1 IS NOT NULL AND tag.key2 IS NULL",
        f"tag.key2 IS NULL AND {own}",
        *(f"creation_time {sign} {a.creation_time} AND {own}" for sign in ("=", "!=", ">", ">=", "<", "<=")),
        f"last_update_time >= {a.last_update_time} AND {own}",
        "creation_time = 'x'",
        "metrics.a > 1",
        f"name = '{a.name}' OR name = 'b'",
        "name > 'a'",
        "name",
    ]
    for text in filters:
        ask(f"experiments where {text}", found, text)
    ask("name IS NULL", found, "name IS NULL", tells="IS NULL / IS NOT NULL is only supported for tags")
    for order in ("name", "name DESC", "experiment_id DESC", "creation_time", "last_update_time DESC"):
        ask(f"experiments by {order}", found, order=[order])
    for order in ("nope", "name sideways", "tags.a", ""):
        ask(f"experiments by {order!r}", found, order=[order])
    say("by default", found(order=()))
    say("views", [found(view=view) for view in VIEWS])
    for limit in (0, 50_001):
        asked = {"max_results": limit, "tells": f"Invalid value {limit} for parameter 'max_results' supplied"}
        ask(f"at most {limit} experiments", store.search_experiments, **asked)
    ask(
        "a token of nobody",
        store.search_experiments,
        max_results=1,
        page_token="bad",
        tells="nvalid page token",
    )
    say(
        "pages",
        pages(lambda after: store.search_experiments(max_results=3, filter_string=own, page_token=after)),
    )


# --- runs ---


def lives_of_runs():
    made = new_experiment("runs")
    run = store.create_run(made, "Anderson", 5, [RunTag("3", "4"), RunTag("1", "2")], "name")
    notes.know(run.info.run_id, "run")
    say("answer", [run.data.tags, run.info.user_id, run.info.start_time, run.info.end_time, run.info.status])
    say("run", [info_of(run.info.run_id), data_of(run.info.run_id), run.inputs.dataset_inputs])
    say("named by tag", info_of(new_run(made, None, tags=[RunTag("mlflow.runName", "test")]))[0])
    twice = [RunTag("mlflow.runName", "test_2")]
    ask("two names", store.create_run, made, "u", 0, twice, "test", tells="Both 'run_name' argument and")
    for name in ("", None):
        say(f"made-up name for {name!r}", len(info_of(new_run(made, name))[0].split("-")))
    for status in STATUSES:
        run = new_run(made, status, 1000)
        amended = store.update_run_info(run, RunStatus.from_string(status), 2000, None)
        say(f"{status} with end", [amended.status, amended.end_time, info_of(run)])
        run = new_run(made, status, 1000)
        amended = store.update_run_info(run, RunStatus.from_string(status), None, "other")
        say(f"{status} without end", [amended.status, amended.end_time, amended.run_name, info_of(run)])
    run = new_run(made, "gone")
    for call in (store.restore_run, store.delete_run, store.delete_run):
        ask(f"{call.__name__} again", call, run)
    ask("param of deleted", store.log_param, run, Param("p", "v"), tells=INACTIVE)
    ask("metric of deleted", store.log_metric, run, Metric("m", 1.0, 1, 0), tells=INACTIVE)
    ask("tag of deleted", store.set_tag, run, RunTag("t", "v"), tells=INACTIVE)
    ask("tag off deleted", store.delete_tag, run, "t", tells=INACTIVE)
    ask("end of deleted", store.update_run_info, run, RunStatus.FINISHED, 5, None, tells=INACTIVE)
    store.restore_run(run)
    say("back", [info_of(run), data_of(run)])
    for call in (store.get_run, store.delete_run, store.restore_run):
        ask(f"{call.__name__} of nothing", call, "0" * 32, tells="Run with id=0+ not found")


def names_of_runs():
    run = new_run(new_experiment("names"), "first")

    def both():
        found = store.get_run(run)
        return found.info.run_name, found.data.tags.get("mlflow.runName")

    name_tag = "mlflow.runName"
    changes = [
        ("update", store.update_run_info, (run, RunStatus.FINISHED, 1000, "new name")),
        ("update without name", store.update_run_info, (run, RunStatus.FINISHED, 1000, None)),
        ("update with empty name", store.update_run_info, (run, RunStatus.FINISHED, 1000, "")),
        ("tag off", store.delete_tag, (run, name_tag)),
        ("tag off again", store.delete_tag, (run, name_tag)),
        ("update anew", store.update_run_info, (run, RunStatus.FINISHED, 1000, "newer name")),
        ("tag", store.set_tag, (run, RunTag(name_tag, "newest name"))),
        ("batch", store.log_batch, (run, [], [], [RunTag(name_tag, "batch name"), RunTag("k", "v")])),
    ]
    for label, call, arguments in changes:
        ask(f"{label}: done", lambda call=call, arguments=arguments: call(*arguments) and None)
        say(label, both())


def params_and_tags():
    made = new_experiment("params")
    run, other = new_run(made, "one"), new_run(made, "two")
    for key, value in [
        ("a", "1"),
        ("a", "1"),
        ("b", ""),
        ("c", "x" * 6000),
        ("d", "x" * 6001),
        ("é 1/2.x:y-z", "ñ"),
    ]:
        ask(f"param {key}", store.log_param, run, Param(key, value))
    ask("param anew", store.log_param, run, Param("a", "2"), tells="Changing param values is not allowed")
    for key in ("", "a//b", "/a", "../a", "k" * 251):
        ask(f"param {key[:9]!r}", store.log_param, run, Param(key, "v"))
        ask(f"tag {key[:9]!r}", store.set_tag, run, RunTag(key, "v"))
    for key, value in [
        ("t", "boogie"),
        ("t", "new"),
        ("long", "a" * 7999),
        ("longer", "a" * 8001),
        ("e", ""),
    ]:
        ask(f"tag {key}", store.set_tag, run, RunTag(key, value))
    say("kept", [{key: len(value) for key, value in each.items()} for each in data_of(run)[::2]])
    for each in (run, other):
        store.set_tag(each, RunTag("shared", "v"))
    store.delete_tag(run, "shared")
    say("tag off one run", ["shared" in data_of(each)[2] for each in (run, other)])
    ask("tag off that is not there", store.delete_tag, run, "fakeTag", tells="No tag with name")
    ask("tag off no run", store.delete_tag, "randomRunId", "t", tells="Run with id=randomRunId not found")


def metrics():
    made = new_experiment("metrics")
    run = new_run(made, "values")
    points = [("a", 100.0, 5, 0), ("a", 100.0, 7, 0), ("nan", math.nan, 0, 0), ("up", math.inf, 0, 0)]
    for point in [*points, ("down", -math.inf, 0, 0), ("back", 1.0, 1, -7), ("far", 1.0, 1, 2**62)]:
        store.log_metric(run, Metric(*point))
    say("latest", data_of(run)[1])
    ask(
        "no value",
        store.log_metric,
        run,
        Metric("n", None, 1, 0),
        tells="Missing value for required parameter 'value'",
    )
    run = new_run(made, "order")
    for step, at, value in reversed(
        [(0, 100, 1000), (3, 40, 100), (3, 50, 10), (3, 50, 20), (3, 50, 20), (-3, 9, 9)]
    ):
        store.log_metric(run, Metric("k", value, at, step))
    last = store.get_run(run).data._metric_objs[0]
    say("history", [history(run, "k"), last.step, last.timestamp, last.value, history(run, "nothing")])
    run = new_run(made, "pages")
    store.log_batch(run, [Metric("t", float(i), 1000 + i, i) for i in range(10)], [], [])
    for limit in (0, 3, 10, 11, None):
        ask(f"history of {limit}", history, run, "t", max_results=limit)
    say("pages of history", pages(lambda after: store.get_metric_history(run, "t", 4, after)))
    ask("a token of no history", history, run, "t", page_token="invalid_token", tells="Invalid page token")
    ask("history of no run", history, "0" * 32, "t", tells="Run with id=0+ not found")
    store.log_batch(run, [Metric("flat", float(i), 1000 + i, 0) for i in range(1000)], [], [])
    for asked in (
        {"metric_key": "t", "max_results": 4},
        {"metric_key": "t", "max_results": 320, "start_step": 2, "end_step": 5},
        {"metric_key": "flat", "max_results": 10},
        {"metric_key": "nothing", "max_results": 10},
    ):
        url = f"{notes.uri}/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval"
        answer = requests.get(url, params={"run_ids": [run], **asked}, timeout=60).json()
        say(f"sampled {asked}", [(each["value"], each.get("step")) for each in answer.get("metrics", [])])


def writers_at_once():
    made = new_experiment("writers")
    runs = [new_run(made, f"writer {at}") for at in range(2)]

    def write(run):
        for value in range(20):
            store.log_metric(run, Metric("single", value, 1000, 0))
        for batch in range(3):
            store.log_batch(
                run, [Metric(f"batch {batch}", 100 * batch + at, 1000, 0) for at in range(100)], [], []
            )

    threads = [Thread(target=write, args=(run,)) for run in runs * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    keys = ("single", "batch 0", "batch 1", "batch 2")
    say("written at once", [[len(history(run, key)) for key in keys] for run in runs])


def batches():
    made = new_experiment("batches")
    twice = ([("k", 1, 2, 0), ("k", 2, 3, 0)], [], [])
    not_finite = ([("n", math.nan, 0, 0), ("u", math.inf, 0, 0), ("n", math.nan, 0, 0)], [], [])
    cases = {
        "all kinds": [([("m", 0.87, 12345, 0)], [("p", "v")], [("t", "v"), ("mlflow.runName", "mine")])],
        "nothing": [([], [], [])],
        "a changed param": [([], [("p", "v")], []), ([("m", 3.0, 1, 0)], [("p", "w")], [("t", "v")])],
        "old and new params": [([], [("a", "0"), ("b", "1")], []), ([], [("a", "0"), ("c", "2")], [])],
        "a param twice": [([("m", 3.0, 1, 0)], [("p", "v"), ("p", "w")], [("t", "v")])],
        "a tag twice": [([], [], [("t", "v"), ("t", "w")])],
        "points twice": [twice, twice],
        "not finite": [not_finite, not_finite],
        "a bad metric": [([("a//b", 1.0, 5, 1)], [("p", "v")], [("t", "v")])],
        "a bad param": [([("a", 1.0, 5, 1)], [("p//", "v")], [("t", "v")])],
        "a bad tag": [([("a", 1.0, 5, 1)], [("p", "v")], [("/t", "v")])],
        "long values": [([], [("p", "x" * 6001)], [("t", "x" * 8001)])],
        "a long key": [([], [("p" * 251, "v")], [])],
    }
    for label, sent in cases.items():
        run = new_run(made, label)
        for points, params, tags in sent:
            entities = (
                [Metric(*each) for each in points],
                [Param(*each) for each in params],
                [RunTag(*each) for each in tags],
            )
            ask(f"batch: {label}", store.log_batch, run, *entities)
        params, latest, tags = data_of(run)
        say(f"kept of {label}", [params, tags, {key: history(run, key) for key in latest}])
    run = new_run(made, "sizes")
    for n_metrics, n_params, n_tags in [
        (1000, 0, 0),
        (1001, 0, 0),
        (0, 101, 0),
        (0, 0, 101),
        (801, 100, 100),
    ]:
        points = [Metric(f"m{at}", float(at), 1, at) for at in range(n_metrics)]
        params = [Param(f"p{at}", "v") for at in range(n_params)]
        tags = [RunTag(f"t{at}", "v") for at in range(n_tags)]
        asked = {"tells": "can contain at most"}
        ask(f"{n_metrics}, {n_params} and {n_tags}", store.log_batch, run, points, params, tags, **asked)
    say("kept of sizes", [len(each) for each in data_of(run)])
    ask("batch for no run", store.log_batch, "0" * 32, [], [], [], tells="Run with id=0+ not found")


# --- searches of runs ---


def searches_of_runs():
    made = new_experiment("search")
    a, b, c = (new_run(made, name, start) for start, name in enumerate("ABC", 1))
    logged = {
        a: ({"p": "v", "q": "some value", "only a": "abc"}, [("m", 1.0, 1, 0), ("x", 1.0, 1, 0)]),
        b: (
            {"p": "v", "q": "another value"},
            [("m", 1.0, 1, 0), ("x", 3.0, 2, 0), ("x", 400.0, 8, 0), ("x", 8.0, 3, 0)],
        ),
        c: (
            {"100": "100%", "quote": "it's"},
            [("nan", math.nan, 1, 0), ("up", math.inf, 1, 0), ("k:y", 0.0, 1, 0)],
        ),
    }
    for run, (values, points) in logged.items():
        entries = values.items()
        store.log_batch(
            run,
            [Metric(*each) for each in points],
            [Param(*each) for each in entries],
            [RunTag(*each) for each in entries],
        )
    store.update_run_info(b, RunStatus.FAILED, 300, None)
    sets = [Dataset(f"name{at}", f"digest{at}", "st", "source") for at in range(3)]
    uses = {a: [(0, "train"), (1, "eval")], b: [(0, "train"), (2, "eval")], c: [(1, "test")]}
    for run, read in uses.items():
        store.log_inputs(run, [DatasetInput(sets[at], context(why)) for at, why in read])
    uri = store.get_run(a).info.artifact_uri
    kinds = [f"{kind}.{text}" for kind in ("params", "tags") for text in _TEXTS]
    others = [text.format(a=a, b=b, upper=a.upper(), uri=uri, upper_uri=uri.upper()) for text in _FILTERS]
    for text in [*kinds, *others]:
        ask(f"runs where {text}", run_names, [made], text, order=["start_time"])
    for order in _ORDERS:
        ask(f"runs by {order}", run_names, [made], order=order)
    for text in ("metrics.m IS NULL", "attributes.status IS NULL"):
        ask(text, run_names, [made], text, tells="IS NULL / IS NOT NULL is only supported")
    ask(
        "at most 50001", search, [made], limit=50_001, tells="Invalid value 50001 for parameter 'max_results'"
    )
    for bad in ("", "12abc"):
        asked = {"tells": "Experiment ID must be a valid integer"}
        ask(f"runs of {bad!r}", run_names, [bad], **asked)
        ask(f"models of {bad!r}", store.search_logged_models, [bad], **asked)
    other = new_experiment("search more")
    new_run(other, "Z", 10)
    say("in two experiments", run_names([made, other]))
    store.delete_run(c)
    say("views of runs", [run_names([made], view=view) for view in VIEWS])


_TEXTS = (
    "p = 'v'",
    "p = 'V'",
    "p != 'v'",
    "p != 'V'",
    "q LIKE '%other%'",
    "q LIKE 'other%'",
    "q LIKE '%Other%'",
    "q ILIKE '%Other%'",
    "`only a` = 'abc'",
    "\"only a\" = 'abc'",
    "p IS NULL",
    "p IS NOT NULL",
    "`100` LIKE '100\\%'",
    'quote = "it\'s"',
    "p = 5",
    "p > 'a'",
)
_FILTERS = (
    *(
        f"metrics.m {text}"
        for text in ("= 1.0", "> 0.0", ">= 0", "< 4", "<= 0.75", "!= 1.0", "= 'x'", "LIKE 1")
    ),
    *(f"metrics.x {text}" for text in ("= 400", "< 50.0", "!= -12.0", "= 3", "= 8")),
    *(f"metrics.nan {text}" for text in ("> 0", "= 0", "!= 0")),
    "metrics.up > 1e300",
    "metrics.`k:y` = 0",
    *(f"attribute.status {text}" for text in ("= 'RUNNING'", "= 'FAILED'", "!= 'blah'", "= 'SCHEDULED'")),
    *(
        f"attr.artifact_uri {text}"
        for text in ("= '{uri}'", "= '{upper_uri}'", "LIKE '%{a}%'", "ILIKE '%{upper}%'")
    ),
    *(f"attribute.{name} = '1'" for name in ("experiment_id", "lifecycle_stage")),
    *(f"attributes.{name} = 'A'" for name in ("run_name", "`run name`", "`Run name`", "`Run Name`")),
    "tags.`mlflow.runName` = 'B'",
    *(
        f"run_id {text}"
        for text in ("= '{a}'", "!= '{a}'", "IN ('{a}')", "IN ('{a}',  '{b}')", "NOT IN ('{a}')")
    ),
    "run_name = 'A' AND run_id IN ('{a}')",
    "attributes.created > 1",
    "attributes.Created > 2",
    "start_time != 2",
    "end_time > 0",
    "end_time != 300",
    "user_id LIKE 'And%'",
    "dataset.name = 'name1'",
    "dataset.name = 'name9'",
    "dataset.context = 'test' and dataset.name = 'name1'",
    "datasets.name IN ('name1', 'name2')",
    "datasets.digest NOT IN ('digest1')",
    "datasets.name LIKE 'Name%'",
    "datasets.name ILIKE 'Name%'",
    "datasets.context IN ('test', 'train')",
    "params.p = 'v' AND dataset.name = 'name0' AND dataset.context = 'train' AND metrics.m = 1",
    "params.p = 'v' and metrics.m = 1.0 and params.`only a` ILIKE 'A%'",
    "params.p = 'v' OR params.p = 'w'",
    "params.p = v",
    "foo.bar = 'x'",
    "(params.p = 'v')",
)
_ORDERS = (
    ["metrics.m", "start_time"],
    ["metrics.x DESC"],
    ["metrics.up", "metrics.nan"],
    ["params.q"],
    ["tags.q desc"],
    ["attributes.created ASC"],
    ["end_time"],
    ["end_time DESC"],
    ["status", "run_name DESC"],
    [],
    ["nope"],
    ["metrics.m sideways"],
)


def orders_of_runs():
    made = new_experiment("orders")
    for value, label in zip([None, "nan", "inf", "-inf", "-1000", "0", "0", "1000"], "12345678", strict=True):
        run = new_run(made, f"{value}/{label}", 123, [RunTag("label", label)])
        if value:
            store.log_batch(run, [Metric("x", float(value), 1, 0), Metric("y", float(label), 1, 0)], [], [])
        store.log_param(run, Param("label", label))
    for first in ("metrics.x asc", "metrics.x desc"):
        for second in ("metrics.y asc", "metrics.y desc", "tag.label asc", "param.label desc"):
            say(f"by {first}, {second}", run_names([made], order=[first, second]))
    made = new_experiment("ends")
    for start, end in enumerate([234, None, 456, -123, 789, 123]):
        store.update_run_info(new_run(made, str(end), start), RunStatus.FINISHED, end, None)
    for order in (["end_time asc"], ["end_time desc"], ["start_time asc", "end_time desc"]):
        say(f"by {order}", run_names([made], order=order))
    made = new_experiment("ties")
    runs = sorted(new_run(made, f"tie {at}", 10) for at in range(8))
    say("ties by id", [each.info.run_id for each in search([made])] == runs)
    say(
        "pages of runs",
        [pages(lambda after, n=n: search([made], limit=n, after=after)) for n in (3, 4, 8, 9)],
    )


# --- data sets and logged models ---


def data_sets():
    made = new_experiment("data")
    sets = [Dataset(f"name{at}", f"digest{at}", "st", "source", "schema", "profile") for at in range(3)]

    def read_by(run):
        inputs = sorted(
            store.get_run(run).inputs.dataset_inputs,
            key=lambda each: (each.dataset.name, each.dataset.digest),
        )
        return [[each.dataset, {tag.key: tag.value for tag in each.tags}] for each in inputs]

    first, second = new_run(made, "first"), new_run(made, "second")
    store.log_inputs(
        first, [DatasetInput(sets[0], context("train")), DatasetInput(sets[1], [InputTag("k", "v")])]
    )
    store.log_inputs(second, [DatasetInput(sets[0], context("test")), DatasetInput(sets[0], context("test"))])
    changed = Dataset("name0", "digest0", "other", "other", "other", "other")
    store.log_inputs(first, [DatasetInput(changed, context("other"))])
    store.log_inputs(first, [DatasetInput(Dataset("name0", "anew", "st", "s"), [])])
    ask("no data sets", store.log_inputs, first)
    say("read", [read_by(first), read_by(second)])
    url = f"{notes.uri}/ajax-api/2.0/mlflow/experiments/search-datasets"
    found = requests.post(url, json={"experiment_ids": [made]}, timeout=60).json()["dataset_summaries"]
    say("listed", sorted((each["name"], each["digest"], each.get("context")) for each in found))
    good = {"name": "n", "digest": "d", "source_type": "type", "source": "source"}
    for name, limit in {"name": 500, "digest": 36, "source": 65_535, "schema": 1_048_575}.items():
        for size in (limit, limit + 1):
            sized = DatasetInput(Dataset(**{**good, name: "a" * size}), [])
            asked = {"tells": f"'{name}' {TOO_LONG} of {limit}"}
            ask(f"{name} of {size}", store.log_inputs, new_run(made, f"{name} {size}"), [sized], **asked)
    for tag in (InputTag("a" * 256, "v"), InputTag("k", "a" * 501)):
        sized = DatasetInput(Dataset(**good), [tag])
        ask(f"tag of {len(tag.key)} and {len(tag.value)}", store.log_inputs, first, [sized], tells=TOO_LONG)
    run, model = new_run(made, "models"), new_model(made, "model")
    store.log_outputs(run, [LoggedModelOutput(model, 1)])
    store.log_inputs(run, models=[LoggedModelInput(model)])
    kept = store.get_run(run)
    say("models of the run", [kept.outputs.model_outputs, kept.inputs.model_inputs])
    found = search([made], "run_name = 'models'")
    say(
        "models of a found run",
        [[(each.model_id, each.step) for each in run.outputs.model_outputs] for run in found],
    )


def model_of(found):
    metrics = sorted(
        (m.key, m.value, m.step, m.timestamp, m.dataset_name or "", m.run_id) for m in found.metrics or []
    )
    return (
        found.name,
        str(found.status),
        found.model_type,
        found.source_run_id,
        found.tags,
        found.params,
        metrics,
    )


def logged_models():
    made = new_experiment("models")
    run = new_run(made, "source")
    for label, more in {
        "plain": {},
        "named": {"name": "my_model", "model_type": "t", "source_run_id": run},
        "with tags": {
            "name": "x",
            "tags": [LoggedModelTag("t", "1")],
            "params": [LoggedModelParameter("p", "1")],
        },
        "with many params": {
            "name": "x",
            "params": [LoggedModelParameter(f"p{at}", "v") for at in range(101)],
        },
    }.items():
        model = new_model(made, label, **more)
        found = store.get_logged_model(model)
        say(label, [model_of(found), found.artifact_location, found.model_uri])
    for name in ("my/model", "my.model", "my:model", "my%model", "my'model", 'my"model'):
        ask(f"model {name}", store.create_logged_model, made, name, tells="Invalid model name")
    model = new_model(made, "changing", name="changing")
    store.log_logged_model_params(model, [LoggedModelParameter("p", "apple")])
    for tags in ({"a": "1"}, {"b": "2", "c": ""}, {"b": "3"}):
        store.set_logged_model_tags(model, [LoggedModelTag(*tag) for tag in tags.items()])
    store.delete_logged_model_tag(model, "a")
    ask("tag off a model again", store.delete_logged_model_tag, model, "a", tells="No tag with key")
    for status in (LoggedModelStatus.READY, LoggedModelStatus.FAILED):
        say(f"model {status}", str(store.finalize_logged_model(model, status).status))
    score = {"model_id": model, "dataset_name": "dn", "dataset_digest": "dd", "run_id": run}
    for value, at, step in [(1, 1000, 3), (1, 1000, 3), (9, 2000, 2), (5, 2000, 3)]:
        store.log_batch(run, [Metric("score", value, at, step, **score)], [], [])
    say("changed model", model_of(store.get_logged_model(model)))
    calls = {
        "get": (store.get_logged_model,),
        "delete": (store.delete_logged_model,),
        "tag": (store.set_logged_model_tags, [LoggedModelTag("a", "b")]),
        "end": (store.finalize_logged_model, LoggedModelStatus.READY),
    }
    for label, (call, *more) in calls.items():
        ask(f"{label} no model", call, "does-not-exist", *more, tells="not found")
    store.delete_run(run)
    say("model of a deleted run", model_of(store.get_logged_model(model)))
    store.delete_logged_model(model)
    ask("deleted model", store.get_logged_model, model, tells="not found")
    say("models left", [each.name for each in store.search_logged_models([made])])
    store.delete_experiment(made)
    ask("model in a deleted experiment", store.create_logged_model, made, tells=INACTIVE)


def searches_of_models():
    made, other = new_experiment("models a"), new_experiment("models b")
    run = new_run(made)
    first = new_model(made, "first", name="first", params=[LoggedModelParameter("p", "v")])
    second = new_model(made, "second", name="second", tags=[LoggedModelTag("a tag", "v")], source_run_id=run)
    new_model(other, "third", name="third")
    scores = [
        (first, "m", 0.1, "x"),
        (first, "m", 1.0, "y"),
        (second, "m", 0.2, "x"),
        (second, "m", 0.1, "y"),
    ]
    for at, (model, key, value, digest) in enumerate([*scores, (second, "n", 1.0, None)]):
        on = {} if digest is None else {"dataset_name": "d1", "dataset_digest": digest}
        store.log_metric(run, Metric(key, value, at, 0, model_id=model, run_id=run, **on))

    def found(**more):
        return [each.name for each in store.search_logged_models([made], **more)]

    for text in (
        "name = 'first'",
        "attributes.name LIKE 'fir%'",
        "name IN ('first')",
        "name IN ('first',)",
        "name NOT IN ('first', 'foo')",
        f"model_id = '{first}'",
        f"source_run_id = '{run}'",
        "creation_timestamp > 0",
        "creation_timestamp = 0",
        "params.p = 'v'",
        "tags.`a tag` = 'v' AND creation_timestamp > 0",
        "metrics.m > 0.5",
        "metrics.m < 3",
        "metrics.nothing > 0",
    ):
        ask(f"models where {text}", found, filter_string=text)
    for text, tells in {
        "Foo": "Invalid filter string",
        "name = 'foo' OR name = 'bar'": "Invalid filter string",
        "foo.bar = 'a'": "Invalid entity type",
        "name > 'foo'": "Invalid comparison operator",
        "metrics.foo LIKE 0": "Invalid comparison operator",
    }.items():
        ask(f"models where {text}", found, filter_string=text, tells=tells)
    for order in (
        {"field_name": "creation_timestamp", "ascending": True},
        {"field_name": "creation_time"},
        {"field_name": "name", "ascending": False},
        {"field_name": "metrics.m"},
        {"field_name": "metrics.m", "ascending": False, "dataset_name": "d1", "dataset_digest": "x"},
        {"field_name": "metrics.m", "dataset_name": "d1", "dataset_digest": "y"},
        {"field_name": "metrics.n"},
        {"field_name": "metrics.n", "ascending": False},
        {"field_name": "nothing"},
    ):
        ask(f"models by {order}", found, order_by=[order])
    read = {"dataset_name": "d1", "dataset_digest": "x"}
    ask("models on data", found, filter_string="metrics.m > 0.15", datasets=[read])
    say("of two experiments", len(store.search_logged_models([made, other])))
    page = store.search_logged_models([made], max_results=1)
    say(
        "pages of models",
        pages(lambda after: store.search_logged_models([made], max_results=1, page_token=after)),
    )
    ask(
        "page of others",
        lambda: store.search_logged_models([other], page_token=page.token),
        tells="Experiment IDs in the page token do not match",
    )
    ask(
        "page in another order",
        lambda: store.search_logged_models([made], order_by=[{"field_name": "name"}], page_token=page.token),
        tells="Order by in the page token does not match",
    )


for section in (
    lives_of_experiments,
    runs_of_deleted_experiments,
    tags_of_experiments,
    searches_of_experiments,
    lives_of_runs,
    names_of_runs,
    params_and_tags,
    metrics,
    writers_at_once,
    batches,
    searches_of_runs,
    orders_of_runs,
    data_sets,
    logged_models,
    searches_of_models,
):
    section()
notes.tell()
