"""The registry through MLflow's client: `python mlflow_client_registry.py SERVER`; see `mlflow_outcomes.py`."""

import time

from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag
from mlflow.exceptions import MlflowException
from mlflow_outcomes import client, end, tell, tell_each

store = client._get_registry_client().store
SOURCE = ("runs:/run_id/model", "run_id")


def make(name, n_versions=0, **described):
    """Make a model with versions."""
    client.create_registered_model(name, **described)
    for _ in range(n_versions):
        time.sleep(0.002)  # so that moments tell them apart
        client.create_model_version(name, *SOURCE)


def models():
    """Make, rename, describe and delete models."""
    make("abCD")
    tell("a name twice", client.create_registered_model, "abCD")
    tags = {"key": "value", "n": 123}
    tell("with tags", client.create_registered_model, "tags", tags=tags, description="best")
    tell_each("name", store.create_registered_model, (None, "", "  ", "a/b", "a:b", ".", "x" * 257))
    for text in ("new", None, ""):
        tell(f"describe {text}", client.update_registered_model, "tags", text)
    make("original name", 2)
    tell("rename", client.rename_registered_model, "original name", "new name")
    tell("renamed version", lambda: client.get_model_version("new name", 2).name)
    tell("the old name", client.get_registered_model, "original name")
    make("original name")
    tell("rename to a taken name", client.rename_registered_model, "new name", "original name")
    for name in (None, "", " ", "a/b"):
        tell(f"rename to {name}", store.rename_registered_model, "new name", name)
    make("gone", 1)
    client.delete_registered_model("gone")
    for name, call in {
        "get": lambda: client.get_registered_model("gone"),
        "update": lambda: client.update_registered_model("gone", "x"),
        "rename": lambda: client.rename_registered_model("gone", "x"),
        "delete": lambda: client.delete_registered_model("gone"),
        "version": lambda: client.get_model_version("gone", 1),
        "new version": lambda: client.create_model_version("gone", *SOURCE),
        "set tag": lambda: client.set_registered_model_tag("gone", "k", "v"),
        "delete tag": lambda: client.delete_registered_model_tag("gone", "k"),
        "latest": lambda: client.get_latest_versions("gone"),
        "alias": lambda: client.set_registered_model_alias("gone", "a", 1),
        "by alias": lambda: client.get_model_version_by_alias("gone", "a"),
    }.items():
        tell(f"deleted: {name}", call)


def tags():
    """Set and delete tags of models and versions."""
    make("tagged", 1)
    pairs = [
        *(("key", "over"), ("e", ""), ("long", "a" * 100_000), ("long", "a" * 100_001), ("k" * 250, "v")),
        *(
            ("k" * 251, "v"),
            ("a/b", "v"),
            ("a..b", "v"),
            ("a//b", "v"),
            ("/a", "v"),
            ("a=b", "v"),
            ("é", "v"),
        ),
        *((None, "v"), ("", "v"), ("n", None), ("n", 5)),
    ]
    for key, value in pairs:
        shown = f"{str(key)[:9]} {str(value)[:9]} {len(str(value))}"
        tell(f"tag {shown}", store.set_registered_model_tag, "tagged", RegisteredModelTag(key, value))
        tell(f"tag of version {shown}", store.set_model_version_tag, "tagged", 1, ModelVersionTag(key, value))
    tell("tags", lambda: {k: len(v) for k, v in client.get_registered_model("tagged").tags.items()})
    tell(
        "tags of version", lambda: {k: len(v) for k, v in client.get_model_version("tagged", 1).tags.items()}
    )
    for key in ("key", "key", None, "", "a=b"):
        tell(f"untag {key}", store.delete_registered_model_tag, "tagged", key)
        tell(f"untag version {key}", store.delete_model_version_tag, "tagged", 1, key)
    tell("tag no version", store.set_model_version_tag, "tagged", "no number", ModelVersionTag("k", "v"))
    tell("tag by stage", client.set_model_version_tag, "tagged", None, "k", "v", stage="None")
    tell("tag by empty stage", client.set_model_version_tag, "tagged", None, "k", "v", stage="Production")


def versions():
    """Make, describe, move and delete versions."""
    make("versions")
    tell("plain source", store.create_model_version, "versions", "a/b/CD", "r")
    tell("another run", store.create_model_version, "versions", "runs:/x/a", "r")
    tagged = [ModelVersionTag("key", "value"), ModelVersionTag("other", "x")]
    tell("tags", store.create_model_version, "versions", "s3://b/c", "r", tagged)
    tell("link", store.create_model_version, "versions", "s3://b/c", "r", run_link="http://host/run/")
    tell("description", store.create_model_version, "versions", "s3://b/c", "r", description="the best")
    tell("no run", store.create_model_version, "versions", "s3://b/c", None)
    tell("no model", store.create_model_version, "versions", "s3://b/c", None, model_id="m-nope")
    tell("no source", store.create_model_version, "versions", None, "r")
    tell("no name", store.create_model_version, None, "s3://b/c", "r")
    tell("bad tag", store.create_model_version, "versions", "s3://b/c", "r", [ModelVersionTag("a//b", "x")])
    tell_each(
        "version", lambda n: store.get_model_version("versions", n), (1, "2", 99, 0, -1, "1.5", "x", None, "")
    )
    stages = ("STAGING", "StAgInG", "none", "unknown", "", None)
    tell_each("stage", lambda s: store.transition_model_version_stage("versions", 1, s, False), stages)
    for text in ("d", "", None):
        tell(f"describe version {text}", client.update_model_version, "versions", "1", text)
    tell("delete", client.delete_model_version, "versions", 2)
    for name, call in {
        "get": lambda: client.get_model_version("versions", 2),
        "update": lambda: client.update_model_version("versions", 2, "x"),
        "delete": lambda: client.delete_model_version("versions", 2),
        "stage": lambda: client.transition_model_version_stage("versions", 2, "Staging"),
        "address": lambda: client.get_model_version_download_uri("versions", 2),
        "tag": lambda: client.set_model_version_tag("versions", 2, "a", "b"),
        "alias": lambda: client.set_registered_model_alias("versions", "a", 2),
    }.items():
        tell(f"deleted version: {name}", call)
    tell("the next number", lambda: client.create_model_version("versions", *SOURCE).version)


def stages():
    """Let versions stand in stages, and archive those that were there."""
    make("staged", 4)

    def standing():
        return [client.get_model_version("staged", n).current_stage for n in range(1, 5)]

    def latest(stages=None):
        return sorted((v.current_stage, v.version) for v in client.get_latest_versions("staged", stages))

    for version, stage, archive in [
        *((2, "Production", False), (3, "Production", False), (4, "Staging", True), (1, "Staging", True)),
        *((1, "Production", True), (2, "None", False), (2, "StAgInG", True)),
    ]:
        tell("move", client.transition_model_version_stage, "staged", version, stage, archive)
        tell("standing", standing)
    tell_each("latest", latest, (None, [], ["Production"], ["pROduction"], ["None", "Staging"], ["bad"]))
    client.delete_model_version("staged", 1)
    tell("latest of the rest", latest)


def times():
    """Which changes of a version are changes of its model, and which of neither."""
    make("times", 2)

    def moments():
        versions = client.search_model_versions("name = 'times'")
        model = client.get_registered_model("times")
        return {
            "model": model.last_updated_timestamp,
            **{v.version: v.last_updated_timestamp for v in versions},
        }

    for name, call in {
        "new version": lambda: client.create_model_version("times", *SOURCE),
        "stage": lambda: client.transition_model_version_stage("times", 1, "Staging"),
        "same stage": lambda: client.transition_model_version_stage("times", 1, "Staging"),
        "describe": lambda: client.update_model_version("times", 1, "x"),
        "tag": lambda: client.set_model_version_tag("times", 1, "k", "v"),
        "tag model": lambda: client.set_registered_model_tag("times", "k", "v"),
        "alias": lambda: client.set_registered_model_alias("times", "a", 1),
        "describe model": lambda: client.update_registered_model("times", "d"),
        "archive": lambda: client.transition_model_version_stage("times", 3, "Staging", True),
        "delete": lambda: client.delete_model_version("times", 2),
    }.items():
        before = moments()
        time.sleep(0.003)
        call()
        after = moments()
        tell(f"moved by {name}", lambda: sorted(k for k in after if after[k] != before.get(k)))  # noqa: B023


def aliases():
    """Set, follow, move and delete aliases."""
    make("aliased", 2)
    for alias in (
        "champion",
        "a b",
        "latest",
        "LATEST",
        "v1",
        "V12",
        "",
        "x" * 256,
        None,
        "é",
        "v",
        "a.b",
        "a-b_1",
    ):
        tell(f"alias {str(alias)[:9]}", store.set_registered_model_alias, "aliased", alias, "2")
    tell_each("alias of", lambda n: store.set_registered_model_alias("aliased", "z", n), ("x", None, 99, ""))
    tell("of model", lambda: client.get_registered_model("aliased").aliases)
    tell("of version", lambda: sorted(client.get_model_version("aliased", 2).aliases))
    by_alias = lambda alias: store.get_model_version_by_alias("aliased", alias).version  # noqa: E731
    tell_each("by alias", by_alias, ("champion", "nope", "latest", "", "a b", None))
    for alias in ("v", "v", None, ""):
        tell(f"unalias {alias}", store.delete_registered_model_alias, "aliased", alias)
    client.set_registered_model_alias("aliased", "champion", 1)
    tell("moved", by_alias, "champion")
    client.delete_model_version("aliased", 1)
    tell("alias of a deleted version", by_alias, "champion")


def copies():
    """Copy versions."""
    make("source")
    made = [ModelVersionTag("hello", "world")]
    store.create_model_version("source", "runs:/r/model", "r", made, run_link="link", description="dummy")
    client.set_registered_model_alias("source", "champion", 1)
    for uri, name in [
        *(
            ("models:/source@champion", "source"),
            ("models:/source/1", "copy"),
            ("models:/copy/1", "copy of copy"),
        ),
        *(
            ("models:/source/99", "x"),
            ("models:/nope/1", "x"),
            ("runs:/r/model", "x"),
            ("models:/source@no", "x"),
        ),
        ("models:/source/1", "a/b"),
    ]:
        tell(f"copy {uri} to {name}", client.copy_model_version, uri, name)
    tell("address of copy", client.get_model_version_download_uri, "copy of copy", 1)


def searches():  # noqa: C901 - a list of questions
    """Search models and versions, well and badly."""
    for at, (run, tags) in enumerate(
        [("a1", {"t": "x"}), ("a2", {"t": "xy", "u": "z"}), ("b1", {}), ("b1", {})]
    ):
        if at == 0:
            make("searched", tags={"t": "abc", "v": "XYZ"})
        time.sleep(0.002)
        client.create_model_version("searched", f"s3://s/{at}", run, tags=tags)
    make("searched too", tags={"t": "abcd"})

    def versions(text, **asked):
        found = store.search_model_versions(text, asked.pop("max_results", 100), **asked)
        return [(v.name, v.version) for v in found if v.name == "searched"], bool(found.token)

    def names(text, **asked):
        found = store.search_registered_models(text, asked.pop("max_results", 1000), **asked)
        return [m.name for m in found if m.name.startswith("searched")], bool(found.token)

    shared = [
        *(
            "",
            "name='searched'",
            "name LIKE 'search%'",
            "name ILIKE 'SEARCH%'",
            "name = 'a' OR name='b'",
            "name",
        ),
        *(
            "tag.t = 'x'",
            "tags.`t` != 'x'",
            "tag.t LIKE 'x%' AND tag.u = 'z'",
            "tag.T = 'x'",
            "tag.t > 'a'",
            "bad",
        ),
        *(
            "name > 'a'",
            "name = 5",
            "name = x",
            "name IN ('searched')",
            "name IN (1, 2)",
            "name IN ()",
            "name IN",
        ),
        *(
            "name IN (",
            "name IN (,)",
            "name IN ('a',,'b')",
            "foo.x = '1'",
            "foo = 'x'",
            "evilhax = true",
            "= 'a'",
        ),
        *(
            "tags.t = 5",
            "attribute.name = 'searched'",
            "name == 'x'",
            "name NOT LIKE 'x'",
            "name = 'searched' AND",
        ),
        *("tags.`mlflow.prompt.is_prompt` = 'false' AND name LIKE 's%'", "tag.t IN ('x')", "'a' = name"),
    ]
    tell_each("models with", names, shared)
    tell_each("versions with", versions, shared)
    of_versions = [
        *("version_number = 2", "version_number <= '3'", "version_number != 1", "version_number = 'x'"),
        *("version_number LIKE '2'", "version_number = 2.5", "version_number IN (1, 2)", "run_id = 'b1'"),
        *("run_id IN ('a1', 'B1')", "run_id LIKE 'a_'", "run_id NOT IN ('a1') AND name = 'searched'"),
        *(
            "source_path = 's3://s/1'",
            "source_path IN ('a')",
            "current_stage = 'None'",
            "creation_timestamp > 0",
        ),
    ]
    tell_each("versions with", versions, of_versions)
    orders = (
        ["name DESC"],
        ["bad"],
        ["name blah"],
        ["name ASC x"],
        ["tag.t"],
        [""],
        ["last_updated_timestamp\nDESC"],
    )
    for order in orders:
        tell(f"models by {order}", names, "name LIKE 'searched%'", order_by=order)
        tell(f"versions by {order}", versions, "name = 'searched'", order_by=order)
    for order in (["timestamp desc"], ["creation_timestamp"]):
        tell(f"models by {order}", names, "name LIKE 'searched%'", order_by=order)
    for order in (
        ["version_number"],
        ["creation_timestamp DESC"],
        ["run_id"],
        ["name", "version_number DESC"],
    ):
        tell(f"versions by {order}", versions, "name = 'searched'", order_by=order)
    for limit in (1, 1001, 10**15):
        tell(f"{limit} models", names, "name LIKE 'searched%'", max_results=limit)
    for limit in (1, 0, -1, 200_001):
        tell(f"{limit} versions", versions, "name = 'searched'", max_results=limit)
    for search in (names, versions):
        tell(f"token of {search.__name__}", search, "", page_token="evilhax")


def pages():
    """Walk through pages of models and of versions."""
    for n in range(7):
        make(f"page {n}", 2)

    def walk(search, size):
        found, token = [], None
        while True:
            page = search("name LIKE 'page %'", size, None, token)
            found += [(each.name, getattr(each, "version", None)) for each in page]
            token = page.token
            if not token:
                return found

    for size in (1, 3, 7, 100):
        tell(f"models by {size}", walk, store.search_registered_models, size)
        tell(f"versions by {size}", walk, store.search_model_versions, size)


for part in (models, tags, versions, stages, times, aliases, copies, searches, pages):
    try:
        part()
    except MlflowException as error:
        tell(f"{part.__name__} did not end", str, error)
end()
