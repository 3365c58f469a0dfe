"""Requests of MLflow's protocol, good and bad, that two servers are asked one after another.

`{name}` in a request is what an earlier step kept under that name. The requests run in order on a fresh server.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

API = "/api/2.0/mlflow/"
AJAX = "/ajax-api/2.0/mlflow/"
LONG = "x" * 251


@dataclass(frozen=True)
class Step:
    """One request.

    Attributes
    ----------
    keeps
        Name → where in the answer what is kept under it stands, with dots.
    raw
        The body as it is; otherwise `sends` as JSON.
    """

    name: str
    method: str
    path: str
    sends: Any = None
    query: list[tuple[str, str]] = field(default_factory=list)
    keeps: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    content_type: str | None = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


def post(path: str, sends: Any = None, /, name: str = "", **more: Any) -> Step:
    """Describe a POST to an endpoint."""
    return Step(name or f"{path} {_short(sends)}", "POST", API + path, sends, **more)


def get(path: str, /, name: str = "", root: str = API, **query: Any) -> Step:
    """Describe a GET of an endpoint."""
    pairs = [
        (key, str(each))
        for key, value in query.items()
        for each in (value if isinstance(value, list) else [value])
    ]
    return Step(name or f"{path} {_short(query)}", "GET", root + path, query=pairs)


def _short(value: Any) -> str:
    return str(value)[:110]


def steps() -> Iterator[Step]:
    """Give all requests in their order."""
    yield from _experiments()
    yield from _runs()
    yield from _metrics()
    yield from _params_and_tags()
    yield from _batches()
    yield from _inputs()
    yield from _searches()
    yield from _histories()
    yield from _deletions()
    yield from _wire()
    yield from _graphql()


def _experiments() -> Iterator[Step]:
    create = "experiments/create"
    yield post(create, {"name": "a", "tags": [{"key": "k", "value": "v"}]}, keeps={"a": "experiment_id"})
    yield post(create, {"name": "b", "artifact_location": "s3://bucket/there"}, keeps={"b": "experiment_id"})
    yield post(create, {"name": "local", "artifact_location": "/srv/there"}, keeps={"local": "experiment_id"})
    yield post(create, {"name": "a"}, name="a name twice")
    for sent in (
        {},
        {"name": ""},
        {"name": None},
        {"name": 123},
        {"name": ["x"]},
        {"name": "n" * 501},
        {"name": "x", "artifact_location": 9.0},
        {"name": "x", "artifact_location": "s3://b/a#f"},
        {"name": "x", "artifact_location": "s3://b/a;p"},
        {"name": "x", "artifact_location": "s3://b/a?q=../../x"},
        {"name": "x", "artifact_location": "s3://b/a?q=%2e%2e/x"},
        {"name": "x", "artifact_location": "runs:/abc/x"},
        {"name": "x", "artifact_location": "ftp://host/x"},
        {"name": "x", "artifact_location": "mlflow-artifacts://host/x"},
        {"name": "x", "artifact_location": "s3://" + "b" * 2050},
        {"name": "x", "tags": "5"},
        {"name": "x", "tags": [{"key": "a//b", "value": "c"}]},
        {"name": "x", "tags": [{"key": LONG, "value": "c"}]},
        {"name": "x", "tags": [{"key": "k", "value": "v" * 20001}]},
        {"name": "x", "tags": [{"key": f"mlflow.customView.view{i}", "value": "v"} for i in range(51)]},
    ):
        yield post(create, sent)
    yield post(create, {"name": "español ñ / 汉字", "unknown": {"x": [1]}}, keeps={"u": "experiment_id"})
    yield get("experiments/get", experiment_id="{a}")
    yield get("experiments/get", experiment_id="0")
    yield get("experiments/get", experiment_id="{u}")
    yield get("experiments/get", experiment_id="99999")
    yield get("experiments/get", experiment_id="-1")
    yield get("experiments/get", experiment_id="x")
    yield get("experiments/get", experiment_id="")
    yield get("experiments/get")
    yield get("experiments/get", experimentId="{a}")
    yield get("experiments/get-by-name", experiment_name="a")
    yield get("experiments/get-by-name", experiment_name="nope")
    yield get("experiments/get-by-name", experiment_name="nope/nope")
    yield get("experiments/get-by-name")
    yield post("experiments/update", {"experiment_id": "{b}", "new_name": "b2"})
    yield post("experiments/update", {"experiment_id": "{b}"})
    yield post("experiments/update", {"experiment_id": "{b}", "new_name": ""})
    yield post("experiments/update", {"experiment_id": "{b}", "new_name": 5})
    yield post("experiments/update", {"experiment_id": "{b}", "new_name": "n" * 501})
    yield post("experiments/update", {"experiment_id": "{b}", "new_name": "a"}, name="rename to a taken name")
    yield post("experiments/update", {"experiment_id": "424242", "new_name": "z"})
    yield post("experiments/set-experiment-tag", {"experiment_id": "{a}", "key": "t", "value": "1\n2"})
    yield post("experiments/set-experiment-tag", {"experiment_id": "{a}", "key": "empty", "value": ""})
    yield post("experiments/set-experiment-tag", {"experiment_id": "{a}", "key": "t"})
    yield post("experiments/set-experiment-tag", {"experiment_id": "{a}", "value": "t"})
    yield post("experiments/set-experiment-tag", {"experiment_id": "{a}", "key": 7, "value": "t"})
    yield post("experiments/set-experiment-tag", {"experiment_id": "{a}", "key": "../x", "value": "t"})
    yield post("experiments/set-experiment-tag", {"experiment_id": "{a}", "key": LONG, "value": "t"})
    yield post("experiments/set-experiment-tag", {"experiment_id": "{a}", "key": "k", "value": "v" * 20001})
    yield post("experiments/set-experiment-tag", {"experiment_id": "9999", "key": "k", "value": "v"})
    yield post("experiments/delete-experiment-tag", {"experiment_id": "{a}", "key": "t"})
    yield post("experiments/delete-experiment-tag", {"experiment_id": "{a}", "key": "never"})
    yield post("experiments/delete-experiment-tag", {"experiment_id": "{a}"})
    yield post("experiments/search", {})
    for sent in (
        {"max_results": 2},
        {"max_results": 0},
        {"max_results": -1},
        {"max_results": 50001},
        {"max_results": "2"},
        {"max_results": "x"},
        {"view_type": "ALL"},
        {"view_type": 3},
        {"view_type": "NOPE"},
        {"view_type": 9},
        {"filter": "name = 'a'"},
        {"filter": "attribute.name LIKE 'a%'"},
        {"filter": "tags.k = 'v'"},
        {"filter": "tag.k != 'v'"},
        {"filter": "name ILIKE '%A%'"},
        {"filter": "creation_time > 1"},
        {"filter": "experiment_id IN ('0', '1')"},
        {"filter": "bad"},
        {"filter": "name = a"},
        {"filter": "nope = 'a'"},
        {"filter": "metrics.m > 1"},
        {"filter": "name = 'a' OR name = 'b'"},
        {"filter": 5},
        {"order_by": ["name"]},
        {"order_by": ["name DESC", "experiment_id"]},
        {"order_by": ["nope"]},
        {"order_by": ["name BAD"]},
        {"order_by": ["tags.k"]},
        {"order_by": "name"},
        {"page_token": "x"},
        {"page_token": "eyJvZmZzZXQiOiAxfQ=="},
        {"page_token": "bm90IGpzb24="},
    ):
        bound = {} if "max_results" in sent else {"max_results": 10}
        yield post("experiments/search", {**bound, **sent})
    yield get("experiments/search", max_results="1", view_type="ALL", order_by=["name DESC", "experiment_id"])
    yield get("experiments/search", view_type="1", filter="name = 'a'", max_results="5")


def _runs() -> Iterator[Step]:
    create = "runs/create"
    full = {
        "experiment_id": "{a}",
        "user_id": "ana",
        "start_time": 456,
        "run_name": "my name",
        "tags": [{"key": "mlflow.parentRunId", "value": "7"}, {"key": "other", "value": "tag"}],
    }
    yield post(create, full, keeps={"r": "run.info.run_id"})
    yield post(
        create,
        {"experiment_id": "{a}", "user_id": "ana", "start_time": 500},
        name="r2",
        keeps={"r2": "run.info.run_id"},
    )
    yield post(
        create,
        {"user_id": "ana", "start_time": 1},
        name="run without experiment",
        keeps={"r0": "run.info.run_id"},
    )
    yield post(
        create,
        {
            "experiment_id": "{b}",
            "user_id": "ana",
            "start_time": "600",
            "tags": [{"key": "mlflow.runName", "value": "tagged"}],
        },
        keeps={"rb": "run.info.run_id"},
    )
    yield post(
        create,
        {
            "experiment_id": "{a}",
            "user_id": "ana",
            "start_time": 2,
            "run_name": "child",
            "tags": [{"key": "mlflow.parentRunId", "value": "{r}"}],
        },
        keeps={"child": "run.info.run_id"},
    )
    for sent in (
        {"experiment_id": 5},
        {"experiment_id": "999"},
        {"experiment_id": "x"},
        {"experiment_id": "{a}", "user_id": "ana", "start_time": "x"},
        {"experiment_id": "{u}", "user_id": "ana", "start_time": 1.5},
        {"experiment_id": "{u}", "user_id": "ana", "start_time": True},
        {"experiment_id": "{a}", "run_name": 5},
        {"experiment_id": "{a}", "run_name": "x", "tags": [{"key": "mlflow.runName", "value": "y"}]},
        {"experiment_id": "{a}", "run_name": "ñ" * 250, "user_id": "ana", "start_time": 3},
    ):
        yield post(create, sent)
    scratch = {"experiment_id": "{u}", "user_id": "ana", "start_time": 5}
    yield post(
        create, scratch, name="a run for what one server refuses", keeps={"scratch": "run.info.run_id"}
    )
    yield get("runs/get", run_id="{r}")
    yield get("runs/get", run_uuid="{r}")
    yield get("runs/get", run_id="{child}")
    yield get("runs/get", run_id="{rb}")
    yield get("runs/get", run_id="nope")
    yield get("runs/get", run_id="a b/c")
    yield get("runs/get", run_id="")
    yield get("runs/get")
    for sent in (
        {"run_id": "{r2}", "status": "FINISHED", "end_time": 900},
        {"run_id": "{r2}", "run_name": "renamed"},
        {"run_uuid": "{r2}", "status": 1},
        {"run_id": "{r2}", "status": "SCHEDULED"},
        {"run_id": "{r2}", "status": "KILLED", "end_time": "901"},
        {"run_id": "{r2}", "status": "NOPE"},
        {"run_id": "{r2}", "run_name": ""},
        {"run_id": "{r2}", "end_time": "x"},
        {"run_id": "{r2}", "run_name": 5},
        {"run_id": "{r2}", "end_time": 1},
        {"run_id": "nope", "status": "FINISHED"},
        {"run_id": 31},
        {},
    ):
        yield post("runs/update", sent)
    yield get("runs/get", run_id="{r2}", name="the run after its updates")


def _metrics() -> Iterator[Step]:
    log = "runs/log-metric"
    point = {"run_id": "{r}", "key": "m", "value": 0.5, "timestamp": 10, "step": 1}
    yield post(log, point)
    yield post(log, {**point, "run_id": None, "run_uuid": "{r}", "step": 2})
    points: list[dict[str, Any]] = [
        {"value": "NaN", "key": "nan"},
        {"value": "Infinity", "key": "inf"},
        {"value": "-Infinity", "key": "minf"},
        {"value": "0.25", "step": "7", "timestamp": "11"},
        {"value": 3},
        {"value": True},
        {"value": "abc"},
        {"value": None},
        {"run_id": 31},
        {"run_id": None},
        {"run_id": "nope"},
        {"key": 31},
        {"key": None},
        {"key": ""},
        {"key": "a//b"},
        {"key": "../a"},
        {"key": "/a"},
        {"key": "a/"},
        {"key": "."},
        {"key": "a/./b"},
        {"key": "a..b"},
        {"key": "a#b"},
        {"key": "a'b"},
        {"key": "ñandú 1:2"},
        {"key": LONG},
        {"step": "foo"},
        {"step": 2.0},
        {"step": -3},
        {"timestamp": "foo"},
        {"timestamp": -1},
        {"timestamp": None},
        {"timestamp": 0},
    ]
    for change in points:
        yield post(log, {**point, **change}, name=f"log-metric with {_short(change)}")
    for change in ({"value": "nan"}, {"value": []}, {"step": 1.5}, {"step": 2**63}):
        sent = {**point, **change, "run_id": "{scratch}"}
        yield post(log, sent, name=f"log-metric of the other run with {_short(change)}")
    for left_out in ("key", "value", "timestamp", "step"):
        sent = {key: value for key, value in point.items() if key != left_out}
        yield post(log, sent, name=f"log-metric without {left_out}")
    yield post(log, {**point, "runId": "{r}"}, name="log-metric with both spellings of a field")
    yield get("runs/get", run_id="{r}", name="the run after its metrics")


def _params_and_tags() -> Iterator[Step]:
    log = "runs/log-parameter"
    param = {"run_id": "{r}", "key": "p", "value": "1"}
    yield post(log, param)
    yield post(log, param, name="the same param again")
    for change in (
        {"value": "2"},
        {"value": 2},
        {"value": "", "key": "empty"},
        {"value": "v" * 6001, "key": "long"},
        {"key": 31},
        {"key": ""},
        {"key": "a//b"},
        {"key": LONG},
        {"run_id": 31},
        {"run_id": "nope"},
        {"run_id": None},
    ):
        yield post(log, {**param, **change}, name=f"log-parameter with {_short(change)}")
    tag = {"run_id": "{r}", "key": "t", "value": "1"}
    changes: list[dict[str, Any]] = [
        {},
        {"value": "2"},
        {"value": ""},
        {"value": 41},
        {"value": "v" * 8001, "key": "long"},
        {"key": None},
        {"key": "a//b"},
        {"key": LONG},
        {"key": "mlflow.runName", "value": "by tag"},
        {"run_id": 31},
        {"run_id": "nope"},
    ]
    for change in changes:
        yield post("runs/set-tag", {**tag, **change}, name=f"set-tag with {_short(change)}")
    yield post("runs/set-tag", {"run_uuid": "{r}", "key": "uuid", "value": "v"})
    yield post("runs/delete-tag", {"run_id": "{r}", "key": "t"})
    yield post("runs/delete-tag", {"run_id": "{r}", "key": "never"})
    yield post("runs/delete-tag", {"run_id": "{r}"})
    yield post("runs/delete-tag", {"run_id": "nope", "key": "t"})
    yield get("runs/get", run_id="{r}", name="the run after its params and tags")


def _batches() -> Iterator[Step]:
    log = "runs/log-batch"
    point = {"key": "b", "value": 0.5, "timestamp": 10, "step": 1}
    whole = {
        "metrics": [point, {**point, "step": 2}, {**point, "key": "c", "value": "NaN"}],
        "params": [{"key": "bp", "value": "1"}, {"key": "bq", "value": ""}],
        "tags": [{"key": "bt", "value": "1"}, {"key": "bu", "value": ""}],
    }
    yield post(log, {"run_id": "{r}", **whole}, name="a whole batch")
    yield post(log, {"run_id": "{r}", **whole}, name="a whole batch again")
    yield post(log, {"run_id": "{r}"}, name="an empty batch")
    cases: list[dict[str, Any]] = [
        {"metrics": "foo"},
        {"params": "foo"},
        {"tags": "foo"},
        {"metrics": [{"key": "mae", "value": 2.5}]},
        {"metrics": [{"key": "mae", "timestamp": 1}]},
        {"metrics": [{"value": 2.5, "timestamp": 1}]},
        {"metrics": [{"key": "mae", "value": 2.5, "timestamp": 123456789}]},
        {"metrics": [{**point, "key": "a//b"}]},
        {"metrics": [point, {**point, "timestamp": -1}]},
        {"metrics": [{**point, "key": LONG}]},
        {"params": [{"value": "1"}]},
        {"params": [{"key": "p1"}]},
        {"params": [{"key": "a//b", "value": "1"}]},
        {"params": [{"key": LONG, "value": "1"}]},
        {"params": [{"key": "twice", "value": "1"}, {"key": "twice", "value": "2"}]},
        {"params": [{"key": "twice", "value": "1"}, {"key": "twice", "value": "1"}]},
        {"params": [{"key": "p", "value": "other"}], "tags": [{"key": "unwritten", "value": "1"}]},
        {"tags": [{"value": "1"}]},
        {"tags": [{"key": "a//b", "value": "1"}]},
        {"tags": [{"key": "two", "value": "1"}, {"key": "two", "value": "2"}]},
        {"tags": [{"key": "mlflow.runName", "value": "by batch"}]},
        {"metrics": [{**point, "step": i} for i in range(1001)]},
        {"params": [{"key": f"p{i}", "value": "1"} for i in range(101)]},
        {"tags": [{"key": f"t{i}", "value": "1"} for i in range(101)]},
        {
            "metrics": [{**point, "step": i} for i in range(950)],
            "params": [{"key": f"p{i}", "value": "1"} for i in range(51)],
        },
    ]
    for sent in cases:
        yield post(log, {"run_id": "{r}", **sent}, name=f"log-batch with {_short(sent)}")
    yield post(log, {"run_id": "nope", **whole}, name="log-batch of no run")
    yield post(log, {"run_id": "bad id!", **whole}, name="log-batch with a bad run id")
    yield post(log, {"run_id": 5}, name="log-batch with a number as run id")
    yield post(log, whole, name="log-batch without run id")
    yield get("runs/get", run_id="{r}", name="the run after its batches")


def _inputs() -> Iterator[Step]:
    log = "runs/log-inputs"
    data = {"name": "n", "digest": "d", "source_type": "t", "source": "s"}
    context = {"key": "mlflow.data.context", "value": "train"}
    yield post(log, {"run_id": "{r}", "datasets": [{"dataset": data, "tags": [context]}]})
    yield post(
        log, {"run_id": "{r}", "datasets": [{"dataset": data, "tags": [context]}]}, name="inputs again"
    )
    more = {**data, "digest": "d2", "schema": "{}", "profile": "{}"}
    yield post(log, {"run_id": "{r}", "datasets": [{"dataset": more}]})
    for change in (
        {"name": "n" * 501},
        {"digest": "d" * 37},
        {"source": "s" * 65536},
        {"name": None},
        {"name": 5},
    ):
        sent = {"run_id": "{scratch}", "datasets": [{"dataset": {**data, **change}}]}
        yield post(log, sent, name=f"log-inputs with {_short(change)}")
    long_tag = {"key": "k" * 256, "value": "v"}
    yield post(
        log, {"run_id": "{r}", "datasets": [{"dataset": data, "tags": [long_tag]}]}, name="long input tag"
    )
    long_value = {"key": "k", "value": "v" * 501}
    yield post(
        log,
        {"run_id": "{r}", "datasets": [{"dataset": data, "tags": [long_value]}]},
        name="long input tag value",
    )
    yield post(log, {"datasets": [{"dataset": data}]})
    yield post(log, {"run_id": "{r}"})
    yield post(log, {"run_id": "{r}", "datasets": "foo"})
    yield post(log, {"run_id": "nope", "datasets": [{"dataset": data}]})
    yield get("runs/get", run_id="{r}", name="the run after its inputs")
    search = AJAX + "experiments/search-datasets"
    asked: list[dict[str, Any]] = [
        {"experiment_ids": ["{a}"]},
        {},
        {"experiment_ids": []},
        {"experiment_ids": ["1"] * 21},
    ]
    for wanted in asked:
        yield Step(f"search-datasets {_short(wanted)}", "POST", search, wanted)


def _searches() -> Iterator[Step]:
    def search(**sent: Any) -> Step:
        return post("runs/search", {"experiment_ids": ["{a}"], **sent}, name=f"runs/search {_short(sent)}")

    yield search()
    yield search(max_results=1)
    yield search(max_results=0)
    yield search(max_results=-1)
    yield search(max_results=50001)
    yield search(max_results=123456789)
    yield search(max_results="1")
    yield search(max_results="x")
    yield search(run_view_type="DELETED_ONLY")
    yield search(run_view_type="ALL")
    yield search(run_view_type=2)
    yield search(run_view_type="NOPE")
    yield search(experiment_ids=[])
    yield search(experiment_ids=["999"])
    yield search(experiment_ids=["x"])
    yield search(experiment_ids="x")
    yield search(filter=5)
    yield search(order_by="name")
    yield search(order_by=[5])
    yield search(page_token="x")
    yield search(page_token="%%%")
    for text in (
        "metrics.m > 0.1",
        "metric.m = 0.25 and params.p = '1'",
        "metrics.`m` <= 1 AND tags.other = 'tag'",
        "params.p != '1'",
        "params.p LIKE '%'",
        "params.p ILIKE '1'",
        "params.p IS NULL",
        "params.p IS NOT NULL",
        "tags.\"mlflow.parentRunId\" = '7'",
        "tags.mlflow.runName = 'renamed'",
        "tag.`mlflow.runName` LIKE '%renam%'",
        "attributes.run_name = 'renamed'",
        "run_name LIKE 'ren%'",
        "`run name` = 'renamed'",
        "run.status = 'RUNNING'",
        "attr.status != 'RUNNING'",
        "status = 'running'",
        "start_time >= 456",
        "end_time > 0",
        "created > 1",
        "user_id = 'ana'",
        "run_id IN ('{r}', '{r2}')",
        "run_id NOT IN ('{r}')",
        "run_id = '{r}'",
        "artifact_uri LIKE '%artifacts'",
        "datasets.name = 'n'",
        "dataset.digest LIKE 'd%'",
        "datasets.context = 'train'",
        "metrics.nan = 0",
        "metrics.inf > 1",
        "metrics.m > 'x'",
        "metrics.m = '1'",
        "metrics.m LIKE 'x'",
        "metrics.m",
        "metrics.m >",
        "params.p = 1",
        "params.p > '1'",
        "params.p IN ('1')",
        "tags.t = 5",
        "nope.k = '1'",
        "attributes.nope = '1'",
        "nope = '1'",
        "status = RUNNING",
        "start_time = 'x'",
        "run_id IN ()",
        "run_id IN ('a', 5)",
        "status IN ('RUNNING')",
        "metrics.m > 1 OR metrics.m < 2",
        "(metrics.m > 1)",
        "metrics.m > 1; DROP TABLE runs",
        "metrics.m > 1 AND",
        "AND",
        "metrics.m > 1 metrics.n > 2",
        "params.p = 'it''s'",
        'params.p = "1"',
        "params.p = `1`",
        "param.p = '1' -- x",
        "   ",
        "metrics.'m' > 0",
        "'metrics.m' > 0",
        "datasets.nope = '1'",
        "lifecycle_stage = 'active'",
        "experiment_id = '1'",
    ):
        yield search(filter=text)
    for order in (
        ["metrics.m DESC"],
        ["metrics.m"],
        ["metrics.m asc", "params.p desc"],
        ["params.p", "tags.t DESC", "start_time"],
        ["attributes.start_time ASC"],
        ["run_name"],
        ["status DESC"],
        ["metrics.`m` DESC"],
        ["metrics.m", "metrics.m DESC"],
        ["start_time", "attribute.start_time"],
        ["metrics.m BAD"],
        ["metrics.m DESC DESC"],
        ["nope"],
        ["nope.k"],
        ["metrics."],
        [""],
        ["datasets.name"],
        ["`metrics.m`"],
        ["end_time DESC"],
        ["Created"],
        ["run_id"],
        ["experiment_id"],
        ["artifact_uri"],
    ):
        yield search(order_by=order)


def _histories() -> Iterator[Step]:
    log = "runs/log-batch"
    points = [{"key": "h", "value": float(i % 7), "timestamp": 100 + i // 2, "step": i} for i in range(40)]
    yield post(log, {"run_id": "{r}", "metrics": points}, name="forty points")
    history = "metrics/get-history"
    yield get(history, run_id="{r}", metric_key="h")
    yield get(history, run_uuid="{r}", metric_key="m")
    yield get(history, run_id="{r}", metric_key="never")
    yield get(history, run_id="{r}", metric_key="h", max_results="7")
    yield get(history, run_id="{r}", metric_key="h", max_results="7", page_token="eyJvZmZzZXQiOiAzNX0=")
    yield get(history, run_id="{r}", metric_key="h", max_results="0")
    yield get(history, run_id="{r}", metric_key="h", max_results="-5")
    yield get(history, run_id="{r}", metric_key="h", max_results="x")
    yield get(history, run_id="{r}", metric_key="h", page_token="x")
    yield get(history, run_id="{r}", metric_key="nan")
    yield get(history, run_id="{r}", metric_key="inf")
    yield get(history, run_id="{r}")
    yield get(history, metric_key="h")
    yield get(history, run_id="nope", metric_key="h")
    bulk = "metrics/get-history-bulk"
    yield get(bulk, root=AJAX, run_id=["{r}", "{r2}"], metric_key="h")
    yield get(bulk, root=AJAX, run_id="{r}", metric_key="h", max_results="3")
    yield get(bulk, root=AJAX, metric_key="h")
    yield get(bulk, root=AJAX, run_id="{r}")
    yield get(bulk, root=AJAX, run_id=[f"id{i}" for i in range(101)], metric_key="h")
    yield get(bulk, root=AJAX, run_id="nope", metric_key="h")
    for root in (API, AJAX):
        sampled = "metrics/get-history-bulk-interval"
        yield get(sampled, root=root, run_ids=["{r}", "{r2}"], metric_key="h")
        yield get(sampled, root=root, run_ids="{r}", metric_key="h", max_results="5")
        yield get(sampled, root=root, run_ids="{r}", metric_key="h", max_results="1")
        yield get(
            sampled, root=root, run_ids="{r}", metric_key="h", start_step="3", end_step="9", max_results="4"
        )
        yield get(sampled, root=root, metric_key="h")
        yield get(sampled, root=root, run_ids="{r}", metric_key="")
        yield get(sampled, root=root, run_ids="{r}")
        yield get(sampled, root=root, run_ids="{r}", metric_key="h", max_results="0")
        yield get(sampled, root=root, run_ids="{r}", metric_key="h", max_results="2501")
        yield get(sampled, root=root, run_ids="{r}", metric_key="h", start_step="5", end_step="1")
        yield get(sampled, root=root, run_ids="{r}", metric_key="h", start_step="5")
        yield get(sampled, root=root, run_ids=[f"id{i}" for i in range(101)], metric_key="h")
        yield get(sampled, root=root, run_ids="nope", metric_key="h")


def _deletions() -> Iterator[Step]:
    yield post("runs/delete", {"run_id": "{r2}"})
    yield post("runs/delete", {"run_id": "{r2}"}, name="delete a deleted run")
    yield post("runs/delete", {"run_id": "nope"})
    yield post("runs/delete", {})
    yield get("runs/get", run_id="{r2}", name="a deleted run")
    point = {"run_id": "{r2}", "key": "m", "value": 0.5, "timestamp": 10}
    yield post("runs/log-metric", point, name="metric of a deleted run")
    yield post(
        "runs/log-parameter", {"run_id": "{r2}", "key": "p", "value": "1"}, name="param of a deleted run"
    )
    yield post("runs/set-tag", {"run_id": "{r2}", "key": "p", "value": "1"}, name="tag of a deleted run")
    yield post("runs/delete-tag", {"run_id": "{r2}", "key": "p"}, name="delete a tag of a deleted run")
    yield post("runs/log-batch", {"run_id": "{r2}", "metrics": []}, name="batch of a deleted run")
    yield post("runs/log-inputs", {"run_id": "{r2}", "datasets": []}, name="inputs of a deleted run")
    yield post("runs/update", {"run_id": "{r2}", "status": "FINISHED"}, name="update of a deleted run")
    yield post("runs/search", {"experiment_ids": ["{a}"], "run_view_type": "DELETED_ONLY"})
    yield post("runs/restore", {"run_id": "{r2}"})
    yield post("runs/restore", {"run_id": "{r2}"}, name="restore an active run")
    yield post("runs/restore", {"run_id": "nope"})
    yield post("experiments/delete", {"experiment_id": "{b}"})
    yield post("experiments/delete", {"experiment_id": "{b}"}, name="delete a deleted experiment")
    yield post("experiments/delete", {"experiment_id": "999"})
    yield post("experiments/delete", {"experiment_id": "x"})
    yield post("experiments/delete", {})
    yield get("experiments/get", experiment_id="{b}", name="a deleted experiment")
    yield get("experiments/get-by-name", experiment_name="b2", name="a deleted experiment by name")
    yield post("experiments/create", {"name": "b2"}, name="the name of a deleted experiment")
    yield post(
        "experiments/update", {"experiment_id": "{b}", "new_name": "b3"}, name="rename a deleted experiment"
    )
    yield post("experiments/set-experiment-tag", {"experiment_id": "{b}", "key": "k", "value": "v"})
    yield post("runs/create", {"experiment_id": "{b}", "start_time": 1}, name="a run in a deleted experiment")
    yield get("runs/get", run_id="{rb}", name="a run of a deleted experiment")
    yield post("experiments/restore", {"experiment_id": "{b}"})
    yield post("experiments/restore", {"experiment_id": "{b}"}, name="restore an active experiment")
    yield post("experiments/restore", {"experiment_id": "999"})
    yield get("runs/get", run_id="{rb}", name="a run of a restored experiment")


def _wire() -> Iterator[Step]:
    path = API + "experiments/create"
    yield Step("no body", "POST", path, raw=b"")
    yield Step("no JSON", "POST", path, raw=b"{not json")
    yield Step("a double-encoded body", "POST", path, raw=b'"{\\"name\\": \\"double\\"}"')
    yield Step("a list as body", "POST", path, raw=b"[]")
    yield Step("null as body", "POST", path, raw=b"null")
    yield Step("camelCase", "POST", API + "experiments/update", {"experimentId": "{b}", "newName": "camel"})
    yield Step(
        "type with a charset", "POST", path, {"name": "cs"}, content_type="application/json; charset=utf-8"
    )
    yield Step("wrong content type", "POST", path, {"name": "ct"}, content_type="text/plain")
    yield Step("form", "POST", path, raw=b"name=x", content_type="application/x-www-form-urlencoded")
    yield Step("unknown address", "GET", API + "nope")
    yield Step("unknown method", "PUT", API + "runs/get", {})
    yield Step("ajax", "GET", AJAX + "experiments/get", query=[("experiment_id", "0")])
    yield Step("health", "GET", "/health")
    yield Step("version", "GET", "/version")
    yield Step("server-info", "GET", "/api/3.0/mlflow/server-info")
    yield Step(
        "a repeated key",
        "GET",
        API + "experiments/get",
        query=[("experiment_id", "0"), ("experiment_id", "x")],
    )


def _graphql() -> Iterator[Step]:
    def ask(query: str, **more: Any) -> Step:
        return Step(f"graphql {query[:90]}", "POST", "/graphql", {"query": query, **more})

    yield ask('query testQuery {test(inputString: "abc") { output }}', operationName="testQuery")
    yield ask(
        'query q {mlflowGetExperiment(input: {experimentId: "{a}"}) { experiment { name tags { key value } } }}'
    )
    yield ask('{mlflowGetExperiment(input: {experimentId: "999"}) { experiment { name } }}')
    yield ask("{ nope }")
    yield ask("{ broken")
    yield ask(
        'query q @component(name: "Test") {mlflowGetRun(input: {runId: "{r}"}) {run {info {status startTime endTime}'
        " experiment {name} modelVersions {name} data {metrics {key value step}} inputs {datasetInputs {tags {key}}}}}}"
    )
    yield ask(
        "query q($i: MlflowGetRunInput!) {mlflowGetRun(input: $i) {run {info {runUuid}}}}",
        variables={"i": {"runId": "{r}"}},
    )
    yield ask('mutation m {mlflowSearchRuns(input: {experimentIds: ["{a}"]}) {runs {info {runId}}}}')
    yield ask(
        '{mlflowSearchRuns(input: {experimentIds: ["{a}"], runViewType: ALL, maxResults: 1}) {runs {info {runName}}}}'
    )
    yield ask(
        '{mlflowGetMetricHistoryBulkInterval(input: {runIds: ["{r}"], metricKey: "h"}) {metrics {key timestamp value}}}'
    )
    yield ask(
        'mutation m {mlflowSearchDatasets(input: {experimentIds: ["{a}"]}) {datasetSummaries {name digest context}}}'
    )
    yield ask("{" + " ".join(f'a{i}: test(inputString: "x") {{output}}' for i in range(11)) + "}")
