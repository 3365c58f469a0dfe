"""What becomes of models and versions: made, described, renamed, moved, deleted; on each transport and database."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from noria.access.projects import NewProject, Projects
from noria.core.context import Context
from noria.core.errors import Invalid, NoriaError
from noria.core.events.tables import events
from noria.core.objects.references import drop_owner, object_references
from noria.core.objects.trees import put_tree
from noria.core.workspace import Workspace
from noria.registry.changes import ModelExists
from noria.registry.deleted import (
    DeletedModels,
    DeletedVersionNotFound,
    DeletedVersions,
    ModelFilesGone,
)
from noria.registry.entities import (
    AliasTarget,
    Description,
    Model,
    ModelVersion,
    NewModel,
    NewModelVersion,
    NewName,
    SourceVersion,
    Stage,
    StageMove,
    TagChanges,
    Task,
)
from noria.registry.queries import RegistryQuery
from noria.registry.rows import ModelNotFound, ModelVersionNotFound
from noria.registry.search import Registry
from noria.registry.service import Models
from noria.registry.versions import ModelVersions
from noria.server.upkeep import remove_deleted
from noria.tracking.entities import Link, LogBatch, NewRun
from noria.tracking.service import Runs
from support.serving import signature

PROJECT = "default"
HARD_NAMES = ("Größe, monthly", "a b?c#d%2Fe", "model@home", "ünï©ode 模型", ".hidden", "100%")


@pytest.fixture
def models(workspace: Workspace) -> Models:
    return workspace.service(Models)


@pytest.fixture
def versions(workspace: Workspace) -> ModelVersions:
    return workspace.service(ModelVersions)


def registered(workspace: Workspace, name: str, content: bytes = b"weights") -> ModelVersion:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "model.skops").write_bytes(content)
        tree = put_tree(workspace.objects(), Path(folder))
    new = NewModelVersion(
        digest=tree.digest, format="sklearn-skops", task=Task.CLASSIFICATION, signature=signature()
    )
    return workspace.service(Models).register(PROJECT, name, new)


def told(context: Context, like: str) -> list[tuple[str, str, dict[str, object]]]:
    query = (
        sa.select(events.c.type, events.c.subject, events.c.payload)
        .where(events.c.type.like(like))
        .order_by(events.c.seq)
    )
    with context.database.read() as connection:
        return [(type_, subject, payload) for type_, subject, payload in connection.execute(query)]


@pytest.mark.parametrize("name", HARD_NAMES)
def test_a_model_may_have_any_name_that_is_no_path(
    models: Models, versions: ModelVersions, name: str
) -> None:
    """It is made, read, tagged, given versions and aliases, searched, and deleted under that name."""
    models.create(PROJECT, NewModel(name=name))
    made = versions.register(PROJECT, name, SourceVersion(source="s3://bucket/there"))
    models.tag(PROJECT, name, TagChanges(tags={"team": "vision"}))
    models.set_alias(PROJECT, name, "champion", AliasTarget(version=1))

    assert made.ref == f"{name}@1"
    assert models.get(PROJECT, name).tags == {"team": "vision"}
    assert models.resolve(PROJECT, f"{name}@champion").id == made.id
    assert models.resolve(PROJECT, f"{name}@1").id == made.id
    models.delete(PROJECT, name)
    with pytest.raises(ModelNotFound):
        models.get(PROJECT, name)


@pytest.mark.parametrize("name", ["", "  ", "a/b", "a:b", ".", "..", "x" * 501, "null\0"])
@pytest.mark.alike
def test_names_that_are_paths_or_nothing_are_refused(models: Models, name: str) -> None:
    """Neither a new model nor a renamed one is called so."""
    models.create(PROJECT, NewModel(name="good"))
    with pytest.raises(Invalid):
        models.create(PROJECT, NewModel(name=name))
    with pytest.raises(Invalid):
        models.rename(PROJECT, "good", NewName(name=name))


def test_a_model_is_described_and_tagged(models: Models, context: Context) -> None:
    """What was said last is kept; a tag that is set to what it was tells nobody anything."""
    made = models.create(PROJECT, NewModel(name="digits", description="first", tags={"a": "1", "b": "2"}))
    assert (made.description, made.tags, made.latest, made.aliases) == ("first", {"a": "1", "b": "2"}, 0, {})

    described = models.describe(PROJECT, "digits", Description(text="second"))
    tagged = models.tag(PROJECT, "digits", TagChanges(tags={"a": "1", "b": None, "c": "", "gone": None}))

    assert described.description == "second"
    assert described.updated_at > made.updated_at
    assert tagged.tags == {"a": "1", "c": ""}
    assert tagged.updated_at == described.updated_at
    assert models.get(PROJECT, "digits") == tagged
    assert told(context, "model.tag%") == [
        ("model.tag_deleted", "model:digits", {"key": "b"}),
        ("model.tag_set", "model:digits", {"key": "c"}),
    ]
    with pytest.raises(ModelExists, match="`digits`"):
        models.create(PROJECT, NewModel(name="digits"))
    for tags in ({"a//b": "x"}, {"k" * 251: "x"}, {"k": "x" * 100_001}, {"": "x"}):
        with pytest.raises(Invalid):
            models.tag(PROJECT, "digits", TagChanges(tags={**tags}))


def test_a_number_is_never_given_again(workspace: Workspace, models: Models, versions: ModelVersions) -> None:
    """A deleted version is gone with its aliases and files; the next one gets a new number."""
    first, second = registered(workspace, "digits", b"1"), registered(workspace, "digits", b"2")
    models.set_alias(PROJECT, "digits", "champion", AliasTarget(version=2))
    versions.delete(PROJECT, "digits", 2)

    assert models.get(PROJECT, "digits").aliases == {}
    assert models.resolve(PROJECT, "digits") == msgspec_at(first, models)
    for call in (
        lambda: models.version(PROJECT, "digits", 2),
        lambda: versions.delete(PROJECT, "digits", 2),
        lambda: versions.describe(PROJECT, "digits", 2, Description(text="x")),
        lambda: versions.tag(PROJECT, "digits", 2, TagChanges(tags={"a": "b"})),
        lambda: versions.move(PROJECT, "digits", 2, StageMove(stage="Staging")),
        lambda: versions.place(PROJECT, "digits", 2),
        lambda: models.set_alias(PROJECT, "digits", "champion", AliasTarget(version=2)),
    ):
        with pytest.raises(ModelVersionNotFound, match="no version 2"):
            call()
    assert registered(workspace, "digits", b"3").version == 3
    versions.delete(PROJECT, "digits", 3)
    versions.delete(PROJECT, "digits", 1)
    assert models.get(PROJECT, "digits").latest == 0
    with pytest.raises(ModelVersionNotFound):
        models.resolve(PROJECT, "digits")
    assert registered(workspace, "digits", b"4").version == 4
    assert second.version == 2


def msgspec_at(version: ModelVersion, models: Models) -> ModelVersion:
    return models.version(PROJECT, version.model, version.version)


def test_deleting_lets_go_of_files(
    workspace: Workspace, models: Models, versions: ModelVersions, context: Context
) -> None:
    """A deleted version or model keeps its objects from being collected until it is purged."""

    def kept() -> int:
        query = sa.select(sa.func.count()).where(object_references.c.owner.like("model-version:%"))
        with context.database.read() as connection:
            return int(connection.execute(query).scalar_one())

    for content in (b"1", b"2", b"3"):
        registered(workspace, "digits", content)
    assert kept() == 3
    versions.delete(PROJECT, "digits", 2)
    models.delete(PROJECT, "digits")
    assert kept() == 3
    remove_deleted(context, older_than=timedelta())
    assert kept() == 0


def test_a_deleted_model_comes_back_with_all_that_it_had(
    workspace: Workspace, models: Models, versions: ModelVersions, context: Context
) -> None:
    """Aliases, tags, former names and the versions that went with it are there again; one deleted before stays so."""
    for content in (b"1", b"2", b"3"):
        registered(workspace, "figures", content)
    models.rename(PROJECT, "figures", NewName(name="digits"))
    models.set_alias(PROJECT, "digits", "champion", AliasTarget(version=2))
    models.tag(PROJECT, "digits", TagChanges(tags={"team": "vision"}))
    versions.delete(PROJECT, "digits", 3)
    before = models.get(PROJECT, "digits")
    models.delete(PROJECT, "digits")
    deleted = workspace.service(DeletedModels)
    [gone] = deleted.list(PROJECT).items

    assert (gone.id, gone.name, gone.n_versions) == (before.id, "digits", 2)
    back = deleted.restore(PROJECT, gone.id)
    assert (back.name, back.aliases, back.tags, back.latest) == ("digits", {"champion": 2}, before.tags, 2)
    assert [each.version for each in models.versions(PROJECT, "digits").items] == [2, 1]
    assert models.get(PROJECT, "figures").id == before.id
    assert registered(workspace, "digits", b"4").version == 4
    assert deleted.list(PROJECT).items == []
    assert told(context, "model.restored") == [
        ("model.restored", "model:digits", {"id": before.id, "n_versions": 2})
    ]
    with pytest.raises(ModelNotFound):
        deleted.restore(PROJECT, gone.id)


def test_a_deleted_model_waits_while_its_name_is_taken(
    workspace: Workspace, models: Models, context: Context
) -> None:
    """Another model of the name is told; after it got another one the deleted one comes back, until it is purged."""
    registered(workspace, "digits")
    models.delete(PROJECT, "digits")
    deleted = workspace.service(DeletedModels)
    [gone] = deleted.list(PROJECT).items
    registered(workspace, "digits")
    with pytest.raises(ModelExists):
        deleted.restore(PROJECT, gone.id)
    models.rename(PROJECT, "digits", NewName(name="figures"))

    assert deleted.restore(PROJECT, gone.id).id == gone.id
    assert models.get(PROJECT, "digits").id == gone.id
    models.delete(PROJECT, "digits")
    remove_deleted(context, older_than=timedelta())
    with pytest.raises(ModelNotFound):
        deleted.restore(PROJECT, gone.id)


def test_files_that_an_earlier_release_let_go_of_are_missed(
    workspace: Workspace, models: Models, context: Context
) -> None:
    """A version without its files does not come back as if it had them."""
    made = registered(workspace, "digits")
    models.delete(PROJECT, "digits")
    with context.database.write() as connection:
        drop_owner(connection, f"model-version:{made.id}")
    deleted = workspace.service(DeletedModels)

    with pytest.raises(ModelFilesGone, match="digits@1"):
        deleted.restore(PROJECT, deleted.list(PROJECT).items[0].id)
    assert models.list(PROJECT).items == []


def test_a_deleted_version_comes_back_as_it_was_but_for_aliases(
    workspace: Workspace, models: Models, context: Context
) -> None:
    """With its files, tags and number; it is the latest again, and an alias points where it was moved meanwhile."""
    first, second = registered(workspace, "digits"), registered(workspace, "digits")
    versions, deleted = workspace.service(ModelVersions), workspace.service(DeletedVersions)
    versions.tag(PROJECT, "digits", 2, TagChanges(tags={"kept": "yes"}))
    models.set_alias(PROJECT, "digits", "champion", AliasTarget(version=2))
    versions.delete(PROJECT, "digits", 2)
    models.set_alias(PROJECT, "digits", "champion", AliasTarget(version=1))
    (gone,) = deleted.list(PROJECT, "digits").items
    for number in (1, 3):
        with pytest.raises(DeletedVersionNotFound, match=f"no deleted version {number}"):
            deleted.restore(PROJECT, "digits", number)

    assert (gone.version, gone.digest, models.get(PROJECT, "digits").latest) == (2, second.digest, 1)
    back = deleted.restore(PROJECT, "digits", 2)
    assert (back.id, back.digest, back.tags, back.aliases) == (second.id, second.digest, {"kept": "yes"}, [])
    assert models.get(PROJECT, "digits").latest == 2
    assert models.resolve(PROJECT, "digits@champion").id == first.id
    assert deleted.list(PROJECT, "digits").items == []
    versions.delete(PROJECT, "digits", 2)
    remove_deleted(context, older_than=timedelta())
    with pytest.raises(DeletedVersionNotFound):
        deleted.restore(PROJECT, "digits", 2)


def test_a_version_without_its_files_does_not_come_back(
    workspace: Workspace, models: Models, context: Context
) -> None:
    """One that a release deleted which let go of files at once is refused by name."""
    made = registered(workspace, "digits")
    workspace.service(ModelVersions).delete(PROJECT, "digits", 1)
    with context.database.write() as connection:
        drop_owner(connection, f"model-version:{made.id}")

    with pytest.raises(ModelFilesGone, match="digits@1"):
        workspace.service(DeletedVersions).restore(PROJECT, "digits", 1)
    assert models.versions(PROJECT, "digits").items == []


def test_a_deleted_model_gives_its_name_free(workspace: Workspace, models: Models) -> None:
    """A model of the same name is another one, which begins with version 1."""
    old = registered(workspace, "digits")
    before = models.get(PROJECT, "digits")
    models.delete(PROJECT, "digits")
    for call in (
        lambda: models.get(PROJECT, "digits"),
        lambda: models.delete(PROJECT, "digits"),
        lambda: models.rename(PROJECT, "digits", NewName(name="other")),
    ):
        with pytest.raises(ModelNotFound):
            call()
    assert models.list(PROJECT).items == []
    new = registered(workspace, "digits")
    assert (new.version, new.id == old.id) == (1, False)
    assert models.get(PROJECT, "digits").id != before.id


def test_a_former_name_leads_to_the_model_until_another_takes_it(
    workspace: Workspace, models: Models
) -> None:
    """References that were written down before the renaming still mean the same version."""
    made = registered(workspace, "digits")
    run = workspace.service(Runs).create(PROJECT, NewRun(name="train"))
    workspace.service(Runs).log(PROJECT, run.id, LogBatch(outputs=[Link(ref="model:digits@1")]))
    models.rename(PROJECT, "digits", NewName(name="figures"))
    renamed = models.rename(PROJECT, "digits", NewName(name="numbers 2"))

    assert renamed.name == "numbers 2"
    for ref in ("digits@1", "figures", "numbers 2@1"):
        found = models.resolve(PROJECT, ref)
        assert (found.id, found.model) == (made.id, "numbers 2")
    assert [node.label for node in models.lineage(PROJECT, "numbers 2", 1).nodes] == [
        "model:digits@1",
        "train",
    ]

    other = models.create(PROJECT, NewModel(name="digits"))
    assert models.get(PROJECT, "digits").id == other.id
    assert models.get(PROJECT, "figures").id == renamed.id
    with pytest.raises(ModelExists):
        models.rename(PROJECT, "numbers 2", NewName(name="digits"))
    models.delete(PROJECT, "digits")
    with pytest.raises(ModelNotFound):
        models.get(PROJECT, "digits")
    back = models.rename(PROJECT, "numbers 2", NewName(name="figures"))
    assert (back.id, back.name) == (renamed.id, "figures")
    assert models.get(PROJECT, "numbers 2").id == renamed.id


def test_versions_stand_in_stages(models: Models, versions: ModelVersions, context: Context) -> None:
    """A version moves between stages in any case of their names, and may send others to the archive."""
    models.create(PROJECT, NewModel(name="digits"))
    for _ in range(3):
        versions.register(PROJECT, "digits", SourceVersion(source="s3://b/m"))
    versions.move(PROJECT, "digits", 1, StageMove(stage="staging"))
    versions.move(PROJECT, "digits", 2, StageMove(stage="PRODUCTION"))
    moved = versions.move(PROJECT, "digits", 3, StageMove(stage="Staging", archive_existing=True))

    assert moved.stage is Stage.STAGING
    stages = {v.version: v.stage.value for v in models.versions(PROJECT, "digits").items}
    assert stages == {1: "Archived", 2: "Production", 3: "Staging"}
    newest = versions.newest(PROJECT, "digits").items
    assert [(v.version, v.stage.value) for v in newest] == [
        (1, "Archived"),
        (2, "Production"),
        (3, "Staging"),
    ]
    assert [v.version for v in versions.newest(PROJECT, "digits", stages=["production"]).items] == [2]
    assert told(context, "model.version_stage%")[-2:] == [
        (
            "model.version_stage_moved",
            "model:digits@1",
            {"version": 1, "stage": "Archived", "before": "Staging"},
        ),
        ("model.version_stage_moved", "model:digits@3", {"version": 3, "stage": "Staging", "before": "None"}),
    ]
    for move in (
        StageMove(stage="unknown"),
        StageMove(stage="None", archive_existing=True),
        StageMove(stage="archived", archive_existing=True),
    ):
        with pytest.raises(Invalid):
            versions.move(PROJECT, "digits", 1, move)


def test_a_version_is_described_and_tagged(models: Models, versions: ModelVersions) -> None:
    """Its tags and description change; the model is not touched by them."""
    models.create(PROJECT, NewModel(name="digits"))
    made = versions.register(
        PROJECT, "digits", SourceVersion(source="s3://b/m", description="a", tags={"k": "v"}, run_id="r")
    )
    touched = models.get(PROJECT, "digits").updated_at
    versions.describe(PROJECT, "digits", 1, Description(text="b"))
    changed = versions.tag(PROJECT, "digits", 1, TagChanges(tags={"k": None, "n": "1"}))

    assert (made.description, made.tags, made.origin.run_id, made.source) == (
        "a",
        {"k": "v"},
        "r",
        "s3://b/m",
    )
    assert (made.digest, made.format, made.task, made.signature) == (None, None, None, None)
    assert (changed.description, changed.tags) == ("b", {"n": "1"})
    assert models.get(PROJECT, "digits").updated_at == touched
    assert versions.place(PROJECT, "digits", 1).location == "s3://b/m"


def test_an_import_keeps_numbers(models: Models, versions: ModelVersions) -> None:
    """A version may come with the number of its original, if it is above all that were given."""
    models.create(PROJECT, NewModel(name="digits"))
    numbers = [
        versions.register(PROJECT, "digits", SourceVersion(source="s3://b/m", number=number)).version
        for number in (2, None, 7)
    ]
    assert numbers == [2, 3, 7]
    for number in (7, 1, 0, -1, 2**31):
        with pytest.raises(Invalid):
            versions.register(PROJECT, "digits", SourceVersion(source="s3://b/m", number=number))
    assert models.get(PROJECT, "digits").latest == 7


def test_what_a_caller_asks_for_wrongly_is_refused(models: Models, versions: ModelVersions) -> None:
    """Unknown models, and texts that are too long or cannot be stored."""
    with pytest.raises(ModelNotFound):
        versions.register(PROJECT, "digits", SourceVersion(source="s3://b/m"))
    models.create(PROJECT, NewModel(name="digits"))
    for new in (
        SourceVersion(source="s" * 10_001),
        SourceVersion(source="null\0"),
        SourceVersion(source="s3://b", description="x" * 100_001),
        SourceVersion(source="s3://b", tags={"a b": "x" * 100_001}),
        SourceVersion(source="s3://b", run_id="\0"),
    ):
        with pytest.raises(NoriaError):
            versions.register(PROJECT, "digits", new)
    assert models.get(PROJECT, "digits").latest == 0


def found(registry: Registry, filter_: str = "", **asked: object) -> list[str]:
    query = RegistryQuery(filter=filter_, **asked)  # type: ignore[arg-type]
    return [item.model.name for item in registry.models(query).items]


def test_models_are_searched(workspace: Workspace, models: Models) -> None:
    """By name and tags, in an order, in pages that a new model does not shift."""
    registry = workspace.service(Registry)
    names = ["RM1", "RM2", "RM3", "RM4", "RM4A", "RM4ab"]
    made: list[Model] = [
        models.create(PROJECT, NewModel(name=name, tags={"t": name.lower()})) for name in names
    ]

    assert found(registry) == names
    assert found(registry, "name='RM1'") == ["RM1"]
    assert found(registry, "name LIKE 'RM4A%'") == ["RM4A"]
    assert found(registry, "name ILIKE 'rm4A%'") == names[4:]
    assert found(registry, "name LIKE '_M_'") == names[:4]
    assert found(registry, "name IN ('RM1', 'RM3') AND name != 'RM1'") == ["RM3"]
    assert found(registry, "tags.t = 'rm2'") == ["RM2"]
    assert found(registry, "tag.t LIKE 'rm4%' and tag.t != 'rm4'") == names[4:]
    assert found(registry, "tags.T = 'rm2'") == []
    assert found(registry, order_by=["name DESC"]) == names[::-1]
    assert found(registry, order_by=["timestamp DESC"]) == names[::-1]
    models.describe(PROJECT, "RM1", Description(text="x"))
    assert found(registry, order_by=["last_updated_timestamp DESC", "name"], limit=2) == ["RM1", "RM4ab"]
    first = registry.models(RegistryQuery(limit=2))
    models.create(PROJECT, NewModel(name="RM0"))
    second = registry.models(RegistryQuery(limit=3, after=first.next))
    third = registry.models(RegistryQuery(limit=1000, after=second.next))
    assert [item.model.name for item in (*first.items, *second.items, *third.items)] == names
    assert third.next is None
    assert len(made) == 6


def test_the_newest_version_of_each_stage_comes_with_a_model(
    workspace: Workspace, models: Models, versions: ModelVersions
) -> None:
    """Models that were found bring the versions that their lists show."""
    for name in ("a", "b"):
        models.create(PROJECT, NewModel(name=name))
        for _ in range(2):
            versions.register(PROJECT, name, SourceVersion(source="s3://b/m", tags={"of": name}))
    versions.move(PROJECT, "a", 1, StageMove(stage="Production"))
    items = workspace.service(Registry).models(RegistryQuery()).items

    assert [[v.ref for v in item.newest] for item in items] == [["a@1", "a@2"], ["b@2"]]
    assert items[1].newest[0].tags == {"of": "b"}


def test_versions_are_searched(workspace: Workspace, models: Models, versions: ModelVersions) -> None:
    """By name, number, run, source and tags; what was updated last comes first."""
    registry = workspace.service(Registry)

    def refs(filter_: str = "", **asked: object) -> list[str]:
        query = RegistryQuery(filter=filter_, **asked)  # type: ignore[arg-type]
        return [v.ref for v in registry.versions(query).items]

    for name in ("a", "b"):
        models.create(PROJECT, NewModel(name=name))
        for n in (1, 2):
            new = SourceVersion(source=f"s3://{name}/{n}", run_id=f"run{n}", tags={"t": f"{name}{n}"})
            versions.register(PROJECT, name, new)
    versions.register(PROJECT, "a", SourceVersion(source="s3://none"))

    assert refs() == ["a@3", "b@2", "b@1", "a@2", "a@1"]
    assert refs("name = 'a'") == ["a@3", "a@2", "a@1"]
    assert refs("name = 'a' AND version_number >= 2") == ["a@3", "a@2"]
    assert refs("run_id IN ('run1', 'x')") == ["b@1", "a@1"]
    assert refs("run_id LIKE 'run_' AND source_path != 's3://b/2'") == ["b@1", "a@2", "a@1"]
    assert refs("tags.t = 'b2'") == ["b@2"]
    assert refs(order_by=["name ASC"]) == ["a@3", "a@2", "a@1", "b@2", "b@1"]
    assert refs(order_by=["version_number ASC", "name DESC"]) == ["b@1", "a@1", "b@2", "a@2", "a@3"]
    assert refs(order_by=["creation_timestamp ASC"]) == ["a@1", "a@2", "b@1", "b@2", "a@3"]
    versions.delete(PROJECT, "b", 2)
    models.delete(PROJECT, "a")
    assert refs() == ["b@1"]


def test_pages_of_versions_are_whole(workspace: Workspace, models: Models, versions: ModelVersions) -> None:
    """Page after page gives each version once, whatever the order."""
    registry = workspace.service(Registry)
    models.create(PROJECT, NewModel(name="a"))
    for _ in range(7):
        versions.register(PROJECT, "a", SourceVersion(source="s3://b/m"))
    for order_by in ([], ["version_number ASC"], ["name DESC", "last_updated_timestamp ASC"]):
        seen, after = [], None
        while True:
            page = registry.versions(RegistryQuery(limit=3, order_by=order_by, after=after))
            seen += [v.version for v in page.items]
            after = page.next
            if after is None:
                break
        whole = registry.versions(RegistryQuery(order_by=order_by)).items
        assert seen == [v.version for v in whole]
        assert len(seen) == 7


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (RegistryQuery(filter="run_id = 'x'"), "Invalid attribute key 'run_id' specified"),
        (RegistryQuery(filter="name != something"), "not quoted or unidentified quote types"),
        (RegistryQuery(filter="evilhax = true"), "Invalid clause(s) in filter string"),
        (RegistryQuery(filter="name > 'a'"), "Invalid comparator"),
        (RegistryQuery(order_by=["name ASC", "creation_timestamp DESC"]), "Invalid order by key"),
        (RegistryQuery(order_by=["name ASC", "timestamp DESC blah"]), "Invalid order_by clause"),
        (RegistryQuery(order_by=["timestamp", "last_updated_timestamp DESC"]), "contains duplicate fields"),
        (RegistryQuery(after="evilhax"), "Invalid page token, could not base64-decode"),
        (RegistryQuery(after="WzFd"), "Invalid page token"),
        (RegistryQuery(after="e30="), "Invalid page token"),
        (RegistryQuery(limit=0), "Invalid value for max_results"),
        (RegistryQuery(limit=1001), "Invalid value for request parameter max_results"),
    ],
)
@pytest.mark.alike
def test_a_search_that_cannot_be_read_says_so(workspace: Workspace, query: RegistryQuery, words: str) -> None:
    """In the words that users of MLflow know."""
    with pytest.raises(Invalid) as caught:
        workspace.service(Registry).models(query)
    assert words in caught.value.message


def test_prompts_are_found_only_by_those_who_ask(workspace: Workspace, models: Models) -> None:
    """A model with the tag of prompts is in no list of models."""
    registry = workspace.service(Registry)
    tag = "mlflow.prompt.is_prompt"
    models.create(PROJECT, NewModel(name="model", tags={"fruit": "apple"}))
    models.create(PROJECT, NewModel(name="prompt_1", tags={tag: "true"}))
    models.create(PROJECT, NewModel(name="prompt_2", tags={tag: "true", "fruit": "apple"}))

    assert [m.name for m in models.list(PROJECT).items] == ["model"]
    assert found(registry) == ["model"]
    assert found(registry, "tags.fruit = 'apple'") == ["model"]
    assert found(registry, "name = 'prompt_1'") == []
    assert found(registry, f"tags.`{tag}` = 'false'") == ["model"]
    assert found(registry, f"tags.`{tag}` != 'true'") == ["model"]
    assert found(registry, f"tags.`{tag}` = 'true'") == ["prompt_1", "prompt_2"]
    assert found(registry, f"tags.`{tag}` = 'true' and tags.fruit = 'apple'") == ["prompt_2"]


def test_models_of_other_projects_are_shown_with_the_project(workspace: Workspace, models: Models) -> None:
    """For whoever knows no projects, a name says which project's model is meant."""
    registry = workspace.service(Registry)
    workspace.service(Projects).create(NewProject(name="bank"))
    for project, name in (
        ("default", "digits"),
        ("default", "bank.literal"),
        ("bank", "churn"),
        ("bank", "literal"),
    ):
        models.create(project, NewModel(name=name))
        workspace.service(ModelVersions).register(project, name, SourceVersion(source="s3://b"))

    def place(name: str) -> tuple[str, str, bool]:
        found = registry.locate(name)
        return found.project, found.name, found.exists

    assert place("digits") == ("default", "digits", True)
    assert place("bank.churn") == ("bank", "churn", True)
    assert place("bank.literal") == ("default", "bank.literal", True)
    assert place("bank.new") == ("bank", "new", False)
    assert place("shop.new") == ("default", "shop.new", False)
    assert place("churn") == ("default", "churn", False)
    assert found(registry, "name = 'bank.churn'") == ["churn"]
    assert found(registry, order_by=["name"]) == ["churn", "bank.literal", "literal", "digits"]
    assert [v.ref for v in registry.versions(RegistryQuery(filter="name = 'bank.churn'")).items] == [
        "churn@1"
    ]
