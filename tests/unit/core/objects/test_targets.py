"""Files are written below one folder, whole or not at all, and never outside of it."""

from __future__ import annotations

import os
import resource
import stat
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from noria.core.errors import StorageFull, Unavailable
from noria.core.objects.digests import hash_bytes
from noria.core.objects.paths import PathRefused
from noria.core.objects.targets import Moment, TargetBlocked, TargetFolder

DANGEROUS = ("../out", "/out", "a/../../out", "", "a//b", "a\0b", ".", "..")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "target"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "precious").write_text("precious")
    return folder


def content(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("umask", "data", "program"), [(0o002, 0o664, 0o775), (0o077, 0o600, 0o700)])
def test_files_appear_with_their_bytes_and_the_users_rights(
    target: Path, umask: int, data: int, program: int
) -> None:
    """Files get the rights that the user's umask gives, and those to be run if they are programs."""
    before = os.umask(umask)
    try:
        with TargetFolder(target) as folder:
            folder.write("a/b/data", [b"one ", b"two"])
            folder.write("a/run", [b""], executable=True)
            folder.write("top", [b"x"])
    finally:
        os.umask(before)

    assert content(target) == {"a/b/data": "one two", "a/run": "", "top": "x"}
    assert stat.S_IMODE((target / "a/b/data").stat().st_mode) == data
    assert stat.S_IMODE((target / "a/run").stat().st_mode) == program


def test_a_write_that_breaks_leaves_the_old_file(target: Path) -> None:
    """When the bytes stop coming, the file stays as it was and no temporary one is left."""

    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionError

    with TargetFolder(target) as folder:
        folder.write("file", [b"old"])
        with pytest.raises(ConnectionError):
            folder.write("file", broken(), overwrite=True)
        with pytest.raises(ConnectionError):
            folder.write("sub/new", broken())

    assert content(target) == {"file": "old"}


@pytest.mark.parametrize("path", DANGEROUS)
def test_dangerous_paths_are_refused(target: Path, path: str) -> None:
    """No method takes a path that could lead out."""
    with TargetFolder(target) as folder:
        for call in (
            lambda: folder.write(path, [b""]),
            lambda: folder.make_folder(path),
            lambda: folder.check_folder(path),
            lambda: folder.exists(path),
            lambda: folder.holds(path, digest="", size_bytes=0, executable=False),
        ):
            with pytest.raises(PathRefused):
                call()
    assert list(target.iterdir()) == []
    assert [path.name for path in target.parent.iterdir()] == ["target"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_links_to_folders_are_not_followed(target: Path, outside: Path, overwrite: bool) -> None:
    """A link in the place of a folder blocks writing, making, looking and comparing below it."""
    target.mkdir(parents=True)
    (target / "link").symlink_to(outside)
    digest = hash_bytes(b"precious")

    with TargetFolder(target) as folder:
        for call in (
            lambda: folder.write("link/precious", [b"gone"], overwrite=overwrite),
            lambda: folder.write("link/new/file", [b"gone"], overwrite=overwrite),
            lambda: folder.make_folder("link/sub"),
            lambda: folder.check_folder("link"),
            lambda: folder.exists("link/precious"),
            lambda: folder.holds("link/precious", digest=digest, size_bytes=8, executable=False),
        ):
            with pytest.raises(TargetBlocked, match="link"):
                call()
    assert content(outside) == {"precious": "precious"}
    assert [path.name for path in outside.iterdir()] == ["precious"]


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(target: Path, outside: Path) -> None:
    """With `overwrite` a link becomes a file; without, it blocks, also if it leads nowhere."""
    target.mkdir(parents=True)
    (target / "file").symlink_to(outside / "precious")
    (target / "broken").symlink_to("nowhere")

    with TargetFolder(target) as folder:
        assert folder.exists("file")
        assert folder.exists("broken")
        assert not folder.holds("file", digest=hash_bytes(b"precious"), size_bytes=8, executable=False)
        for name in ("file", "broken"):
            with pytest.raises(TargetBlocked, match=name):
                folder.write(name, [b"new"])
            folder.write(name, [b"new"], overwrite=True)

    assert content(outside) == {"precious": "precious"}
    assert content(target) == {"file": "new", "broken": "new"}
    assert not (target / "file").is_symlink()


def test_a_folder_is_never_replaced_by_a_file(target: Path) -> None:
    """Not even `overwrite` replaces a folder, nor a file by a folder."""
    with TargetFolder(target) as folder:
        folder.write("a/b", [b"x"])
        with pytest.raises(TargetBlocked, match="`a`"):
            folder.write("a", [b"y"], overwrite=True)
        with pytest.raises(TargetBlocked, match="`a/b`"):
            folder.write("a/b/c", [b"y"], overwrite=True)
        with pytest.raises(TargetBlocked, match="`a/b`"):
            folder.make_folder("a/b")

    assert content(target) == {"a/b": "x"}


def test_a_file_is_replaced_only_when_asked(target: Path) -> None:
    """Without `overwrite` a file in the way stays and blocks."""
    with TargetFolder(target) as folder:
        folder.write("file", [b"old"])
        with pytest.raises(TargetBlocked, match="file"):
            folder.write("file", [b"new"])
        assert content(target) == {"file": "old"}
        folder.write("file", [b"new"], overwrite=True)

    assert content(target) == {"file": "new"}


def test_a_file_is_held_only_with_bytes_and_right_to_run(target: Path) -> None:
    """Another byte, size or right to be run makes it another file; a folder or nothing is none."""
    digest = hash_bytes(b"abc")
    with TargetFolder(target) as folder:
        folder.write("d/file", [b"abc"])
        assert folder.holds("d/file", digest=digest, size_bytes=3, executable=False)
        assert not folder.holds("d/file", digest=digest, size_bytes=3, executable=True)
        assert not folder.holds("d/file", digest=hash_bytes(b"abd"), size_bytes=3, executable=False)
        assert not folder.holds("d/file", digest=digest, size_bytes=4, executable=False)
        assert not folder.holds("d", digest=digest, size_bytes=3, executable=False)
        assert not folder.holds("no/such", digest=digest, size_bytes=3, executable=False)
        assert not folder.exists("no/such")


def test_looking_makes_no_folders(target: Path) -> None:
    """Only writing and making make folders."""
    with TargetFolder(target) as folder:
        folder.exists("a/b")
        folder.check_folder("c/d")
        folder.make_folder("e/f")

    assert sorted(path.name for path in target.iterdir()) == ["e"]
    assert (target / "e" / "f").is_dir()


def test_the_target_may_be_a_link_but_not_a_file(target: Path, outside: Path) -> None:
    """The folder itself is the caller's word; below it nothing is followed."""
    target.parent.mkdir()
    target.symlink_to(outside)

    with TargetFolder(target) as folder:
        folder.write("new", [b"x"])
    assert content(outside) == {"precious": "precious", "new": "x"}
    for path in (outside / "precious", outside / "precious" / "below"):
        with pytest.raises(TargetBlocked, match="not a folder"):
            TargetFolder(path)


def test_what_the_disk_refuses_names_the_target(target: Path) -> None:
    """A name that is too long for the disk is an error with the place."""
    with TargetFolder(target) as folder, pytest.raises(Unavailable, match=str(target)):
        folder.write("x" * 300, [b""])


def test_many_folders_do_not_use_up_descriptors(target: Path) -> None:
    """However many folders are written to, few are open at a time, and none afterwards."""
    process = psutil.Process()
    n_open = process.num_fds()
    with TargetFolder(target) as folder:
        for n in range(50):
            folder.write(f"{n}/{n}/file", [b"x"])
            folder.exists(f"no/such/{n}")
            assert process.num_fds() <= n_open + 2

    assert process.num_fds() == n_open


def test_a_stage_takes_files_at_once(tmp_path: Path) -> None:
    """What each was is told; one that is there is not replaced, and one for which there is no room is not left."""
    with TargetFolder(tmp_path / "stage", durable=False, staged=True) as folder:
        moments = {
            path: folder.put(path, path.encode() * 500, executable=path == "b/run")
            for path in ("a", "b/1", "b/2", "b/run")
        }
        with pytest.raises(TargetBlocked, match="b/run"):
            folder.put("b/run", b"other")
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        try:
            with pytest.raises(StorageFull):
                folder.put("b/long", b"x" * 4000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        with pytest.raises(PathRefused):
            folder.put("b/../c", b"")
    for path, moment in moments.items():
        place = tmp_path / "stage" / path
        assert place.read_bytes() == path.encode() * 500
        assert Moment.of(place.stat(), named=True) == moment
        assert bool(place.stat().st_mode & 0o100) == (path == "b/run")
    assert sorted(path.name for path in (tmp_path / "stage" / "b").iterdir()) == ["1", "2", "run"]
