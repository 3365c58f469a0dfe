"""Versions that are registered from where their files lie: on each transport and database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

import noria
from noria.access.projects import NewProject, Projects
from noria.core.clock import ManualClock
from noria.core.context import Context
from noria.core.errors import Conflict, Forbidden, Invalid
from noria.core.objects.references import object_references
from noria.core.objects.trees import put_tree, read_manifest
from noria.core.permissions import Principal, Role
from noria.core.workspace import Workspace
from noria.registry.client import fetch_version
from noria.registry.consents import Consents
from noria.registry.entities import (
    ArtifactPlace,
    ModelVersion,
    NewModel,
    NewModelVersion,
    SourceVersion,
    Task,
)
from noria.registry.purging import PURGES
from noria.registry.queries import RegistryQuery
from noria.registry.rows import ModelNotFound
from noria.registry.rules import NotServable, servable
from noria.registry.search import Registry
from noria.registry.service import Models
from noria.registry.tables import model_tags, model_version_tags, model_versions, models
from noria.registry.versions import ModelVersions
from noria.serving.client import deploy
from noria.tracking.artifacts import Artifacts
from noria.tracking.entities import NewRun
from noria.tracking.experiment_entities import NewExperiment
from noria.tracking.logged_models import LoggedModels
from noria.tracking.model_entities import NewLoggedModel
from noria.tracking.service import Experiments, Runs
from support.mlflow_models import rows, saved_model
from support.serving import signature

PROJECT = "default"
NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def clock() -> ManualClock:
    """Give the clock of the workspace, which a test moves."""
    return ManualClock(NOW)


@pytest.fixture
def versions(workspace: Workspace) -> ModelVersions:
    workspace.service(Models).create(PROJECT, NewModel(name="iris"))
    return workspace.service(ModelVersions)


def put(workspace: Workspace, of: str, files: dict[str, bytes], project: str = PROJECT) -> None:
    artifacts = workspace.service(Artifacts)
    for path, data in files.items():
        artifacts.put(project, [data], of=of, path=path)


def run_with(
    workspace: Workspace, files: dict[str, bytes], folder: str = "model", project: str = PROJECT
) -> str:
    run = workspace.service(Runs).create(project, NewRun(name="train"))
    put(workspace, f"run:{run.id}", {f"{folder}/{path}": data for path, data in files.items()}, project)
    return run.id


def logged_model_with(
    workspace: Workspace, files: dict[str, bytes], name: str = "model", source_run: str = ""
) -> str:
    new = NewLoggedModel(experiment="Default", name=name, source_run=source_run)
    made = workspace.service(LoggedModels).create(PROJECT, new)
    put(workspace, f"logged-model:{made.id}", files)
    return made.id


def from_run(run_id: str, folder: str = "model", project: str = PROJECT) -> SourceVersion:
    return SourceVersion(
        source=f"runs:/{run_id}/{folder}",
        run_id=run_id,
        artifacts=ArtifactPlace(project=project, of=f"run:{run_id}", folder=folder),
    )


def paths_of(workspace: Workspace, version: ModelVersion) -> list[str]:
    assert version.digest is not None
    return [entry.path for entry in read_manifest(workspace.objects(version.project), version.digest).entries]


def test_a_models_files_make_a_whole_version(
    workspace: Workspace, versions: ModelVersions, tmp_path: Path
) -> None:
    """Its digest is that of the same folder; format, flavor, task and signature are what its `MLmodel` file says."""
    files = saved_model()
    model_id = logged_model_with(workspace, files)
    new = SourceVersion(
        source=f"models:/{model_id}",
        model_id=model_id,
        artifacts=ArtifactPlace(project=PROJECT, of=f"logged-model:{model_id}"),
    )
    made = versions.register(PROJECT, "iris", new)
    for path, data in files.items():
        (tmp_path / "same" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "same" / path).write_bytes(data)

    assert made.digest == put_tree(workspace.objects(), tmp_path / "same").digest
    assert (made.format, made.flavor, made.task, made.pickled) == (
        "mlflow",
        "sklearn",
        Task.CLASSIFICATION,
        False,
    )
    assert (made.model_id, made.source) == (model_id, f"models:/{model_id}")
    assert servable(made).signature.inputs[0].shape == [-1, 2]
    assert sorted(
        p.name for p in fetch_version(workspace, made, cache=tmp_path).rglob("*") if p.is_file()
    ) == [
        "MLmodel",
        "input.json",
        "model.bin",
        "requirements.txt",
    ]
    assert workspace.service(Registry).files(made.id).digest == made.digest


def test_later_changes_of_a_run_do_not_reach_the_version(
    workspace: Workspace, versions: ModelVersions
) -> None:
    """What lay there at registration is kept; that it no longer lies there is told."""
    run_id = run_with(workspace, saved_model())
    made = versions.register(PROJECT, "iris", from_run(run_id))
    before = versions.place(PROJECT, "iris", 1)
    put(workspace, f"run:{run_id}", {"model/MLmodel": b"flavors: {}"})
    changed = versions.place(PROJECT, "iris", 1)
    workspace.service(Artifacts).delete(PROJECT, of=f"run:{run_id}", path="model")
    gone = versions.place(PROJECT, "iris", 1)

    assert (before.location, before.unchanged) == (f"runs:/{run_id}/model", True)
    assert (changed.digest, changed.unchanged) == (made.digest, False)
    assert gone.unchanged is False
    assert paths_of(workspace, made) == ["MLmodel", "metadata/input.json", "model.bin", "requirements.txt"]
    again = versions.register(PROJECT, "iris", from_run(run_id))
    assert (again.version, again.digest, again.format) == (2, None, None)


def test_a_folder_of_a_run_stands_for_the_model_that_it_logged(
    workspace: Workspace, versions: ModelVersions
) -> None:
    """Clients of MLflow 3 put a model's files beside the run, and name them by the run all the same."""
    run = workspace.service(Runs).create(PROJECT, NewRun(name="train"))
    files = saved_model()
    logged_model_with(workspace, {"MLmodel": b"old"}, name="model", source_run=run.id)
    logged_model_with(workspace, files, name="model", source_run=run.id)
    logged_model_with(workspace, {"MLmodel": b"other"}, name="other", source_run=run.id)
    made = versions.register(PROJECT, "iris", from_run(run.id))

    assert paths_of(workspace, made) == sorted(files)
    assert made.flavor == "sklearn"


def test_files_of_no_model_are_kept_all_the_same(workspace: Workspace, versions: ModelVersions) -> None:
    """A folder without an `MLmodel` file is a version whose format nobody knows; serving it is refused."""
    run_id = run_with(workspace, {"weights.bin": b"x", "MLmodel/odd": b"a folder of that name"})
    made = versions.register(PROJECT, "iris", from_run(run_id))

    assert made.digest is not None
    assert (made.format, made.flavor, made.signature) == (None, None, None)
    with pytest.raises(NotServable, match="`iris@1`"):
        deploy("iris@1", workspace=workspace)


def test_a_source_elsewhere_is_kept_by_name_only(workspace: Workspace, versions: ModelVersions) -> None:
    """Unknown runs and stores of others: the version has no files here, and says so."""
    for new in (
        SourceVersion(source="s3://bucket/model"),
        from_run("0" * 32),
        from_run(run_with(workspace, {"a": b"b"}), folder="nothing"),
        SourceVersion(
            source="models:/m", artifacts=ArtifactPlace(project=PROJECT, of=f"logged-model:m-{'0' * 32}")
        ),
    ):
        made = versions.register(PROJECT, "iris", new)
        assert (made.digest, made.format) == (None, None)
        place = versions.place(PROJECT, "iris", made.version)
        assert (place.location, place.digest, place.unchanged) == (new.source, None, False)
        with pytest.raises(NotServable):
            workspace.service(Registry).files(made.id)


def test_a_copy_has_the_files_of_its_original(workspace: Workspace, versions: ModelVersions) -> None:
    """Also in another project, where it stays when the original is gone."""
    workspace.service(Projects).create(NewProject(name="bank"))
    workspace.service(Models).create("bank", NewModel(name="copy"))
    run_id = run_with(workspace, saved_model())
    original = versions.register(PROJECT, "iris", from_run(run_id))
    new = SourceVersion(source="models:/iris/1", copy_of=original.id, run_id=run_id)
    copy = versions.register("bank", "copy", new)
    versions.delete(PROJECT, "iris", 1)

    assert (copy.digest, copy.format, copy.flavor, copy.task, copy.signature) == (
        original.digest,
        original.format,
        original.flavor,
        original.task,
        original.signature,
    )
    assert (copy.source, copy.origin.run_id) == ("models:/iris/1", run_id)
    assert len(paths_of(workspace, copy)) == 4
    place = versions.place("bank", "copy", 1)
    assert (place.location, place.unchanged) == (f"runs:/{run_id}/model", True)
    with pytest.raises(ModelNotFound):
        versions.register("bank", "copy", new)


def test_files_of_another_project_need_the_right_to_read_it(workspace: Workspace, context: Context) -> None:
    """Who may only write here cannot take what lies elsewhere; who may read there can."""
    workspace.service(Projects).create(NewProject(name="bank"))
    workspace.service(Experiments).create("bank", NewExperiment(name="Default"))
    secret = run_with(workspace, saved_model(), project="bank")
    workspace.service(Models).create(PROJECT, NewModel(name="iris"))
    new = from_run(secret, project="bank")

    def register_as(**roles: Role) -> ModelVersion:
        caller = Principal(name="eve", project_roles=roles, holds_key=True)
        return ModelVersions(context.acting_as(caller)).register(PROJECT, "iris", new)

    with pytest.raises(Forbidden):
        register_as(default=Role.ENGINEER)
    made = register_as(default=Role.SCIENTIST, bank=Role.VIEWER)
    assert (made.author, len(paths_of(workspace, made))) == ("eve", 4)
    copied = SourceVersion(source="models:/x/1", copy_of=made.id)
    outsider = Principal(name="zoe", project_roles={"bank": Role.ADMIN}, holds_key=True)
    with pytest.raises(Forbidden):
        ModelVersions(context.acting_as(outsider)).register("bank", "x", copied)


def test_who_may_not_read_finds_nothing(workspace: Workspace, context: Context) -> None:
    """Models of projects without a role are in no search, and at no place."""
    workspace.service(Projects).create(NewProject(name="bank"))
    workspace.service(Models).create("bank", NewModel(name="churn"))
    made = workspace.service(ModelVersions).register("bank", "churn", SourceVersion(source="s3://b"))
    seen = Registry(context.acting_as(Principal(name="eve", project_roles={"default": Role.ADMIN})))
    assert seen.models(RegistryQuery()).items == []
    assert seen.versions(RegistryQuery()).items == []
    assert seen.locate("bank.churn").project == "default"
    with pytest.raises(ModelNotFound):
        seen.files(made.id)
    own = Registry(context.acting_as(Principal(name="bo", project_roles={"bank": Role.VIEWER})))
    assert [v.ref for v in own.versions(RegistryQuery(filter="name = 'churn'")).items] == ["churn@1"]
    assert (own.locate("churn").project, own.locate("churn").exists) == ("bank", True)


def pickled_version(workspace: Workspace, versions: ModelVersions) -> ModelVersion:
    run_id = run_with(workspace, saved_model("pickle"))
    return versions.register(PROJECT, "iris", from_run(run_id))


def test_a_consent_is_recorded_and_bound_to_the_files(workspace: Workspace, versions: ModelVersions) -> None:
    """Who and when; it holds for each version of these files, and is taken back for all."""
    made = pickled_version(workspace, versions)
    twin = versions.register(PROJECT, "iris", from_run(str(made.origin.run_id)))
    other = pickled_version(workspace, versions)
    consents = workspace.service(Consents)
    given = consents.give(PROJECT, "iris", 1)

    assert made.pickled
    assert made.consent is None
    assert given.consent is not None
    assert (given.consent.digest, given.consent.ref, given.consent.given_at) == (made.digest, "iris@1", NOW)
    assert given.consent.given_by
    assert workspace.service(Models).version(PROJECT, "iris", twin.version).consent == given.consent
    if other.digest != made.digest:
        assert workspace.service(Models).version(PROJECT, "iris", other.version).consent is None
    assert consents.list(PROJECT).items == [given.consent]
    assert consents.give(PROJECT, "iris", 2).consent == given.consent
    assert consents.withdraw(PROJECT, "iris", 2).consent is None
    assert consents.withdraw(PROJECT, "iris", 2).consent is None
    assert workspace.service(Models).version(PROJECT, "iris", 1).consent is None
    assert consents.list(PROJECT).items == []


def test_only_pickles_take_a_consent(workspace: Workspace, versions: ModelVersions) -> None:
    """There is nothing to consent to in other files."""
    versions.register(PROJECT, "iris", from_run(run_with(workspace, saved_model())))
    with pytest.raises(Conflict, match="no pickles"):
        workspace.service(Consents).give(PROJECT, "iris", 1)


def test_a_pickle_is_deployed_only_after_a_consent(workspace: Workspace, versions: ModelVersions) -> None:
    """The refusal has the command that mends; after it the version predicts what it was fitted to."""
    made = pickled_version(workspace, versions)
    for refused in (
        lambda: deploy("iris@1", workspace=workspace),
        lambda: noria.model("iris", workspace=workspace),
    ):
        with pytest.raises(Conflict, match="pickles") as caught:
            refused()
        assert f"noria models consent {made.ref}" in (caught.value.hint or "")
    workspace.service(Consents).give(PROJECT, "iris", 1)
    x, y = rows()

    assert (noria.model("iris", workspace=workspace).predict(x) == y).mean() > 0.9
    assert deploy("iris@1", workspace=workspace).to_version == 1


def test_a_pickle_cannot_be_passed_off_as_something_else(
    workspace: Workspace, versions: ModelVersions, tmp_path: Path
) -> None:
    """Whether files are pickles is read from the files, not taken from whoever registers them."""
    for path, data in saved_model("pickle").items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    digest = put_tree(workspace.objects(), tmp_path).digest
    new = NewModelVersion(
        digest=digest, format="mlflow", task=Task.CLASSIFICATION, signature=signature(columns=2)
    )
    made = workspace.service(Models).register(PROJECT, "sly", new)

    assert (made.pickled, made.flavor) == (True, "sklearn")
    (tmp_path / "MLmodel").unlink()
    other = put_tree(workspace.objects(), tmp_path).digest
    with pytest.raises(Invalid, match="MLmodel"):
        workspace.service(Models).register(
            PROJECT,
            "sly",
            NewModelVersion(digest=other, format="mlflow", task=Task.CLASSIFICATION, signature=signature()),
        )


def test_what_was_deleted_long_ago_is_removed(
    workspace: Workspace, versions: ModelVersions, context: Context, clock: ManualClock
) -> None:
    """After the grace period nothing is left of deleted models and versions; the rest, and its numbers, stay."""
    service = workspace.service(Models)
    service.create(PROJECT, NewModel(name="gone", tags={"a": "b"}))
    for name in ("iris", "gone"):
        for _ in range(2):
            versions.register(PROJECT, name, SourceVersion(source="s3://b/m", tags={"k": "v"}))
    versions.delete(PROJECT, "iris", 2)
    service.delete(PROJECT, "gone")
    clock.advance(timedelta(days=2).total_seconds())
    versions.register(PROJECT, "iris", SourceVersion(source="s3://b/m"))
    versions.delete(PROJECT, "iris", 3)

    def purged(before: datetime, *, dry_run: bool) -> dict[str, int]:
        return {purge.kind: purge.purge(context, before, dry_run) for purge in PURGES}

    def counted(table: sa.Table) -> int:
        with context.database.read() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())

    cut = NOW + timedelta(days=1)
    assert purged(cut, dry_run=True) == {"model versions": 3, "models": 1}
    assert counted(model_versions) == 5
    assert purged(cut, dry_run=False) == {"model versions": 3, "models": 1}
    assert purged(cut, dry_run=False) == {"model versions": 0, "models": 0}
    assert [counted(t) for t in (models, model_versions, model_tags, model_version_tags)] == [1, 2, 0, 1]
    assert versions.register(PROJECT, "iris", SourceVersion(source="s3://b/m")).version == 4


def test_a_deleted_version_frees_files_that_nothing_else_keeps(
    workspace: Workspace, versions: ModelVersions, context: Context, clock: ManualClock
) -> None:
    """It keeps them while it can come back; after that what the run still holds stays."""
    run_id = run_with(workspace, saved_model())
    versions.register(PROJECT, "iris", from_run(run_id))

    def owners() -> set[str]:
        query = sa.select(object_references.c.owner)
        with context.database.read() as connection:
            return set(connection.execute(query).scalars())

    assert len(owners()) == 2
    versions.delete(PROJECT, "iris", 1)
    assert len(owners()) == 2
    clock.advance(timedelta(days=2).total_seconds())
    for purge in PURGES:
        purge.purge(context, clock.now(), False)
    assert owners() == {f"run:{run_id}"}
