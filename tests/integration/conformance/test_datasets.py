"""The suite of `Datasets` and of the client over it."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest

from noria.core.context import Context
from noria.core.errors import Invalid, NotFound
from noria.core.objects.references import ObjectNotInProject
from noria.core.objects.service import Objects
from noria.core.objects.upkeep import collect_garbage, find_problems
from noria.core.workspace import Workspace
from noria.data.client import dataset
from noria.data.entities import (
    BroughtVersion,
    DatasetKind,
    DatasetMoved,
    DatasetVersion,
    NewDatasetVersion,
    TaggedVersion,
    VersionsDiverged,
)
from noria.data.service import (
    DatasetNotYet,
    Datasets,
    DatasetTagNotFound,
    DatasetVersionNotFound,
    DatasetVersionTagged,
)
from noria.data.tags import DatasetTags
from support.conformance import Services


def add_points(workspace: Workspace, n: int, message: str = "") -> DatasetVersion:
    return dataset("points", workspace=workspace).add({"x": np.arange(float(n))}, message=message)


def test_versions_count_up_and_know_their_parent(workspace: Workspace) -> None:
    """Each new content is the next version; it names the one before it."""
    first, second = add_points(workspace, 3, "three"), add_points(workspace, 4, "four")

    assert (first.version, first.parent) == (1, None)
    assert (second.version, second.parent, second.message) == (2, 1, "four")
    assert first.n_rows == 3
    assert first.kind is DatasetKind.ARRAYS


def test_equal_content_is_no_new_version(workspace: Workspace) -> None:
    """Adding what the newest version holds already gives that version."""
    first, again = add_points(workspace, 3), add_points(workspace, 3, "again")

    assert again == first


def test_the_log_lists_newest_first_page_by_page(workspace: Workspace, services: Services) -> None:
    """Pages of the log join without gap or repetition."""
    for n in range(1, 6):
        add_points(workspace, n)
    datasets = services(Datasets)
    first = datasets.log("default", "points", limit=2)
    second = datasets.log("default", "points", limit=2, before=first.next)
    third = datasets.log("default", "points", limit=2, before=second.next)

    listed = [v.version for page in (first, second, third) for v in page.items]
    assert listed == [5, 4, 3, 2, 1]
    assert third.next is None


def test_arrays_come_back_equal(workspace: Workspace) -> None:
    """What was added is what is read, with type and shape."""
    x = np.random.default_rng(0).normal(size=(7, 2, 3))
    names = np.array(["a", "bc", "ñ"])
    handle = dataset("mixed", workspace=workspace)
    handle.add({"x": x, "names": names})
    back = dataset("mixed@1", workspace=workspace).arrays()

    np.testing.assert_array_equal(back["x"], x)
    assert back["names"].tolist() == ["a", "bc", "ñ"]


def test_a_frame_comes_back_equal(workspace: Workspace) -> None:
    """A Polars frame is kept as Parquet and read as a frame."""
    frame = pl.DataFrame({"n": [1, 2, None], "text": ["a", None, "c"]})
    dataset("frame", workspace=workspace).add(frame)

    assert dataset("frame", workspace=workspace).polars().equals(frame)


def test_a_folder_is_written_back_byte_for_byte(workspace: Workspace, tmp_path: Path) -> None:
    """Files and folders come back with bytes and right to run."""
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "a.bin").write_bytes(bytes(range(256)))
    (source / "run.sh").write_text("#!/bin/sh\n")
    (source / "run.sh").chmod(0o755)
    added = dataset("files", workspace=workspace).add(source)
    target = dataset("files", workspace=workspace).checkout(tmp_path / "target")

    assert added.n_files == 2
    assert (target / "deep" / "a.bin").read_bytes() == bytes(range(256))
    assert (target / "run.sh").stat().st_mode & 0o111


def test_a_csv_file_has_a_profile_of_its_columns(workspace: Workspace, tmp_path: Path) -> None:
    """Rows and columns of a table in a file are described at `add`."""
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,x\n2,y\n3,\n")
    added = dataset("table", workspace=workspace).add(path)

    assert added.n_rows == 3
    assert added.profile is not None
    assert added.profile["columns"]["a"]["mean"] == 2.0
    assert added.profile["columns"]["b"]["n_missing"] == 1


def test_an_unknown_name_suggests_the_near_one(workspace: Workspace, services: Services) -> None:
    """A misspelt dataset is answered with the one that was meant."""
    add_points(workspace, 1)
    with pytest.raises(NotFound, match="`pionts`") as raised:
        services(Datasets).get("default", "pionts")

    assert "`points`" in (raised.value.hint or "")


def test_an_unknown_version_says_which_there_are(workspace: Workspace, services: Services) -> None:
    """Asking for a version that is not there names those that are."""
    add_points(workspace, 1)
    with pytest.raises(DatasetVersionNotFound) as raised:
        services(Datasets).resolve("default", "points@9")

    assert "only version is 1" in (raised.value.hint or "")
    assert raised.value.code == "dataset_version_not_found"


@pytest.mark.parametrize("name", ["", "a b", "../x", "a/b", ".hidden", "x" * 200])
@pytest.mark.alike
def test_a_name_that_cannot_stand_in_a_path_is_refused(workspace: Workspace, name: str) -> None:
    """Names hold letters, digits, `.`, `_` and `-` only, and nothing is stored for others."""
    with pytest.raises((Invalid, NotFound)):
        dataset(name, workspace=workspace).add({"x": np.zeros(1)})

    assert workspace.service(Datasets).list("default").items == []


def test_python_objects_are_refused(workspace: Workspace) -> None:
    """An array of objects would need a pickle, so it is refused with the mend."""
    with pytest.raises(Invalid, match="Python objects") as raised:
        dataset("o", workspace=workspace).add({"x": np.array([{}, []], dtype=object)})

    assert "astype" in (raised.value.hint or "")


def test_a_digest_enters_a_project_only_by_upload(workspace: Workspace, services: Services) -> None:
    """Naming another project's digest gives no access to it."""
    from noria.access.projects import NewProject, Projects

    services(Projects).create(NewProject(name="other"))
    added = add_points(workspace, 3)
    new = NewDatasetVersion(digest=added.digest, kind=DatasetKind.ARRAYS, n_files=1, size_bytes=1)
    with pytest.raises(ObjectNotInProject):
        services(Datasets).add("other", "stolen", new)
    with pytest.raises(ObjectNotInProject):
        services(Objects).get("other", added.digest)
    with pytest.raises(NotFound):
        services(Datasets).get("other", "stolen")


def test_concurrent_adds_get_different_versions(workspace: Workspace) -> None:
    """Writers at the same moment queue; every version is kept once."""
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(add_points(workspace, n).version))
        for n in range(1, 7)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(found) == [1, 2, 3, 4, 5, 6]


def test_content_made_of_an_older_version_is_refused(workspace: Workspace, services: Services) -> None:
    """A version that says what it follows is added only while that is the newest."""
    first, second = add_points(workspace, 1), add_points(workspace, 2)
    new = NewDatasetVersion(digest=first.digest, kind=DatasetKind.ARRAYS, n_files=1, size_bytes=1, follows=1)
    with pytest.raises(DatasetMoved) as raised:
        services(Datasets).add("default", "points", new)

    assert raised.value.details == {"name": "points", "follows": 1, "latest": 2}
    again = services(Datasets).add("default", "points", msgspec.structs.replace(new, follows=2))
    assert (again.version, again.parent) == (3, second.version)


def test_equal_content_that_came_twice_is_one_version(workspace: Workspace, services: Services) -> None:
    """Who did not hear the answer may send the same version again."""
    added = add_points(workspace, 1)
    new = NewDatasetVersion(digest=added.digest, kind=DatasetKind.ARRAYS, n_files=1, size_bytes=1, follows=0)

    assert services(Datasets).add("default", "points", new) == added


def test_a_moment_names_the_version_that_was_the_newest(workspace: Workspace, services: Services) -> None:
    """A reference by time gives what was there then, and says so when nothing was."""
    first, second = add_points(workspace, 1), add_points(workspace, 2)
    datasets = services(Datasets)

    assert datasets.resolve("default", f"points@{first.created_at.isoformat()}") == first
    assert datasets.resolve("default", f"points@{second.created_at.isoformat()}") == second
    assert dataset("points@2999-01-01", workspace=workspace).ref == "points@2"
    with pytest.raises(DatasetNotYet, match="2001-02-03T00:00:00"):
        datasets.resolve("default", "points@2001-02-03")
    with pytest.raises(Invalid, match="no point in time"):
        datasets.resolve("default", "points@2001-02-30")


def test_a_tag_leads_to_a_version_until_it_is_given_to_another(
    workspace: Workspace, services: Services
) -> None:
    """`name@tag` reads the version; a tag taken away leads nowhere, and the error names those that do."""
    for n in (1, 2):
        add_points(workspace, n)
    tags, datasets = services(DatasetTags), services(Datasets)
    tags.set("default", "points", "gold", TaggedVersion(version=1))
    first = dataset("points@gold", workspace=workspace).current.version
    tags.set("default", "points", "gold", TaggedVersion(version=2))
    tags.set("default", "points", "gold", TaggedVersion(version=2))
    listed = [(tag.tag, tag.version) for tag in tags.list("default", "points").items]
    second = datasets.resolve("default", "points@gold").version
    with pytest.raises(DatasetTagNotFound, match="no tag `golt`") as misspelt:
        datasets.resolve("default", "points@golt")
    tags.delete("default", "points", "gold")

    assert (first, second, listed) == (1, 2, [("gold", 2)])
    assert "points@gold" in (misspelt.value.hint or "")
    with pytest.raises(DatasetTagNotFound):
        datasets.resolve("default", "points@gold")
    with pytest.raises(DatasetTagNotFound):
        tags.delete("default", "points", "gold")


@pytest.mark.parametrize("tag", ["latest", "3", "2026-01-31", "a b"])
@pytest.mark.alike
def test_a_tag_that_reads_as_something_else_is_refused(
    workspace: Workspace, services: Services, tag: str
) -> None:
    """Behind `@`, numbers and dates mean versions."""
    add_points(workspace, 1)

    with pytest.raises(Invalid, match="tag"):
        services(DatasetTags).set("default", "points", tag, TaggedVersion(version=1))


def test_a_tag_stands_on_a_version_that_is_there(workspace: Workspace, services: Services) -> None:
    """One that is not there is refused by name."""
    add_points(workspace, 1)

    with pytest.raises(DatasetVersionNotFound, match="no version 2"):
        services(DatasetTags).set("default", "points", "gold", TaggedVersion(version=2))
    with pytest.raises(NotFound, match="no dataset `pionts`"):
        services(DatasetTags).set("default", "pionts", "gold", TaggedVersion(version=2))


def test_a_removed_version_is_gone_and_its_number_is_not_given_again(
    workspace: Workspace, services: Services
) -> None:
    """The newest of the others is the newest then; a version with a tag stays."""
    for n in (1, 2, 3):
        add_points(workspace, n)
    datasets = services(Datasets)
    services(DatasetTags).set("default", "points", "gold", TaggedVersion(version=1))
    datasets.remove_version("default", "points", 3)
    newest = datasets.resolve("default", "points").version
    with pytest.raises(DatasetVersionNotFound, match="no version 3"):
        datasets.version("default", "points", 3)
    with pytest.raises(DatasetVersionTagged, match="gold"):
        datasets.remove_version("default", "points", 1)

    assert newest == 2
    assert add_points(workspace, 3).version == 4


def test_a_removed_dataset_is_listed_no_more_and_counts_on(workspace: Workspace, services: Services) -> None:
    """All versions and tags go; what is added under its name later is no version that somebody noted before."""
    for n in (1, 2):
        add_points(workspace, n)
    datasets = services(Datasets)
    services(DatasetTags).set("default", "points", "gold", TaggedVersion(version=1))
    datasets.remove("default", "points")

    assert datasets.list("default").items == []
    with pytest.raises(NotFound):
        datasets.resolve("default", "points")
    with pytest.raises(NotFound):
        datasets.remove("default", "points")
    assert add_points(workspace, 1).version == 3
    assert services(DatasetTags).list("default", "points").items == []


def test_what_a_removed_version_alone_had_is_freed(
    workspace: Workspace, services: Services, context: Context, tmp_path: Path
) -> None:
    """Collection removes the files that no other version has, and the others stay readable."""
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "both").write_text("both")
    (folder / "first").write_text("first alone")
    handle = dataset("files", workspace=workspace)
    handle.add(folder)
    (folder / "first").unlink()
    handle.add(folder)
    services(Datasets).remove_version("default", "files", 1)
    done = collect_garbage(context.database, context.objects, context.clock, grace=timedelta(0))

    assert done.n_removed == 2  # a file and a manifest
    assert list(find_problems(context.database, context.objects)) == []
    dataset("files@2", workspace=workspace).checkout(tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["both"]


def test_a_version_of_elsewhere_keeps_its_number(workspace: Workspace, services: Services) -> None:
    """It is added once; other content under the number is refused, and the next one counts on from the highest."""
    first = add_points(workspace, 1)
    datasets = services(Datasets)
    brought = BroughtVersion(
        digest=first.digest,
        kind=first.kind,
        author="ana",
        message="from elsewhere",
        parent=6,
        n_rows=1,
        profile=None,
        created_at=first.created_at,
    )
    seventh = datasets.bring("default", "points", 7, brought)
    again = datasets.bring("default", "points", 7, brought)
    other = msgspec.structs.replace(brought, digest=add_points(workspace, 2).digest)

    assert (seventh.version, seventh.parent, seventh.n_files) == (7, 6, 1)
    assert again == seventh
    assert datasets.resolve("default", "points").version == 8
    with pytest.raises(VersionsDiverged, match="points@7"):
        datasets.bring("default", "points", 7, other)
    with pytest.raises(Invalid):
        datasets.bring("default", "points", 0, brought)
    with pytest.raises(ObjectNotInProject):
        datasets.bring("default", "points", 9, msgspec.structs.replace(brought, digest="blake3:" + "0" * 64))
