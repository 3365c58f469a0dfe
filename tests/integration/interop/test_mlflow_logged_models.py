"""Logged models on MLflow's wire."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from noria.core.context import Context
from noria.tracking.service import Experiments

API = "/api/2.0/mlflow"


def create(http: httpx.Client, experiment: str = "0", **fields: Any) -> dict[str, Any]:
    """Make a logged model and give it as it is answered."""
    answer = http.post(f"{API}/logged-models", json={"experiment_id": experiment, **fields})
    assert answer.status_code == 200, answer.text
    model: dict[str, Any] = answer.json()["model"]
    return model


def get(http: httpx.Client, model_id: str, **query: str) -> dict[str, Any]:
    """Get a logged model."""
    answer = http.get(f"{API}/logged-models/{model_id}", params=query)
    assert answer.status_code == 200, answer.text
    model: dict[str, Any] = answer.json()["model"]
    return model


def start(http: httpx.Client) -> str:
    """Start a run and give its id."""
    answer = http.post(f"{API}/runs/create", json={"experiment_id": "0", "start_time": 1})
    run_id: str = answer.json()["run"]["info"]["run_id"]
    return run_id


def refused(answer: httpx.Response) -> tuple[int, str, str]:
    """Give status, code and message of a refusal."""
    told = answer.json()
    return answer.status_code, told["error_code"], told["message"]


def names(answer: httpx.Response) -> list[str]:
    """Name the models of a search."""
    assert answer.status_code == 200, answer.text
    return [model["info"]["name"] for model in answer.json().get("models", [])]


@pytest.mark.parametrize("root", ["/api/2.0", "/ajax-api/2.0"])
def test_a_model_lives_from_creation_to_deletion(http: httpx.Client, root: str) -> None:
    """It is pending, gets params and tags, is finalized by name or number, and is gone when it is deleted."""
    models = f"{root}/mlflow/logged-models"
    sent = {
        "experiment_id": "0",
        "name": "forest",
        "model_type": "sklearn",
        "source_run_id": "r1",
        "params": [{"key": "depth", "value": "3"}],
        "tags": [{"key": "a", "value": "b"}],
    }
    info = http.post(models, json=sent).json()["model"]["info"]
    model_id = info["model_id"]

    assert info["artifact_uri"] == f"mlflow-artifacts:/0/models/{model_id}/artifacts"
    assert {key: info[key] for key in ("name", "experiment_id", "status", "model_type", "source_run_id")} == {
        "name": "forest",
        "experiment_id": "0",
        "status": "LOGGED_MODEL_PENDING",
        "model_type": "sklearn",
        "source_run_id": "r1",
    }
    done = http.patch(f"{models}/{model_id}", json={"model_id": model_id, "status": "LOGGED_MODEL_READY"})
    assert done.json()["model"]["info"]["status"] == "LOGGED_MODEL_READY"
    failed = http.patch(f"{models}/{model_id}", json={"status": 3})
    assert failed.json()["model"]["info"]["status"] == "LOGGED_MODEL_UPLOAD_FAILED"
    assert (
        http.post(f"{models}/{model_id}/params", json={"params": [{"key": "n", "value": "7"}]}).json() == {}
    )
    tags = [{"key": "a", "value": "c"}, {"key": "with/slash é", "value": "d"}]
    assert http.patch(f"{models}/{model_id}/tags", json={"tags": tags}).json() == {}
    shown = get(http, model_id)
    assert shown["data"]["params"] == [{"key": "depth", "value": "3"}, {"key": "n", "value": "7"}]
    assert sorted(tag["value"] for tag in shown["info"]["tags"]) == ["c", "d"]
    assert http.delete(f"{models}/{model_id}/tags/with%2Fslash%20%C3%A9").json() == {}
    again = refused(http.delete(f"{models}/{model_id}/tags/nothing"))
    assert again == (
        404,
        "RESOURCE_DOES_NOT_EXIST",
        f"No tag with key 'nothing' found for model with ID '{model_id}'.",
    )
    assert http.request("DELETE", f"{models}/{model_id}", json={"model_id": model_id}).json() == {}
    gone = refused(http.get(f"{models}/{model_id}"))
    assert gone == (404, "RESOURCE_DOES_NOT_EXIST", f"Logged model with ID '{model_id}' not found.")
    assert get(http, model_id, allow_deleted="true")["info"]["name"] == "forest"


def test_bad_requests_are_told(http: httpx.Client, context: Context) -> None:
    """What is missing or wrong is named."""
    models = f"{API}/logged-models"
    model_id = create(http)["info"]["model_id"]
    unknown = f"{models}/m-{'0' * 32}"

    without = refused(http.post(models, json={}))
    assert without[1] == "INVALID_PARAMETER_VALUE"
    assert without[2].startswith("Missing value for required parameter 'experiment_id'.")
    assert refused(http.post(models, json={"experiment_id": "77"}))[:2] == (404, "RESOURCE_DOES_NOT_EXIST")
    for name in ("a/b", "a.b", "a:b", "a%b", "a'b", 'a"b'):
        answer = refused(http.post(models, json={"experiment_id": "0", "name": name}))
        assert answer[:2] == (400, "INVALID_PARAMETER_VALUE")
        assert answer[2].startswith(f"Invalid model name ({name!r}) provided.")
    assert refused(http.patch(f"{models}/{model_id}", json={}))[0] == 400
    for lost in (
        http.patch(unknown, json={"status": "LOGGED_MODEL_READY"}),
        http.delete(unknown),
        http.patch(f"{unknown}/tags", json={"tags": []}),
        http.post(f"{unknown}/params", json={"params": []}),
        http.get(f"{models}/nothing"),
        http.get(f"{unknown}/artifacts/directories"),
    ):
        assert refused(lost)[:2] == (404, "RESOURCE_DOES_NOT_EXIST")
    http.post(f"{models}/{model_id}/params", json={"params": [{"key": "p", "value": "1"}]})
    changed = http.post(f"{models}/{model_id}/params", json={"params": [{"key": "p", "value": "2"}]})
    assert refused(changed)[:2] == (400, "INVALID_PARAMETER_VALUE")
    context.service(Experiments).delete("default", "Default")
    assert "must be in the 'active' state" in refused(http.post(models, json={"experiment_id": "0"}))[2]


def test_metrics_with_a_model_belong_to_it_too(http: httpx.Client) -> None:
    """One by one and in batches, with their data; the run's own history has them as well."""
    model_id, run_id = create(http)["info"]["model_id"], start(http)
    one = {
        "run_id": run_id,
        "key": "acc",
        "value": 0.5,
        "timestamp": 123456789,
        "step": 1,
        "model_id": model_id,
    }
    named = {"dataset_name": "train", "dataset_digest": "d1"}
    assert http.post(f"{API}/runs/log-metric", json={**one, **named}).status_code == 200
    batch = [
        {"key": "loss", "value": "NaN", "timestamp": 5, "step": 0, "model_id": model_id},
        {"key": "own", "value": 1, "timestamp": 5},
    ]
    sent = {"run_id": run_id, "metrics": batch}
    for _ in range(2):
        assert http.post(f"{API}/runs/log-batch", json=sent).status_code == 200, (
            "sent again it changes nothing"
        )

    assert get(http, model_id)["data"]["metrics"] == [
        {
            "key": "acc",
            "value": 0.5,
            "timestamp": 123456789,
            "step": 1,
            "dataset_name": "train",
            "dataset_digest": "d1",
            "model_id": model_id,
            "run_id": run_id,
        },
        {"key": "loss", "value": "NaN", "timestamp": 5, "step": 0, "model_id": model_id, "run_id": run_id},
    ]
    run = http.get(f"{API}/runs/get", params={"run_id": run_id}).json()["run"]
    assert sorted(metric["key"] for metric in run["data"]["metrics"]) == ["acc", "loss", "own"]
    missing = http.post(f"{API}/runs/log-metric", json={**one, "model_id": "m-" + "0" * 32})
    assert refused(missing)[:2] == (404, "RESOURCE_DOES_NOT_EXIST")


def test_runs_read_and_make_models(http: httpx.Client) -> None:
    """Inputs and outputs come with the run."""
    made, read, run_id = create(http)["info"]["model_id"], create(http)["info"]["model_id"], start(http)
    sent = {"run_id": run_id, "models": [{"model_id": made, "step": 3}]}
    assert http.post(f"{API}/runs/outputs", json=sent).json() == {}
    assert (
        http.post(f"{API}/runs/log-inputs", json={"run_id": run_id, "models": [{"model_id": read}]}).json()
        == {}
    )
    run = http.get(f"{API}/runs/get", params={"run_id": run_id}).json()["run"]

    assert run["outputs"] == {"model_outputs": [{"model_id": made, "step": 3}]}
    assert run["inputs"] == {"model_inputs": [{"model_id": read}]}
    assert refused(http.post(f"{API}/runs/outputs", json={"run_id": run_id}))[1] == "INVALID_PARAMETER_VALUE"


def test_searches_come_filtered_ordered_and_in_pages(http: httpx.Client) -> None:
    """As MLflow's client asks them; a page token belongs to one search."""
    search = f"{API}/logged-models/search"
    made = {name: create(http, name=name, params=[{"key": "p", "value": name}]) for name in ("a", "b", "c")}
    run_id = start(http)
    for name, value in (("a", 0.9), ("b", 0.5)):
        point = {
            "run_id": run_id,
            "key": "acc",
            "value": value,
            "timestamp": 1,
            "dataset_name": f"data-{name}",
        }
        http.post(f"{API}/runs/log-metric", json={**point, "model_id": made[name]["info"]["model_id"]})
    everywhere = {"experiment_ids": ["0"]}

    assert names(http.post(search, json=everywhere)) == ["c", "b", "a"]
    assert names(http.post(search, json={"experiment_ids": []})) == []
    assert names(http.post(search, json={**everywhere, "filter": "metrics.acc > 0.6"})) == ["a"]
    assert names(http.post(search, json={**everywhere, "datasets": [{"dataset_name": "data-b"}]})) == ["b"]
    by_metric = {**everywhere, "order_by": [{"field_name": "metrics.acc", "ascending": False}]}
    assert names(http.post(search, json=by_metric)) == ["a", "b", "c"]
    assert names(http.post(search, json={**everywhere, "order_by": [{"field_name": "name"}]})) == [
        "a",
        "b",
        "c",
    ]
    first = http.post(search, json={**by_metric, "max_results": 2})
    token = first.json()["next_page_token"]
    assert names(first) == ["a", "b"]
    rest = http.post(search, json={**by_metric, "max_results": 100, "page_token": token})
    assert names(rest) == ["c"]
    assert "next_page_token" not in rest.json()
    for other, message in (
        ({**by_metric, "experiment_ids": ["1"]}, "Experiment IDs in the page token do not match"),
        ({**by_metric, "filter": "name = 'a'"}, "Filter string in the page token does not match"),
        (everywhere, "Order by in the page token does not match"),
        ({**everywhere, "page_token": "nonsense"}, "Invalid page token"),
    ):
        status, code, told = refused(http.post(search, json={"page_token": token, **other}))
        assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
        assert told.startswith(message)
    for filter_ in ("Foo", "foo.bar = 'a'", "name > 'foo'"):
        assert refused(http.post(search, json={**everywhere, "filter": filter_}))[0] == 400
    assert refused(http.post(search, json={}))[2].startswith(
        "Missing value for required parameter 'experiment_ids'"
    )
    unnamed = {**everywhere, "datasets": [{"dataset_digest": "x"}]}
    assert (
        "`dataset_name` in the `datasets` clause must be specified."
        in refused(http.post(search, json=unnamed))[2]
    )


def test_a_model_names_the_versions_made_of_it(http: httpx.Client) -> None:
    """Each version made of a model is added to the model's tag, its number as a number."""
    info = create(http)["info"]
    version = {"name": "noted", "source": info["artifact_uri"], "model_id": info["model_id"]}
    http.post(f"{API}/registered-models/create", json={"name": "noted"})
    for number in (1, 2):
        assert http.post(f"{API}/model-versions/create", json=version).status_code == 200
        tags = {tag["key"]: tag["value"] for tag in get(http, info["model_id"])["info"]["tags"]}
        assert json.loads(tags["mlflow.modelVersions"]) == [
            {"name": "noted", "version": known} for known in range(1, number + 1)
        ]


def test_old_clients_find_the_history_of_a_run_s_models(http: httpx.Client) -> None:
    """Each model is added to the tag that they read, without its configuration; bad descriptions are named."""
    run_id = start(http)
    model = {
        "artifact_path": "model/path/0",
        "flavors": {"python_function": {"config": {"secret": 1}, "loader_module": "m"}},
        "utc_time_created": "2026-01-01 00:00:00",
        "run_id": run_id,
        "model_uuid": "u1",
        "signature": {"inputs": "[]"},
    }
    for path in ("model/path/0", "model/path/1"):
        sent = {"run_id": run_id, "model_json": json.dumps({**model, "artifact_path": path})}
        assert http.post(f"{API}/runs/log-model", json=sent).json() == {}
    tags = http.get(f"{API}/runs/get", params={"run_id": run_id}).json()["run"]["data"]["tags"]
    (history,) = [tag["value"] for tag in tags if tag["key"] == "mlflow.log-model.history"]

    assert [entry["artifact_path"] for entry in json.loads(history)] == ["model/path/0", "model/path/1"]
    assert json.loads(history)[0] == {
        "run_id": run_id,
        "utc_time_created": "2026-01-01 00:00:00",
        "artifact_path": "model/path/0",
        "model_uuid": "u1",
        "flavors": {"python_function": {"loader_module": "m"}},
    }
    for text, message in (
        ("{nonsense", "Malformed model info."),
        ("{}", "missing mandatory fields"),
        ("5", "missing"),
    ):
        answer = refused(http.post(f"{API}/runs/log-model", json={"run_id": run_id, "model_json": text}))
        assert answer[1] == "INVALID_PARAMETER_VALUE"
        assert message in answer[2]


def test_a_version_elsewhere_takes_over_the_run_of_its_logged_model(http: httpx.Client) -> None:
    """Also when its files lie in another store; a model that is not there is refused, and no version is made."""
    run = start(http)
    model = create(http, source_run_id=run)["info"]["model_id"]
    http.post(f"{API}/registered-models/create", json={"name": "elsewhere"})
    versions = f"{API}/model-versions/create"
    of = {"name": "elsewhere", "source": "s3://bucket/model"}
    made = http.post(versions, json={**of, "model_id": model}).json()["model_version"]

    assert (made["version"], made["run_id"], made["model_id"]) == ("1", run, model)
    told = refused(http.post(versions, json={**of, "model_id": "m-nope"}))
    assert told == (404, "RESOURCE_DOES_NOT_EXIST", "Logged model with ID 'm-nope' not found.")
    assert http.post(versions, json=of).json()["model_version"]["version"] == "2"
