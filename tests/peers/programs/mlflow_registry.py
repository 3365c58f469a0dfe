"""The model registry through the real MLflow client; the server's address is the argument.

In the workspace there is a model `own` already, registered by Noria.
"""

import json
import os
import pathlib
import sys
import tempfile
import time

os.environ |= {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

mlflow.set_tracking_uri(sys.argv[1])
client = MlflowClient()
X, Y = load_iris(return_X_y=True, as_frame=True)


def refused(code, words, call, *arguments, **named):
    """Check that a call raises, with a code and words of the message."""
    try:
        call(*arguments, **named)
    except MlflowException as raised:
        told = (raised.error_code, str(raised))
    else:
        told = ("not refused", "")
    assert told[0] == code, told
    assert words in told[1], told


def between(start, at):
    """Tell whether a time in milliseconds lies between a moment and now."""
    return start <= at <= int(time.time() * 1000) + 1


def now():
    """Give the time in milliseconds."""
    return int(time.time() * 1000)


def models():
    """Models are made, described, renamed, tagged and deleted."""
    tags = {"key": "value", "another key": "some other value", "numeric value": 12345}
    start = now()
    made = client.create_registered_model("CreateRMTest", tags)
    assert made.tags == {**tags, "numeric value": "12345"}
    found = client.get_registered_model("CreateRMTest")
    assert (found.tags, str(found.description), found.latest_versions) == (made.tags, "", [])
    assert between(start, found.creation_timestamp)
    assert found.last_updated_timestamp == found.creation_timestamp
    refused(
        "RESOURCE_ALREADY_EXISTS",
        "Registered Model (name=CreateRMTest) already exists",
        client.create_registered_model,
        "CreateRMTest",
    )

    start = now()
    client.rename_registered_model("CreateRMTest", "CreateRMTest 2")
    client.update_registered_model("CreateRMTest 2", description="This is a test")
    found = client.get_registered_model("CreateRMTest 2")
    assert (found.name, found.description) == ("CreateRMTest 2", "This is a test")
    assert between(start, found.last_updated_timestamp)
    refused(
        "RESOURCE_DOES_NOT_EXIST",
        "Registered Model with name=CreateRMTest not found",
        client.get_registered_model,
        "CreateRMTest",
    )
    client.set_registered_model_tag("CreateRMTest 2", "key", "")
    client.delete_registered_model_tag("CreateRMTest 2", "another key")
    client.delete_registered_model_tag("CreateRMTest 2", "another key")
    assert client.get_registered_model("CreateRMTest 2").tags == {"key": "", "numeric value": "12345"}
    client.delete_registered_model("CreateRMTest 2")
    refused(
        "RESOURCE_DOES_NOT_EXIST",
        "Registered Model with name=CreateRMTest 2 not found",
        client.rename_registered_model,
        "CreateRMTest 2",
        "something else",
    )
    assert client.create_registered_model("CreateRMTest 2").tags == {}
    client.delete_registered_model("CreateRMTest 2")


def pages():
    """Models are searched, page by page."""
    names = [f"CreateRMsearch{i:03}" for i in range(29)]
    for name in names:
        client.create_registered_model(name)
    mine = "name LIKE 'CreateRMsearch%'"
    for filter_string, expected in [
        (mine, names),
        ("name LIKE 'CreateRMsearch%7'", [n for n in names if n.endswith("7")]),
        ("name ILIKE '%rmsearch%00%'", [n for n in names if "00" in n]),
        ("name LIKE '%rm%00%'", []),
        ("name = 'CreateRMsearch023'", ["CreateRMsearch023"]),
    ]:
        for max_results in (1, 8, 100):
            found, token = [], None
            while True:
                page = client.search_registered_models(
                    filter_string, max_results=max_results, page_token=token
                )
                found += [each.name for each in page]
                token = page.token
                if not token:
                    break
            assert found == expected, (filter_string, max_results)
    assert [m.name for m in client.search_registered_models(mine, order_by=["name DESC"])] == names[::-1]
    refused(
        "INVALID_PARAMETER_VALUE",
        "Invalid page token, could not base64-decode",
        client.search_registered_models,
        page_token="evilhax",
    )
    versions_of(names)
    for name in names:
        client.delete_registered_model(name)


def versions_of(names):
    """Versions are searched, the newest first."""
    made = []
    for name in [*names[:5], *names[:2]]:
        time.sleep(0.002)
        made.append(client.create_model_version(name, "runs:/run_id/model", "run_id"))
    newest_first = [(v.name, v.version) for v in made[::-1]]
    for max_results in (1, 3, 100):
        found, token = [], None
        while True:
            page = client.search_model_versions(
                "run_id = 'run_id'", max_results=max_results, page_token=token
            )
            found += [(v.name, v.version) for v in page]
            token = page.token
            if not token:
                break
        assert found == newest_first
    by_number = client.search_model_versions("run_id = 'run_id'", order_by=["version_number DESC"])
    assert [(v.name, v.version) for v in by_number][:2] == [(names[0], "2"), (names[1], "2")]
    assert [v.version for v in client.search_model_versions(f"name = '{names[0]}'")] == ["2", "1"]


def versions():
    """Versions count up, move between stages, and are deleted; a number is never given again."""
    name = "Versions"
    client.create_registered_model(name)
    tags = {"key": "value", "numeric value": 12345}
    first = client.create_model_version(name, "runs:/r1/model", "r1", tags, description="d")
    assert (first.version, first.tags) == ("1", {"key": "value", "numeric value": "12345"})
    again = client.get_model_version(name, "1")
    assert (again.status, again.current_stage, again.run_id, again.source) == (
        "READY",
        "None",
        "r1",
        "runs:/r1/model",
    )
    assert [m.latest_versions for m in client.search_registered_models(f"name='{name}'")] == [[again]]
    for n in range(2, 8):
        assert client.create_model_version(name, f"runs:/r{n}/model", f"r{n}").version == str(n)
    stages = {1: "Archived", 2: "Production", 3: "Archived", 4: "Production", 5: "Staging", 6: "staging"}
    for version, stage in stages.items():
        client.transition_model_version_stage(name, version, stage)

    def latest(wanted):
        return {v.current_stage: v.version for v in client.get_latest_versions(name, wanted)}

    assert latest(None) == {"Production": "4", "Staging": "6", "Archived": "3", "None": "7"}
    assert latest(["None", "Staging"]) == {"None": "7", "Staging": "6"}
    client.transition_model_version_stage(name, 7, "Production", archive_existing_versions=True)
    assert latest(["Production"]) == {"Production": "7"}
    assert client.get_model_version(name, 4).current_stage == "Archived"

    client.delete_model_version(name, "7")
    refused(
        "RESOURCE_DOES_NOT_EXIST",
        f"Model Version (name={name}, version=7) not found",
        client.get_model_version,
        name,
        "7",
    )
    assert client.create_model_version(name, "runs:/r8/model", "r8").version == "8"
    assert {v.version for v in client.search_model_versions(f"name='{name}'")} == set("1234568")
    refused(
        "INVALID_PARAMETER_VALUE",
        "Parameter 'version' must be an integer, got 'something not correct'.",
        client.get_model_version,
        name,
        "something not correct",
    )

    client.set_registered_model_alias(name, "test_alias", "1")
    assert client.get_registered_model(name).aliases == {"test_alias": "1"}
    assert client.get_model_version(name, "1").aliases == ["test_alias"]
    assert client.get_model_version_by_alias(name, "test_alias") == client.get_model_version(name, "1")
    copy = client.copy_model_version(f"models:/{name}@test_alias", "Copies")
    assert (copy.version, copy.source, copy.description) == ("1", f"models:/{name}/1", "d")
    assert copy.tags == first.tags
    assert client.get_model_version_download_uri("Copies", 1) == first.source
    client.delete_registered_model_alias(name, "test_alias")
    assert client.get_registered_model(name).aliases == {}
    refused(
        "INVALID_PARAMETER_VALUE",
        "Registered model alias test_alias not found.",
        client.get_model_version_by_alias,
        name,
        "test_alias",
    )


def real_models():
    """Models that runs logged are registered, loaded, and cannot be altered afterwards."""
    fitted = LogisticRegression(max_iter=500).fit(X, Y)
    signature = infer_signature(X, fitted.predict(X))
    mlflow.set_experiment("registry")
    with mlflow.start_run() as run:
        mlflow.sklearn.log_model(
            fitted, name="model", signature=signature, input_example=X.head(2), registered_model_name="iris"
        )
    version = client.get_model_version("iris", "1")
    model_id = version.source.removeprefix("models:/")
    assert version.run_id == run.info.run_id
    location = client.get_logged_model(model_id).artifact_location
    assert client.get_model_version_download_uri("iris", "1") == location
    assert {"name": "iris", "version": "1"} in json.loads(
        client.get_logged_model(model_id).tags["mlflow.modelVersions"]
    )
    client.set_registered_model_alias("iris", "champion", "1")
    for uri in ("models:/iris/1", "models:/iris@champion", "models:/iris/latest"):
        assert list(mlflow.pyfunc.load_model(uri).predict(X)) == list(fitted.predict(X))
    client.transition_model_version_stage("iris", "1", "Production")
    assert list(mlflow.sklearn.load_model("models:/iris/Production").predict(X)) == list(fitted.predict(X))
    assert mlflow.register_model(f"runs:/{run.info.run_id}/model", "by_run").source == version.source

    with mlflow.start_run() as classic, tempfile.TemporaryDirectory() as folder:
        saved = pathlib.Path(folder) / "m"
        mlflow.sklearn.save_model(fitted, saved, signature=signature)
        mlflow.log_artifacts(str(saved), "classic")
        made = mlflow.register_model(f"runs:/{classic.info.run_id}/classic", "classic")
        assert made.source == f"{classic.info.artifact_uri}/classic"
        assert client.get_model_version_download_uri("classic", "1") == made.source
        (saved / "MLmodel").write_text("flavors: {}\n")
        client.log_artifact(classic.info.run_id, str(saved / "MLmodel"), "classic")
    # The run's own copy has changed; the version has not.
    assert client.get_model_version_download_uri("classic", "1") != made.source
    assert list(mlflow.sklearn.load_model("models:/classic/1").predict(X)) == list(fitted.predict(X))

    forest = RandomForestClassifier(n_estimators=5, random_state=3).fit(X, Y)
    with mlflow.start_run():
        mlflow.sklearn.log_model(
            forest,
            name="forest",
            signature=infer_signature(X, forest.predict(X)),
            serialization_format="cloudpickle",
            registered_model_name="forest",
        )
    return [int(value) for value in forest.predict(X)]


def sources():
    """What leads elsewhere than it says is refused."""
    client.create_registered_model("sources")
    run = client.create_run("0")
    identify = "request parameter must identify the resource that contains the source"
    for source, run_id, words in [
        ("runs:/other/model", "r", identify),
        ("models:/m-" + "0" * 32, None, identify),
        (run.info.artifact_uri, None, identify),
        (run.info.artifact_uri + "/../x", run.info.run_id, "without relative path references"),
        ("/etc/passwd", run.info.run_id, "To use a local path as a model version source"),
        ("s3://bucket/../x", run.info.run_id, "without relative path references"),
    ]:
        refused(
            "INVALID_PARAMETER_VALUE", words, client.create_model_version, "sources", source, run_id=run_id
        )
    assert client.search_model_versions("name = 'sources'") == []


def prompts():
    """Prompts live beside models, and are in no list of them."""
    assert mlflow.genai.register_prompt(name="greet", template="Hello {{name}}").version == 1
    assert mlflow.genai.register_prompt(name="greet", template="Hi {{name}}").version == 2
    assert mlflow.genai.load_prompt("prompts:/greet/1").template == "Hello {{name}}"
    mlflow.genai.set_prompt_alias("greet", "prod", 2)
    assert mlflow.genai.load_prompt("prompts:/greet@prod").template == "Hi {{name}}"
    assert [prompt.name for prompt in mlflow.genai.search_prompts()] == ["greet"]
    assert "greet" not in [model.name for model in client.search_registered_models()]


def registered_by_noria():
    """A model of Noria's own is found, and its files come as they were registered."""
    version = client.get_model_version("own", 1)
    assert (version.status, version.description) == ("READY", "made by Noria")
    assert client.get_registered_model("own").aliases == {"champion": "1"}
    assert [v.version for v in client.search_model_versions("name = 'own'")] == ["1"]
    folder = pathlib.Path(mlflow.artifacts.download_artifacts("models:/own@champion"))
    names = sorted(path.name for path in folder.iterdir())
    assert "model.skops" in names, names
    return names


def main():
    models()
    pages()
    versions()
    predicted = real_models()
    sources()
    prompts()
    print(json.dumps({"forest": predicted, "own": registered_by_noria()}))


main()
