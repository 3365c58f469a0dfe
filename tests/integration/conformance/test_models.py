"""What the service of models promises, over each transport and on each database."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from noria.access.projects import NewProject, Projects
from noria.core.context import Context
from noria.core.errors import Invalid, NoriaError, NotFound
from noria.core.events.tables import events
from noria.core.objects.references import ObjectNotInProject, object_references
from noria.core.objects.trees import put_tree
from noria.core.workspace import Workspace
from noria.registry.client import fetch_version
from noria.registry.entities import (
    AliasTarget,
    Holdout,
    NewModelVersion,
    Origin,
    Signature,
    Task,
    TensorSpec,
)
from noria.registry.service import Models, ModelVersionNotFound
from noria.tracking.entities import Link, LogBatch, NewRun
from noria.tracking.service import Runs

PROJECT = "default"
SIGNATURE = Signature(
    inputs=[TensorSpec(name="x", datatype="FP64", shape=[-1, 64])],
    outputs=[TensorSpec(name="predictions", datatype="INT64", shape=[-1])],
)


@pytest.fixture
def models(workspace: Workspace) -> Models:
    return workspace.service(Models)


def new_version(workspace: Workspace, content: bytes = b"weights", **fields: object) -> NewModelVersion:
    """Upload a tree of two files and describe it."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "model.skops").write_bytes(content)
        (Path(folder) / "golden.npz").write_bytes(b"golden")
        tree = put_tree(workspace.objects(), Path(folder))
    return NewModelVersion(
        digest=tree.digest,
        format="sklearn-skops",
        task=Task.CLASSIFICATION,
        signature=SIGNATURE,
        **fields,  # type: ignore[arg-type]
    )


def test_a_version_comes_back_as_it_was_registered(workspace: Workspace, models: Models) -> None:
    """Everything said at registration is said again, by number, by reference and in the list."""
    new = new_version(
        workspace,
        classes=[0, 1, 2],
        holdout=Holdout(metric="accuracy", value=0.97, n=400, score=0.97),
        metrics={"holdout_accuracy": 0.97},
        origin=Origin(run_id="r", pipeline="m:p", params={"depth": 3, "l": [1, None]}, dataset="digits@2"),
        message="first",
        author="ana",
    )
    made = models.register(PROJECT, "digits", new)

    assert made.ref == "digits@1"
    assert (made.digest, made.format, made.task, made.signature) == (
        new.digest,
        new.format,
        new.task,
        SIGNATURE,
    )
    assert (made.classes, made.holdout, made.metrics, made.origin) == (
        [0, 1, 2],
        new.holdout,
        new.metrics,
        new.origin,
    )
    assert (made.message, made.author, made.aliases) == ("first", "ana", [])
    assert models.version(PROJECT, "digits", 1) == made
    assert models.resolve(PROJECT, "digits") == made
    assert models.resolve(PROJECT, "digits@1") == made
    assert models.versions(PROJECT, "digits").items == [made]


def test_versions_count_up_and_page(workspace: Workspace, models: Models) -> None:
    """Numbers go 1, 2, 3; the newest comes first, in pages without gaps."""
    made = [models.register(PROJECT, "digits", new_version(workspace, bytes([i]))).version for i in range(3)]
    first = models.versions(PROJECT, "digits", limit=2)
    second = models.versions(PROJECT, "digits", limit=2, before=first.next)

    assert made == [1, 2, 3]
    assert [v.version for v in first.items] == [3, 2]
    assert [v.version for v in second.items] == [1]
    assert second.next is None
    assert models.get(PROJECT, "digits").latest == 3


def test_versions_registered_at_once_get_different_numbers(workspace: Workspace, models: Models) -> None:
    """Six callers at the same time get six numbers, and the model knows the last."""
    new = [new_version(workspace, bytes([i])) for i in range(6)]
    with ThreadPoolExecutor(6) as pool:
        numbers = list(pool.map(lambda n: models.register(PROJECT, "digits", n).version, new))

    assert sorted(numbers) == [1, 2, 3, 4, 5, 6]
    assert models.get(PROJECT, "digits").latest == 6


def test_models_are_listed_by_name(workspace: Workspace, models: Models) -> None:
    """Models come in the order of names, each with its aliases, in pages."""
    new = new_version(workspace)
    for name in ("b", "a", "c"):
        models.register(PROJECT, name, new)
    models.set_alias(PROJECT, "a", "champion", AliasTarget(version=1))
    first = models.list(PROJECT, limit=2)
    second = models.list(PROJECT, limit=2, after=first.next or "")

    assert [(m.name, m.latest, m.aliases) for m in first.items] == [("a", 1, {"champion": 1}), ("b", 1, {})]
    assert [m.name for m in second.items] == ["c"]
    assert second.next is None


def test_an_alias_moves_and_its_moves_are_events(
    workspace: Workspace, models: Models, context: Context
) -> None:
    """An alias points to one version at a time; setting it where it is changes nothing; every move is kept."""
    for i in range(2):
        models.register(PROJECT, "digits", new_version(workspace, bytes([i])))
    for version in (1, 2, 2):
        moved = models.set_alias(PROJECT, "digits", "champion", AliasTarget(version=version))
        assert (moved.version, moved.aliases) == (version, ["champion"])
    models.set_alias(PROJECT, "digits", "challenger", AliasTarget(version=2))

    assert models.resolve(PROJECT, "digits@champion").version == 2
    assert models.version(PROJECT, "digits", 1).aliases == []
    assert models.version(PROJECT, "digits", 2).aliases == ["challenger", "champion"]
    models.delete_alias(PROJECT, "digits", "champion")
    with pytest.raises(NotFound, match="`champion`"):
        models.resolve(PROJECT, "digits@champion")
    with pytest.raises(NotFound, match="`champion`"):
        models.delete_alias(PROJECT, "digits", "champion")
    query = (
        sa.select(events.c.type, events.c.payload)
        .where(events.c.subject == "model:digits", events.c.type.like("model.alias_%"))
        .order_by(events.c.seq)
    )
    with context.database.read() as connection:
        told = [tuple(row) for row in connection.execute(query)]
    assert told == [
        ("model.alias_moved", {"alias": "champion", "version": 1, "before": None}),
        ("model.alias_moved", {"alias": "champion", "version": 2, "before": 1}),
        ("model.alias_moved", {"alias": "challenger", "version": 2, "before": None}),
        ("model.alias_deleted", {"alias": "champion", "version": 2}),
    ]


def test_an_alias_cannot_be_taken_for_a_version(workspace: Workspace, models: Models) -> None:
    """Numbers, `latest` and what is no name are refused as aliases; so is a version that is not there."""
    models.register(PROJECT, "digits", new_version(workspace))
    for alias in ("3", "latest", "a b", "x/y", "@"):
        with pytest.raises(Invalid):
            models.set_alias(PROJECT, "digits", alias, AliasTarget(version=1))
    for version in (0, 2, -1, 2**70):
        with pytest.raises(NoriaError) as caught:
            models.set_alias(PROJECT, "digits", "champion", AliasTarget(version=version))
        assert isinstance(caught.value, (NotFound, Invalid))
    assert models.get(PROJECT, "digits").aliases == {}


def test_what_is_not_there_is_named(workspace: Workspace, models: Models) -> None:
    """A misspelt model, version or alias is answered with what there is."""
    models.register(PROJECT, "digits", new_version(workspace))
    models.set_alias(PROJECT, "digits", "champion", AliasTarget(version=1))

    with pytest.raises(NotFound) as caught:
        models.get(PROJECT, "digts")
    assert "`digits`" in (caught.value.hint or "")
    with pytest.raises(NotFound) as caught:
        models.resolve(PROJECT, "digits@champoin")
    assert "`champion`" in (caught.value.hint or "")
    for ref in ("digits@2", f"digits@{2**70}"):
        with pytest.raises(ModelVersionNotFound, match="no version"):
            models.resolve(PROJECT, ref)
    for ref in ("digits@", "digits@0"):
        with pytest.raises(Invalid):
            models.resolve(PROJECT, ref)


def test_a_version_needs_files_of_its_own_project(workspace: Workspace, models: Models) -> None:
    """Neither an unknown digest, nor another project's, nor what is no tree becomes a version."""
    workspace.service(Projects).create(NewProject(name="energy"))
    good = new_version(workspace)

    with pytest.raises(ObjectNotInProject):
        models.register("energy", "digits", good)
    with pytest.raises(ObjectNotInProject):
        models.register(PROJECT, "digits", _with_digest(good, "blake3:" + "0" * 64))
    with pytest.raises(Invalid):
        models.register(
            PROJECT, "digits", _with_digest(good, workspace.objects().put_bytes(b"no tree").digest)
        )
    assert models.list(PROJECT).items == []
    assert models.list("energy").items == []


def test_a_version_keeps_its_tree(workspace: Workspace, models: Models, context: Context) -> None:
    """Garbage collection sees a reference to the manifest, which stands for each file."""
    made = models.register(PROJECT, "digits", new_version(workspace))
    query = sa.select(object_references.c.digest).where(
        object_references.c.owner == f"model-version:{made.id}"
    )
    with context.database.read() as connection:
        assert connection.execute(query).scalars().all() == [made.digest]


def test_metrics_must_be_finite_and_names_plain(workspace: Workspace, models: Models) -> None:
    """What could not be compared, or not be written in a reference, is refused before anything is kept."""
    for value in (float("nan"), float("inf")):
        with pytest.raises(Invalid):
            models.register(PROJECT, "digits", new_version(workspace, metrics={"loss": value}))
    for name in ("a/b", "a@b", " "):
        with pytest.raises(Invalid):
            models.register(PROJECT, name, new_version(workspace))
    assert models.list(PROJECT).items == []


def test_lineage_leads_to_the_data(workspace: Workspace, models: Models) -> None:
    """From a version to the run that made it and what that run read."""
    made = models.register(PROJECT, "digits", new_version(workspace))
    runs = workspace.service(Runs)
    run = runs.create(PROJECT, NewRun(name="train"))
    links = LogBatch(inputs=[Link(ref="dataset:digits@2")], outputs=[Link(ref=f"model:{made.ref}")])
    runs.log(PROJECT, run.id, links)
    graph = models.lineage(PROJECT, "digits", 1)

    assert [node.label for node in graph.nodes] == ["model:digits@1", "train", "dataset:digits@2"]
    with pytest.raises(ModelVersionNotFound):
        models.lineage(PROJECT, "digits", 2)


def _with_digest(new: NewModelVersion, digest: str) -> NewModelVersion:
    return msgspec.structs.replace(new, digest=digest)


def test_files_come_back_verified(workspace: Workspace, models: Models, tmp_path: Path) -> None:
    """A fetched version has the bytes that were registered; a damaged copy is mended."""
    made = models.register(PROJECT, "digits", new_version(workspace, b"the weights"))
    folder = fetch_version(workspace, made, cache=tmp_path)
    assert (folder / "model.skops").read_bytes() == b"the weights"
    (folder / "model.skops").write_bytes(b"others")
    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(lambda _: fetch_version(workspace, made, cache=tmp_path), range(8)))

    assert set(folders) == {folder}
    assert (folder / "model.skops").read_bytes() == b"the weights"
