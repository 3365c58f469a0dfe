"""Requests of MLflow's protocol on registered models and versions, good and bad, for two servers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from integration.interop.mlflow_requests import API, Step, post

PROMPT = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
LONG_VALUE = "x" * 100_001
RM, MV = "registered-models/", "model-versions/"


def ask(method: str, path: str, sends: Any, /) -> Step:
    """Describe a PATCH or DELETE, whose fields are a body too."""
    return Step(f"{method} {path} {str(sends)[:110]}", method, API + path, sends)


def read(path: str, /, **query: Any) -> Step:
    """Describe a GET, of which `name` is a field like others."""
    pairs = [
        (key, str(each))
        for key, value in query.items()
        for each in (value if isinstance(value, list) else [value])
    ]
    return Step(f"GET {path} {str(query)[:110]}", "GET", API + path, query=pairs)


def steps() -> Iterator[Step]:
    """Give all requests in their order."""
    yield from _making_models()
    yield from _changing_models()
    yield from _tagging_models()
    yield from _sources()
    yield from _versions()
    yield from _stages()
    yield from _aliases()
    yield from _searching_models()
    yield from _searching_versions()
    yield from _deleting()


def _making_models() -> Iterator[Step]:
    tags = [{"key": "a", "value": "b"}, {"key": "e", "value": ""}, {"key": "a", "value": "last"}]
    yield post(RM + "create", {"name": "m", "tags": tags, "description": "d"})
    yield post(RM + "create", {"name": "m"}, name="a name twice")
    yield post(RM + "create", {"name": "m", "tags": PROMPT}, name="a prompt with the name of a model")
    yield post(RM + "create", {"name": "p", "tags": PROMPT})
    yield post(RM + "create", {"name": "p"}, name="a model with the name of a prompt")
    yield post(RM + "create", {"name": "p", "tags": PROMPT}, name="a prompt twice")
    for sent in (
        {},
        {"name": ""},
        {"name": None},
        {"name": "  "},
        {"name": "a/b"},
        {"name": "a:b"},
        {"name": "."},
        {"name": ".."},
        {"name": "a/../b"},
        {"name": 5},
        {"name": ["x"]},
        {"name": "t", "tags": "x"},
        {"name": "t", "description": 5},
        {"name": "t", "tags": [{"key": "", "value": "x"}]},
        {"name": "t", "tags": [{"key": "a//b", "value": "x"}]},
        {"name": "t", "tags": [{"key": "k" * 251, "value": "x"}]},
        {"name": "t", "tags": [{"key": "k", "value": LONG_VALUE}]},
        {"name": "t", "description": "", "deployment_job_id": "7", "unknown": 1},
    ):
        yield post(RM + "create", sent)
    yield post(RM + "create", {"name": "español ñ, 汉字 @ #?%"})
    for name in ("m", "p", "t", "español ñ, 汉字 @ #?%", "nope", "a/b", ""):
        yield read(RM + "get", name=name)
    yield read(RM + "get")


def _changing_models() -> Iterator[Step]:
    for sent in (
        {"name": "t", "description": "new"},
        {"name": "t"},
        {"name": "nope", "description": "x"},
        {"description": "x"},
    ):
        yield ask("PATCH", RM + "update", sent)
    for sent in (
        {"name": "t", "new_name": "t 2"},
        {"name": "t 2", "new_name": "m"},
        {"name": "t 2", "new_name": "t 2"},
        {"name": "t 2"},
        {"name": "t 2", "new_name": " "},
        {"name": "t 2", "new_name": "x/y"},
        {"name": "nope", "new_name": "y"},
    ):
        yield post(RM + "rename", sent)
    yield read(RM + "get", name="t")
    for sent in ({"name": "t 2"}, {"name": "t 2"}, {"name": "nope"}, {}):
        yield ask("DELETE", RM + "delete", sent)
    yield post(RM + "rename", {"name": "t 2", "new_name": "t"}, name="rename a deleted model")
    yield post(RM + "create", {"name": "t 2"}, name="the name of a deleted model")


def _tagging_models() -> Iterator[Step]:
    for sent in (
        {"name": "m", "key": "k", "value": "v"},
        {"name": "m", "key": "k"},
        {"name": "m", "value": "v"},
        {"name": "nope", "key": "k", "value": "v"},
        {"name": "a/b", "key": "k", "value": "v"},
        {"name": "m", "key": "a!", "value": "v"},
        {"name": "m", "key": "../a", "value": "v"},
        {"name": "m", "key": "k", "value": 5},
        {"name": "m", "key": "k", "value": LONG_VALUE},
    ):
        yield post(RM + "set-tag", sent)
    for sent in (
        {"name": "m", "key": "k"},
        {"name": "m", "key": "k"},
        {"name": "nope", "key": "k"},
        {"name": "m"},
    ):
        yield ask("DELETE", RM + "delete-tag", sent)


def _sources() -> Iterator[Step]:
    yield post("experiments/create", {"name": "e"}, keeps={"e": "experiment_id"})
    made = {"run": "run.info.run_id", "uri": "run.info.artifact_uri"}
    yield post("runs/create", {"experiment_id": "{e}", "start_time": 1}, keeps=made)
    model = {"experiment_id": "{e}", "name": "lm", "source_run_id": "{run}"}
    kept = {"model": "model.info.model_id", "model_uri": "model.info.artifact_uri"}
    yield post("logged-models", model, keeps=kept)
    for sent in (
        {
            "source": "runs:/r/model",
            "run_id": "r",
            "tags": [{"key": "x", "value": "1"}],
            "run_link": "http://l",
        },
        {"source": "runs:/r/model", "run_id": "other"},
        {"source": "runs:/r/model"},
        {"source": "runs:/{run}/model", "run_id": "{run}", "description": "dd"},
        {"source": "runs:/{run}", "run_id": "{run}"},
        {"source": "runs:/", "run_id": "{run}"},
        {"source": "runs://host/{run}/m", "run_id": "{run}"},
        {"source": "models:/{model}", "model_id": "{model}"},
        {"source": "models:/{model}"},
        {"source": "models:/{model}", "model_id": "m-other"},
        {"source": "models:/{model}", "run_id": "{run}"},
        {"source": "models:/m/1"},
        {"source": "models:/m/1", "run_id": "x"},
        {"source": "models:/m/1", "model_id": "m-x"},
        {"source": "models:/m/99"},
        {"source": "models:/nope/1"},
        {"source": "models:/p/1"},
        {"source": "models:/m@none"},
        {"source": "models:/a/b/c"},
        {"source": "models:/"},
        {"source": "models://host/m/1"},
        {"source": "models:/m/latest"},
        {"source": "{uri}", "run_id": "{run}"},
        {"source": "{uri}/model", "run_id": "{run}"},
        {"source": "{uri}/model"},
        {"source": "{uri}/../x", "run_id": "{run}"},
        {"source": "{uri}", "run_id": "nope"},
        {"source": "{model_uri}", "model_id": "{model}"},
        {"source": "{model_uri}", "model_id": "m-nope"},
        {"source": "{model_uri}", "run_id": "{run}"},
        {"source": "dummy-source", "tags": PROMPT},
        {"source": "s3://b/p", "tags": PROMPT},
        {"source": "s3://b/x", "tags": [{"key": "a//b", "value": "x"}]},
        {"source": "s3://b/x", "tags": [{"key": "mlflow.prompt.text", "value": LONG_VALUE}]},
        {},
    ):
        yield post(MV + "create", {"name": "m", **sent})
    yield post(MV + "create", {"name": "nope", "source": "s3://b/x"})
    yield post(MV + "create", {"source": "s3://b/x"})
    for source in (
        "s3://bucket/x",
        "s3://bucket",
        "s3://b/../x",
        "s3:/b/x",
        "s3://b/a/./c",
        "s3://b/a/..../c",
        "s3://b/a//b///",
        "s3://b/a%2f..%2fc",
        "s3://b/a%252f..%252fc",
        "s3://b/a%00",
        "s3a://b/api/2.0/mlflow-artifacts/artifacts/../../../",
        "dbfs:/x",
        "gs://b/x",
        "wasbs://c@a.blob.core.windows.net/x",
        "mlflow-artifacts:/models",
        "/srv/models",
    ):
        yield post(MV + "create", {"name": "m", "source": source, "run_id": "{run}"})


def _versions() -> Iterator[Step]:
    for version in ("1", "2", "99", "-1", "x", " 1 ", ""):
        yield read(MV + "get", name="m", version=version)
    yield read(MV + "get", name="nope", version="1")
    yield read(MV + "get", name="m")
    for sent in (
        {"version": "1", "description": "u"},
        {"version": "1"},
        {"version": "1", "description": ""},
        {"version": "99", "description": "u"},
        {"version": "x", "description": "u"},
        {"version": 1, "description": "u"},
        {"description": "u"},
    ):
        yield ask("PATCH", MV + "update", {"name": "m", **sent})
    for sent in (
        {"version": "1", "key": "k", "value": "v"},
        {"version": "1", "key": "k"},
        {"version": "99", "key": "k", "value": "v"},
        {"version": "x", "key": "k", "value": "v"},
        {"version": "1", "value": "v"},
        {"version": "1", "key": "a b/c.d-e_f:g", "value": "v"},
        {"version": "1", "key": "mlflow.prompt.text", "value": LONG_VALUE},
    ):
        yield post(MV + "set-tag", {"name": "m", **sent})
    for sent in (
        {"version": "1", "key": "k"},
        {"version": "1", "key": "k"},
        {"version": "99", "key": "k"},
        {"version": "1"},
    ):
        yield ask("DELETE", MV + "delete-tag", {"name": "m", **sent})
    for version in ("1", "2", "4", "99", "x"):
        yield read(MV + "get-download-uri", name="m", version=version)


def _stages() -> Iterator[Step]:
    for sent in (
        {"version": "1", "stage": "staging", "archive_existing_versions": True},
        {"version": "2", "stage": "Staging", "archive_existing_versions": "true"},
        {"version": "3", "stage": "PRODUCTION"},
        {"version": "1", "stage": "bad"},
        {"version": "1"},
        {"version": "99", "stage": "None"},
        {"version": "x", "stage": "None"},
    ):
        yield post(MV + "transition-stage", {"name": "m", **sent})
    wanted: tuple[dict[str, Any], ...] = (
        {},
        {"stages": []},
        {"stages": ["staging", "Archived"]},
        {"stages": ["bad"]},
        {"stages": "x"},
    )
    for stages in wanted:
        yield post(RM + "get-latest-versions", {"name": "m", **stages})
    yield post(RM + "get-latest-versions", {"name": "nope"})
    yield post(RM + "get-latest-versions", {})
    yield read(RM + "get-latest-versions", name="m", stages=["Staging", "Production"])


def _aliases() -> Iterator[Step]:
    for alias in ("ok", "a b", "latest", "LATEST", "v1", "V22", "", "x" * 256, "é", "a.b"):
        yield post(RM + "alias", {"name": "m", "alias": alias, "version": "1"})
    for sent in (
        {"name": "m", "alias": "ok", "version": "99"},
        {"name": "m", "alias": "ok", "version": "x"},
        {"name": "nope", "alias": "ok", "version": "1"},
        {"name": "m", "alias": "ok"},
        {"name": "m", "alias": "moved", "version": "1"},
        {"name": "m", "alias": "moved", "version": "2"},
    ):
        yield post(RM + "alias", sent)
    for alias in ("ok", "moved", "none", "latest", "a b", ""):
        yield read(RM + "alias", name="m", alias=alias)
    yield read(RM + "alias", name="nope", alias="ok")
    for sent in (
        {"name": "m", "alias": "none"},
        {"name": "m", "alias": "é"},
        {"name": "nope", "alias": "x"},
        {"name": "m", "alias": "a b"},
        {"name": "m"},
    ):
        yield ask("DELETE", RM + "alias", sent)


def _searching_models() -> Iterator[Step]:
    for filter_ in (
        "",
        "name='m'",
        "name LIKE 'm%'",
        "name ilike 'M%'",
        "name LIKE 'M%'",
        "name IN ('m','x')",
        "name NOT IN ('m')",
        "attribute.name != 'm'",
        'name = "m"',
        "tags.a='last'",
        "tag.`a` != 'c' AND name LIKE '%'",
        "tags.`mlflow.prompt.is_prompt`='true'",
        "tags.`mlflow.prompt.is_prompt`='false'",
        "tags.`mlflow.prompt.is_prompt`!='true' AND tags.a = 'last'",
        "name='m' AND",
        "run_id='x'",
        "foo.bar='x'",
        "name",
        "name = m",
        "name='m' OR name='x'",
        "name='m';name='x'",
        "name IN ()",
        "name IN (1, 2)",
        "name IN (",
        "name > 'm'",
        "tags.a > 'b'",
    ):
        yield read(RM + "search", filter=filter_)
    for order_by in (
        ["name DESC"],
        ["name"],
        ["timestamp asc", "name DESC"],
        ["last_updated_timestamp desc"],
        ["creation_timestamp"],
        ["bad"],
        ["name blah"],
        ["name ASC x"],
    ):
        yield read(RM + "search", order_by=order_by, max_results=2)
    for max_results in (1, 1000, 1001, "x"):
        yield read(RM + "search", max_results=max_results)
    yield read(RM + "search", page_token="evilhax")


def _searching_versions() -> Iterator[Step]:
    yield post(RM + "create", {"name": "s"})
    for n in range(4):
        source = {"source": f"runs:/s{n % 2}/model", "run_id": f"s{n % 2}"}
        yield post(MV + "create", {"name": "s", **source, "tags": [{"key": "t", "value": f"v{n}"}]})
    for filter_ in (
        "name='s'",
        "name='s' AND version_number=2",
        "name='s' AND version_number<=2",
        "name='s' AND version_number != 3",
        "version_number=2.5",
        "run_id='s0'",
        "run_id IN ('s0','y')",
        "name='s' AND run_id NOT IN ('s0')",
        "run_id LIKE 's_'",
        "source_path LIKE 'runs:/s0%'",
        "source_path IN ('a')",
        "tags.t='v1'",
        "tag.`t` ILIKE 'V%' AND name = 's'",
        "name='p'",
        "tags.`mlflow.prompt.is_prompt`='true'",
        "creation_timestamp>1",
        "current_stage='None'",
        "run_id IN ()",
        "run_id IN (1)",
        "run_id IN (",
        "run_id IN",
        "name > 'a'",
    ):
        yield read(MV + "search", filter=filter_)
    for order_by in (
        ["version_number ASC"],
        ["name DESC", "version_number ASC"],
        ["creation_timestamp"],
        ["run_id"],
        ["version_number blah"],
    ):
        yield read(MV + "search", filter="name='s'", order_by=order_by)
    for max_results in (1, 0, -1, 200000, 200001):
        yield read(MV + "search", filter="name='s'", max_results=max_results)
    yield read(MV + "search", page_token="evilhax")


def _deleting() -> Iterator[Step]:
    for version in ("2", "2", "99", "x", ""):
        yield ask("DELETE", MV + "delete", {"name": "m", "version": version})
    yield read(MV + "get", name="m", version="2")
    yield read(MV + "get-download-uri", name="m", version="2")
    yield read(RM + "alias", name="m", alias="moved")
    yield ask("DELETE", MV + "delete", {"name": "s", "version": "4"})
    source = {"source": "runs:/s/model", "run_id": "s"}
    yield post(MV + "create", {"name": "s", **source}, name="the number after a deleted one")
    yield ask("DELETE", RM + "delete", {"name": "m"})
    yield read(MV + "get", name="m", version="1")
    yield read(MV + "search", filter="name='m'")
