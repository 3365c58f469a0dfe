"""Experiments, runs and logged models through MLflow's client: `python mlflow_client_runs.py SERVER`.

See `mlflow_outcomes.py`.
"""

import tempfile
import threading
import time
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import requests
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import LoggedModelInput, LoggedModelOutput, Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow_outcomes import URI, client, end, tell, tell_each

NO_RUN = "0" * 32
HOME = mlflow.set_experiment("home").experiment_id


def new_run(**described):
    """Start a run, and give its id."""
    return client.create_run(HOME, **described).info.run_id


def experiments():
    """Make, rename, tag, delete and restore experiments."""
    tell_each(
        "create",
        lambda name: type(client.create_experiment(name)).__name__,
        (None, "", 5, "x" * 500, "y" * 501),
    )
    made = client.create_experiment("made", tags={"a": "b"})
    tell(
        "made",
        lambda: {key: value for key, value in client.get_experiment(made) if key != "artifact_location"},
    )
    tell("a name twice", client.create_experiment, "made")
    tell("by no name", client.get_experiment_by_name, "nope")
    tell_each("get", client.get_experiment, ("99999999", "abc", "-1337", ""))
    tell("set none", mlflow.set_experiment, experiment_id="-1337")
    client.delete_experiment(made)
    for name, call in {
        "delete": lambda: client.delete_experiment(made),
        "create": lambda: client.create_experiment("made"),
        "set": lambda: mlflow.set_experiment("made"),
        "set by id": lambda: mlflow.set_experiment(experiment_id=made),
        "tag": lambda: client.set_experiment_tag(made, "k", "v"),
        "run": lambda: client.create_run(made),
        "restore": lambda: client.restore_experiment(made),
        "restore again": lambda: client.restore_experiment(made),
    }.items():
        tell(f"deleted experiment: {name}", call)
    tell("restore none", client.restore_experiment, "99999999")
    tell_each(
        "rename to", lambda name: client.rename_experiment(made, name), ("renamed", "", "Default", "renamed")
    )
    pairs = (
        ("x" * 250, "v"),
        ("x" * 251, "v"),
        ("k", "v" * 20_000),
        ("k", "v" * 20_001),
        ("a//b", "v"),
        ("", ""),
    )
    for key, value in pairs:
        tell(f"tag {key[:5]} {len(key)} {len(value)}", client.set_experiment_tag, made, key, value)
    tell("untag", client.delete_experiment_tag, made, "a")
    tell("untag again", client.delete_experiment_tag, made, "a")
    tell("tags", lambda: {key: len(value) for key, value in client.get_experiment(made).tags.items()})
    tell("a strange name", lambda: client.get_experiment(client.create_experiment("a b/ñ %20?#")).name)
    tell("the restored", restored)
    tell("in threads", one_experiment_for_threads)


def restored():
    """A restored experiment has all its runs, also those deleted before it."""
    experiment = client.create_experiment("restored")
    runs = [client.create_run(experiment).info.run_id for _ in range(2)]
    client.delete_run(runs[0])

    def stages():
        return [client.get_run(run).info.lifecycle_stage for run in runs]

    seen = [stages()]
    client.delete_experiment(experiment)
    seen.append(stages())
    client.restore_experiment(experiment)
    found = [len(client.search_runs([experiment], run_view_type=view)) for view in range(1, 4)]
    client.log_metric(runs[0], "m", 1)
    return [*seen, stages(), found]


def one_experiment_for_threads():
    """Threads that set an experiment which is not there yet get the same one."""
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(mlflow.set_experiment("raced").experiment_id))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(found), len(set(found))


def searches_of_experiments():
    """Search experiments."""
    for n in range(4):
        time.sleep(0.002)
        client.create_experiment(f"sought {n}", tags={"tag": "xxyz"[n]})
    client.delete_experiment(client.get_experiment_by_name("sought 3").experiment_id)
    like = "name LIKE 'sought%'"

    def names(text=like, **asked):
        return [each.name for each in client.search_experiments(filter_string=text, **asked)]

    tails = (
        "tags.tag = 'x'",
        "tags.tag != 'x'",
        "creation_time > 0",
        "tags.tag IS NULL",
        "name ILIKE 'SOUGHT _'",
    )
    tell_each("experiments with", names, [f"{like} AND {tail}" for tail in tails])
    for view in (ViewType.ACTIVE_ONLY, ViewType.DELETED_ONLY, ViewType.ALL):
        tell(f"experiments of view {view}", names, view_type=view)
    for order in (["name DESC"], ["creation_time"], ["last_update_time desc"], ["experiment_id"]):
        tell(f"experiments by {order}", names, view_type=ViewType.ALL, order_by=order)
    for limit in (0, -1, 1, 50_000, 50_001):
        tell(f"{limit} experiments", names, max_results=limit)


def runs():
    """Start, name, end and resume runs."""

    def head(run):
        left_out = ("artifact_uri", "experiment_id", "run_id", "run_uuid")
        return {key: value for key, value in run.info if key not in left_out}

    for name, given in {
        "plain": {},
        "named": {"run_name": "my name"},
        "named by tag": {"tags": {"mlflow.runName": "t"}},
        "named twice": {"run_name": "a", "tags": {"mlflow.runName": "b"}},
        "nameless": {"run_name": ""},
        "of a user": {"tags": {"mlflow.user": "bob"}},
        "old": {"start_time": 5},
        "of no time": {"start_time": 0},
    }.items():
        tell(f"run {name}", lambda: head(client.create_run(HOME, **given)))  # noqa: B023
    tell_each("run in", lambda e: head(client.create_run(e)), ("99999999", None))
    for name, end_it in {
        "now": client.set_terminated,
        "failed": lambda run: client.set_terminated(run, "FAILED", 5),
        "at zero": lambda run: client.set_terminated(run, "KILLED", 0),
        "badly": lambda run: client.set_terminated(run, "bad"),
        "by status": lambda run: client.update_run(run, status="FINISHED"),
        "by status and name": lambda run: client.update_run(run, status="FAILED", name="z"),
        "scheduled": lambda run: client.update_run(run, status="SCHEDULED"),
        "renamed": lambda run: client.update_run(run, name="z"),
    }.items():
        run_id = new_run(run_name="n")
        tell(f"end {name}", end_it, run_id)
        tell(f"ended {name}", lambda: head(client.get_run(run_id)))  # noqa: B023
    for body in ({"status": "FINISHED"}, {"end_time": 5}, {"status": "RUNNING", "end_time": 9}, {}):
        tell(f"updated with {body}", updated, body)
    tell("resumed", resumed)
    tell("in a context", in_a_context)
    tell("described", lambda: with_run(description="d").data.tags["mlflow.note.content"])
    tell("parent that is not there", mlflow.start_run, parent_run_id=NO_RUN)
    tell_each("get run", client.get_run, (NO_RUN, "x", "", "a/b"))
    tell_each("delete run", client.delete_run, (NO_RUN, "x"))
    tell_each("restore run", client.restore_run, (NO_RUN, "x"))
    gone = new_run()
    client.delete_run(gone)
    for name, call in {
        "metric": lambda: client.log_metric(gone, "a", 1),
        "param": lambda: client.log_param(gone, "a", 1),
        "tag": lambda: client.set_tag(gone, "a", 1),
        "end": lambda: client.set_terminated(gone),
        "start": lambda: mlflow.start_run(gone),
        "batch": lambda: client.log_batch(gone, [Metric("a", 1, 1, 1)]),
        "delete": lambda: client.delete_run(gone),
        "restore": lambda: client.restore_run(gone),
    }.items():
        tell(f"deleted run: {name}", call)


def with_run(**named):
    """Start a run with MLflow's fluent functions, end it, and give it."""
    with mlflow.start_run(**named) as run:
        pass
    return client.get_run(run.info.run_id)


def updated(body):
    """Update a run as a program without MLflow's client may do it."""
    run_id = new_run()
    requests.post(f"{URI}/api/2.0/mlflow/runs/update", json={"run_id": run_id, **body}, timeout=60)
    info = client.get_run(run_id).info
    return info.status, info.end_time


def resumed():
    """A run goes on, and ends again, later."""
    first = with_run().info
    time.sleep(0.003)
    with mlflow.start_run(first.run_id) as again:
        status = client.get_run(first.run_id).info.status
    return (
        first.status,
        again.info.status,
        status,
        client.get_run(first.run_id).info.end_time > first.end_time,
    )


def in_a_context():
    """What the client was given at the start is what the server keeps; an error lets a run fail."""
    with mlflow.start_run() as run:
        same = dict(client.get_run(run.info.run_id).info) == dict(run.info)
    try:
        with mlflow.start_run() as failing:
            raise ValueError
    except ValueError:
        pass
    with mlflow.start_run() as parent, mlflow.start_run(nested=True) as child:
        mlflow.log_param("a", 1)
    return (
        same,
        client.get_run(failing.info.run_id).info.status,
        mlflow.get_parent_run(child.info.run_id).info.run_id == parent.info.run_id,
        mlflow.get_parent_run(parent.info.run_id),
    )


def logging():
    """Log metrics, params, tags and batches."""
    run = new_run()
    metrics = [
        *(
            ("a", 1, None, None),
            ("a", "1", 1, 1),
            ("a", "apple", 1, 1),
            ("a", None, 1, 1),
            ("n", float("nan"), 1, 1),
        ),
        *(("i", float("-inf"), 1, 1), ("a", 1, "x", 1), ("a", 1, 1, "x"), ("a", 1, 1, 1.5), ("a", 1, -5, 1)),
        *(("s", 1, 1, -1), ("s", 4, 1, 2**63 - 1), ("s", 4, 1, 2**63), ("", 1, 1, 1), ("a" * 250, 1, 1, 1)),
        *(("a" * 251, 1, 1, 1), ("a/b", 1, 1, 1), ("a//b", 1, 1, 1), ("../a", 1, 1, 1), ("a:b", 1, 1, 1)),
        *(("é", 1, 1, 1), ("a(b", 1, 1, 1), ("np", np.float32(0.1), 1, 1), ("np", np.array([1, 2]), 1, 1)),
    ]
    for key, value, at, step in metrics:
        tell(f"metric {key[:9]} {value} {at} {step}", client.log_metric, run, key, value, at, step)
    pairs = [
        *(
            ("p", "1"),
            ("p", "2"),
            ("q", None),
            ("e", ""),
            ("l", "x" * 6000),
            ("m", "x" * 6001),
            ("k" * 250, "v"),
        ),
        *(
            ("k" * 251, "v"),
            ("a//b", "v"),
            ("..", "v"),
            ("", ""),
            (None, "v"),
            ("a=b", "v"),
            ("b", True),
            ("d", {}),
        ),
        *(("t", "x" * 8000), ("u", "x" * 8001), ("mlflow.runName", "renamed"), ("mlflow.user", "eve")),
    ]
    for key, value in pairs:
        shown = f"{str(key)[:14]} {str(value)[:9]} {len(str(value))}"
        tell(f"param {shown}", client.log_param, run, key, value)
        tell(f"tag {shown}", client.set_tag, run, key, value)
    tell("untag", client.delete_tag, run, "p")
    tell("untag again", client.delete_tag, run, "p")
    data = lambda: client.get_run(run).data  # noqa: E731
    tell("metrics", lambda: {key[:9]: value for key, value in data().metrics.items()})
    tell("params", lambda: {key[:9]: len(value) for key, value in data().params.items()})
    tell("tags", lambda: {key[:20]: len(value) for key, value in data().tags.items()})
    tell("head", lambda: (client.get_run(run).info.run_name, client.get_run(run).info.user_id))
    for key in ("s", "i", "nope"):
        history = lambda key: [(m.value, m.timestamp, m.step) for m in client.get_metric_history(run, key)]  # noqa: E731
        tell(f"history of {key}", history, key)
    tell("history of no run", client.get_metric_history, NO_RUN, "a")
    for sizes in ((1000, 0, 0), (1001, 0, 0), (0, 101, 0), (0, 0, 101), (801, 100, 100)):
        tell(f"batch of {sizes}", batch_of, *sizes)
    one, two = Metric("m", 1, 1, 1), [Param("a", "1"), Param("a", "2")]
    for name, batch in {
        "a param twice": {"params": two, "metrics": [one]},
        "the same param": {"params": two[:1] * 2},
        "a tag twice": {"tags": [RunTag("t", "1"), RunTag("t", "2")]},
        "a bad key": {"metrics": [one, Metric("a//b", 1, 1, 1)], "params": two[:1]},
        "no value": {"metrics": [Metric("m", None, 1, 1)]},
        "no time": {"metrics": [Metric("m", 1, None, 1)]},
        "text": {"metrics": [Metric("m", "x", 1, 1)]},
        "a point twice": {"metrics": [one, one, Metric("m", 2, 1, 1)]},
        "nothing": {},
    }.items():
        tell(f"batch with {name}", batched, **batch)
    tell("a changed param", changed)
    tell("asynchronously", asynchronously)


def batch_of(n_metrics, n_params, n_tags):
    """Log a batch of a size; the client may send it in parts."""
    run = new_run()
    metrics = [Metric(f"m{n}", n, 1, 0) for n in range(n_metrics)]
    params = [Param(f"p{n}", str(n)) for n in range(n_params)]
    client.log_batch(run, metrics, params, [RunTag(f"t{n}", str(n)) for n in range(n_tags)])
    data = client.get_run(run).data
    return len(data.metrics), len(data.params), len(data.tags)


def batched(**batch):
    """Log a batch, and give what of it was kept, and why not all."""
    run, why = new_run(), None
    try:
        client.log_batch(run, **batch)
    except MlflowException as error:
        why = error.message
    data = client.get_run(run).data
    return why, data.metrics, data.params, {k: v for k, v in data.tags.items() if not k.startswith("mlflow.")}


def changed():
    """A changed param leaves the rest of its batch unwritten."""
    run = new_run()
    client.log_param(run, "a", "1")
    try:
        client.log_batch(run, [Metric("m", 1, 1, 1)], [Param("a", "2"), Param("b", "1")], [RunTag("t", "1")])
    except MlflowException as error:
        data = client.get_run(run).data
        return error.message, data.metrics, data.params, data.tags.get("t")


def asynchronously():
    """What is logged in the background arrives whole."""
    with mlflow.start_run() as run:
        waiting = [mlflow.log_metric("m", n, step=n, synchronous=False) for n in range(30)]
        waiting.append(mlflow.log_params({f"p{n}": n for n in range(100)}, synchronous=False))
        for each in waiting:
            each.wait()
    data = client.get_run(run.info.run_id).data
    return data.metrics, len(data.params), len(client.get_metric_history(run.info.run_id, "m"))


def searches_of_runs():
    """Search runs."""
    experiment = mlflow.set_experiment("searched").experiment_id
    with mlflow.start_run(run_name="first"):
        mlflow.log_metrics({"m1": 0.002, "m2": 0.002})
        mlflow.log_param("p1", "a")
        mlflow.set_tag("t1", "one")
    with mlflow.start_run(run_name="second"):
        mlflow.log_metric("m1", 0.008)
        mlflow.log_param("p2", "aa")
    client.delete_run(client.create_run(experiment, run_name="gone").info.run_id)
    mlflow.set_experiment("home")

    def names(text="", **asked):
        return [run.info.run_name for run in client.search_runs([experiment], text, **asked)]

    filters = (
        *(
            "",
            "metrics.m1 > 0.002",
            "metrics.m2 > 0",
            "params.p1 = 'a'",
            "params.p2 != 'a'",
            "tags.t1 = 'one'",
        ),
        *("run_name ILIKE 'FIR%'", "status = 'FINISHED'", "end_time > 0", "created > 0", "tags.t1 IS NULL"),
        *("params.p1 IS NOT NULL", "metrics.m1 = 'x'", "params.p1 = 5", "dataset.name = 'x'"),
    )
    tell_each("runs with", names, filters)
    for view in (ViewType.ACTIVE_ONLY, ViewType.DELETED_ONLY, ViewType.ALL):
        tell(f"runs of view {view}", names, run_view_type=view)
    for order in (
        ["metrics.m1 DESC"],
        ["metrics.m2"],
        ["params.p1"],
        ["tags.t1 DESC"],
        ["run_name"],
        ["end_time desc"],
    ):
        tell(f"runs by {order}", names, order_by=order)
    for limit in (0, -1, 1, 50_001):
        tell(f"{limit} runs", names, max_results=limit)
    tell("runs of no experiment", client.search_runs, [])
    tell("columns", lambda: sorted(mlflow.search_runs([experiment]).columns))


def inputs():
    """Log data sets; they come back in the order in which they were named."""
    frames = [pd.DataFrame([[n, n + 1], [n, n + 1]], columns=["a", "b"]) for n in range(3)]
    sets = [from_pandas(frame, source=f"/tmp/{n}.csv") for n, frame in enumerate(frames)]  # noqa: S108

    def logged(log):
        with mlflow.start_run() as run:
            log()
        found = client.get_run(run.info.run_id).inputs.dataset_inputs
        return [
            (
                each.dataset.digest,
                each.dataset.source,
                each.dataset.profile,
                [(t.key, t.value) for t in each.tags],
            )
            for each in found
        ]

    tell(
        "data sets",
        logged,
        lambda: mlflow.log_inputs(sets, ["a", "b", "c"], [{"foo": "baz"}, None, None], None),
    )
    tell("a data set", logged, lambda: mlflow.log_input(sets[0], "train", {"zz": "1", "aa": "2"}))
    tell("without purpose", logged, lambda: mlflow.log_input(sets[0]))
    tell("twice", logged, lambda: [mlflow.log_input(sets[1], purpose) for purpose in "ab"])


def logged_models():
    """Make, finalize, tag and search logged models."""
    mlflow.set_experiment("models")

    def shown(model):
        left_out = ("model_id", "experiment_id", "artifact_location", "tags")
        return {key: value for key, value in model.to_dictionary().items() if key not in left_out}

    tell(
        "initialized",
        lambda: shown(mlflow.initialize_logged_model(name="n", params={"a": "1"}, model_type="agent")),
    )
    tell("external", lambda: shown(mlflow.create_external_model(name="outside")))
    model = mlflow.initialize_logged_model(name="m").model_id
    mlflow.log_model_params({f"p{n}": f"v{n}" for n in range(150)}, model_id=model)
    tell("many params", lambda: len(mlflow.get_logged_model(model).params))
    tell_each(
        "finalized",
        lambda to: shown(mlflow.finalize_logged_model(model, to))["status"],
        ("READY", "FAILED", "bad"),
    )
    tell("untag nothing", client.delete_logged_model_tag, model, "tag")
    for model_id in ("", "nope"):
        tell(f"model {model_id}", client.get_logged_model, model_id)
        tell(f"delete model {model_id}", client.delete_logged_model, model_id)
        tell(f"tag model {model_id}", mlflow.set_logged_model_tags, model_id, {"a": "b"})
        tell(f"active model {model_id}", mlflow.set_active_model, model_id=model_id)
    tell("points of the active model", points_of_active_model)
    tell("what runs read and wrote", models_of_a_run)
    tell("a bad name", client.create_logged_model, HOME, name="a/b")
    tell("in no experiment", client.create_logged_model, "99999999")
    experiment = client.create_experiment("searched models")
    for n in range(4):
        client.create_logged_model(experiment, name=f"n{n}", params={"p": str(n)}, tags={"t": str(n)})

    def names(text=None, **asked):
        return [each.name for each in client.search_logged_models([experiment], text, **asked)]

    filters = (
        None,
        "name='n1'",
        "params.p='2'",
        "tags.t != '1'",
        "name LIKE 'n%'",
        "metrics.x > 1",
        "source_run_id = 'x'",
    )
    tell_each("models with", names, filters)
    for order in (
        [{"field_name": "name"}],
        [{"field_name": "creation_timestamp"}],
        [{"field_name": "name", "ascending": False}],
    ):
        tell(f"models by {order}", names, order_by=order)
    tell("one model", names, max_results=1)


def points_of_active_model():
    """What is logged while a model is active is the model's, too."""
    model = mlflow.create_external_model(name="active")
    mlflow.set_active_model(name="active")
    with mlflow.start_run() as run:
        mlflow.log_metrics({"m1": 1, "m2": 2})
        client.log_batch(run.info.run_id, [Metric("m3", 1, 0, 0)])
    mlflow.clear_active_model()
    return sorted((point.key, point.value) for point in mlflow.get_logged_model(model.model_id).metrics)


def models_of_a_run():
    """Models that a run reads and writes."""
    run, models = new_run(), [client.create_logged_model(HOME).model_id for _ in range(2)]
    client.log_outputs(run, [LoggedModelOutput(models[0], 3)])
    client.log_inputs(run, models=[LoggedModelInput(models[1])])
    found = client.get_run(run)
    outputs = [(models.index(each.model_id), each.step) for each in found.outputs.model_outputs]
    return outputs, [models.index(each.model_id) for each in found.inputs.model_inputs]


def artifacts():
    """Log texts, images and tables."""

    def logged(log):
        with mlflow.start_run() as run:
            log()
        found, folders = [], [None]
        for folder in folders:
            for each in client.list_artifacts(run.info.run_id, folder):
                (folders if each.is_dir else found).append(each.path)
        tags = client.get_run(run.info.run_id).data.tags
        return sorted(found), tags.get("mlflow.loggedImages"), tags.get("mlflow.loggedArtifacts")

    image = np.zeros((4, 4, 3), dtype=np.uint8)
    for path in ("image.png", "./image.png", "dir1/dir2/image.png", "dir/../image.png"):
        tell(f"image {path}", logged, lambda: mlflow.log_image(image, path))  # noqa: B023
        tell(f"text {path}", logged, lambda: mlflow.log_text("x", path))  # noqa: B023
    tell("image of a step", logged, lambda: mlflow.log_image(image, key="dog/cat", step=2, timestamp=100))
    tell("text outside", logged, lambda: mlflow.log_text("x", "../b.txt"))
    for kind in ("json", "parquet"):
        tell(f"table {kind}", logged, lambda: [mlflow.log_table({"a": [1, 2]}, f"t.{kind}") for _ in "12"])  # noqa: B023
        tell(f"tables {kind}", lambda: mlflow.load_table(f"t.{kind}", extra_columns=["run_id"]).shape)  # noqa: B023
        tell(f"no table {kind}", mlflow.load_table, f"nope.{kind}")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "dir").mkdir()
        (Path(folder) / "dir" / "file").write_text("aa")
        model = client.create_logged_model(HOME).model_id
        client.log_model_artifacts(model, folder)
    files = lambda place: [dict(each) for each in client.list_logged_model_artifacts(model, place)]  # noqa: E731
    tell_each("files of a model in", files, (None, "dir", "nope"))


for part in (
    experiments,
    searches_of_experiments,
    runs,
    logging,
    searches_of_runs,
    inputs,
    logged_models,
    artifacts,
):
    try:
        part()
    except MlflowException as error:
        tell(f"{part.__name__} did not end", str, error)
    mlflow.end_run()
end()
