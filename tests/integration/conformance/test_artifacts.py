"""What artifacts by folder promise, over each transport and on each database."""

from __future__ import annotations

from datetime import timedelta

import pytest

from noria.access.projects import NewProject, Projects
from noria.core.context import Context
from noria.core.errors import Invalid, NotFound
from noria.core.objects.references import object_references
from noria.core.objects.store import RangeInvalid
from noria.tracking.artifacts import Artifacts
from noria.tracking.entities import NewRun
from noria.tracking.experiment_entities import NewExperiment
from noria.tracking.logged_models import LoggedModels
from noria.tracking.model_entities import NewLoggedModel
from noria.tracking.purging import purge_experiments
from noria.tracking.service import Experiments, Runs
from noria.tracking.shelves import ArtifactInTheWay, ArtifactIsFolder, ArtifactNotFound
from support.conformance import Services

BIG = bytes(range(256)) * 9000
PATHS = ["a.txt", "a/b/deep.txt", "a/c.txt", "a0", "a-b", "z", "ñandú/é.png"]


@pytest.fixture(params=["run", "logged-model", "project"])
def shelf(request: pytest.FixtureRequest, services: Services) -> str:
    """Name a shelf of each kind."""
    if request.param == "run":
        return f"run:{services(Runs).create('default', NewRun()).id}"
    if request.param == "logged-model":
        services(Experiments).create("default", NewExperiment(name="digits"))
        made = services(LoggedModels).create("default", NewLoggedModel(experiment="digits"))
        return f"logged-model:{made.id}"
    return ""


def held(context: Context) -> set[str]:
    """List the digests that owners keep."""
    query = object_references.select()
    with context.database.read() as connection:
        return {row.digest for row in connection.execute(query)}


def fill(artifacts: Artifacts, shelf: str) -> None:
    """Put a file at each of the paths; its bytes are the path."""
    for path in PATHS:
        artifacts.put("default", [path.encode()], of=shelf, path=path)


def names(artifacts: Artifacts, shelf: str, path: str = "") -> list[str]:
    """List a folder, folders with a `/` behind them."""
    items = artifacts.folder("default", of=shelf, path=path).items
    return [item.path + "/" * item.is_folder for item in items]


@pytest.mark.parametrize("data", [b"", b"x", BIG], ids=["empty", "one byte", "2 MB"])
def test_what_was_put_is_got(services: Services, shelf: str, data: bytes) -> None:
    """A file comes back byte by byte, whole and in part, with its size and digest."""
    artifacts = services(Artifacts)
    kept = artifacts.put("default", [data], of=shelf, path="folder/file.bin")
    got = artifacts.get("default", of=shelf, path="folder/file.bin")

    assert kept.size_bytes == got.size_bytes == len(data)
    assert got.read() == data
    assert artifacts.info("default", of=shelf, path="folder/file.bin") == kept
    middle = artifacts.get("default", of=shelf, path="folder/file.bin", start=len(data) // 2, length=7)
    assert middle.read() == data[len(data) // 2 :][:7]
    with pytest.raises(RangeInvalid):
        artifacts.get("default", of=shelf, path="folder/file.bin", start=len(data) + 1)


def test_folders_are_listed_level_by_level(services: Services, shelf: str) -> None:
    """A folder shows its files and folders, with sizes; one that is not there is empty."""
    artifacts = services(Artifacts)
    fill(artifacts, shelf)

    assert names(artifacts, shelf) == ["a-b", "a.txt", "a/", "a0", "z", "ñandú/"]
    assert names(artifacts, shelf, "a") == ["a/b/", "a/c.txt"]
    assert names(artifacts, shelf, "a/b") == ["a/b/deep.txt"]
    assert names(artifacts, shelf, "z") == names(artifacts, shelf, "nothing") == []
    sizes = [item.size_bytes for item in artifacts.folder("default", of=shelf, path="a").items]
    assert sizes == [None, len("a/c.txt")]


@pytest.mark.parametrize("limit", [1, 2, 5, 6])
def test_a_folder_is_read_in_pages(services: Services, shelf: str, limit: int) -> None:
    """Page after page gives what one large page does, each entry once."""
    artifacts = services(Artifacts)
    fill(artifacts, shelf)
    whole = artifacts.folder("default", of=shelf).items
    found, after = [], ""
    while True:
        page = artifacts.folder("default", of=shelf, limit=limit, after=after)
        found += page.items
        if page.next is None:
            break
        after = page.next

    assert found == whole


def test_files_are_listed_at_any_depth(services: Services, shelf: str) -> None:
    """All files below a folder, in pages."""
    artifacts = services(Artifacts)
    fill(artifacts, shelf)
    first = artifacts.files("default", of=shelf, limit=4)
    rest = artifacts.files("default", of=shelf, after=first.next or "")

    assert [file.path for file in (*first.items, *rest.items)] == sorted(PATHS)
    assert rest.next is None
    below = artifacts.files("default", of=shelf, path="a").items
    assert [file.path for file in below] == ["a/b/deep.txt", "a/c.txt"]


def test_a_file_is_replaced(services: Services, context: Context, shelf: str) -> None:
    """A second put to a path takes the place of the first, whose bytes are let go unless another path has them."""
    artifacts = services(Artifacts)
    first = artifacts.put("default", [b"first"], of=shelf, path="one")
    twin = artifacts.put("default", [b"first"], of=shelf, path="two")
    second = artifacts.put("default", [b"second"], of=shelf, path="one")

    assert artifacts.get("default", of=shelf, path="one").read() == b"second"
    assert held(context) == {first.digest, second.digest}
    artifacts.put("default", [b"second"], of=shelf, path="two")
    assert held(context) == {second.digest}
    assert twin.digest == first.digest


def test_what_is_deleted_is_let_go(services: Services, context: Context, shelf: str) -> None:
    """A file, a folder, and everything; deleting what is not there changes nothing."""
    artifacts = services(Artifacts)
    fill(artifacts, shelf)

    assert artifacts.delete("default", of=shelf, path="z").n_files == 1
    assert artifacts.delete("default", of=shelf, path="a").n_files == 2
    assert artifacts.delete("default", of=shelf, path="nothing").n_files == 0
    assert names(artifacts, shelf) == ["a-b", "a.txt", "a0", "ñandú/"]
    assert len(held(context)) == 4
    assert artifacts.delete("default", of=shelf).n_files == 4
    assert held(context) == set()


def test_a_path_is_a_file_or_a_folder(services: Services, shelf: str) -> None:
    """No file goes where a folder is, and none below a file; nothing of the refused upload is kept."""
    artifacts = services(Artifacts)
    fill(artifacts, shelf)
    before = artifacts.files("default", of=shelf).items
    for path in ("a", "a/b", "z/inside", "a/c.txt/deep/er"):
        with pytest.raises(ArtifactInTheWay):
            artifacts.put("default", [b"no"], of=shelf, path=path)

    assert artifacts.files("default", of=shelf).items == before
    with pytest.raises(ArtifactIsFolder):
        artifacts.get("default", of=shelf, path="a/b")
    with pytest.raises(ArtifactNotFound):
        artifacts.info("default", of=shelf, path="a/nothing")


@pytest.mark.parametrize("path", ["", "/a", "a/", "a//b", ".", "../a", "a/../b", "a\\b", "a\x00b", "a" * 501])
@pytest.mark.alike
def test_paths_that_lead_elsewhere_are_refused(services: Services, path: str) -> None:
    """Only tidy relative paths are taken."""
    with pytest.raises(Invalid):
        services(Artifacts).put("default", [b"x"], path=path)


def test_projects_do_not_see_each_other(services: Services) -> None:
    """A run, and what lies beside the runs, belong to one project."""
    services(Projects).create(NewProject(name="other"))
    artifacts = services(Artifacts)
    run = services(Runs).create("default", NewRun()).id
    artifacts.put("default", [b"x"], of=f"run:{run}", path="x")
    artifacts.put("default", [b"y"], path="y")

    with pytest.raises(NotFound):
        artifacts.get("other", of=f"run:{run}", path="x")
    with pytest.raises(NotFound):
        artifacts.get("other", path="y")
    for of in ("run:nothing", "logged-model:m-1", "model:digits@1", "run"):
        with pytest.raises((NotFound, Invalid)):
            artifacts.put("default", [b"x"], of=of, path="x")


def test_the_files_of_a_run_are_among_its_artifacts(services: Services) -> None:
    """What is put by path is listed with the run's own artifacts."""
    run = services(Runs).create("default", NewRun()).id
    kept = services(Artifacts).put("default", [b"x"], of=f"run:{run}", path="plots/roc.png")
    (artifact,) = services(Runs).artifacts("default", run).items

    assert (artifact.path, artifact.digest, artifact.size_bytes) == (kept.path, kept.digest, 1)
    assert services(Runs).artifact("default", run, path="plots/roc.png").read() == b"x"


def test_files_beside_the_runs_go_with_their_experiment(services: Services, context: Context) -> None:
    """What lies below the number of an experiment is freed when the experiment is gone for good."""
    made = services(Experiments).create("default", NewExperiment(name="short"))
    artifacts = services(Artifacts)
    gone = artifacts.put("default", [b"trace"], path=f"{made.number}/traces/t/artifacts/traces.json")
    stays = artifacts.put("default", [b"other"], path=f"{made.number}0/traces/t/artifacts/traces.json")
    services(Experiments).delete("default", "short")
    purge_experiments(context, context.clock.now() + timedelta(days=1), dry_run=False)

    assert artifacts.files("default").items == [stays]
    assert held(context) == {stays.digest}
    assert gone.digest != stays.digest
