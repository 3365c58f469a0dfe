"""Files on disk are read as they are, and anything that is not a plain file is refused with its name."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from noria.core.errors import NotFound, TooLarge
from noria.core.objects.digests import CHUNK_BYTES
from noria.core.objects.sources import IGNORE_OWN, ignore_names, open_source, scan
from noria.core.objects.store import SourceChanged, SourceUnusable
from noria.core.objects.testing import pattern


def make(folder: Path, *paths: str) -> Path:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(os.fsencode(path))
    return folder


@contextlib.contextmanager
def as_ordinary_user() -> Iterator[None]:
    """Give up the rights of root for a while: it may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_can_be_read_twice(tmp_path: Path) -> None:
    """Each reading gives all bytes from the beginning."""
    data = pattern(2 * CHUNK_BYTES + 1)
    (tmp_path / "file").write_bytes(data)

    with open_source(tmp_path / "file") as source:
        assert b"".join(source.chunks()) == b"".join(source.chunks()) == data
        assert source.size_bytes == len(data)


@pytest.mark.parametrize("change", ["overwrite", "append", "cut", "touch"])
def test_a_file_that_changes_while_it_is_read_is_noticed(tmp_path: Path, change: str) -> None:
    """A write, a growth, a cut and a changed time after the first chunk end the reading with an error."""
    path = tmp_path / "file"
    path.write_bytes(bytes(3 * CHUNK_BYTES))
    os.utime(path, (1, 1))

    with open_source(path) as source:
        chunks = source.chunks()
        next(chunks)
        with path.open("r+b") as file:
            if change == "overwrite":
                file.write(b"x")
            elif change == "append":
                file.seek(0, os.SEEK_END)
                file.write(b"x")
            elif change == "cut":
                file.truncate(2 * CHUNK_BYTES)
            else:
                os.utime(path, (2, 2))
        with pytest.raises(SourceChanged, match=str(path)):
            list(chunks)


def test_a_file_that_grows_for_ever_is_not_read_for_ever(tmp_path: Path) -> None:
    """Reading stops soon after the size that the file had at first."""
    path = tmp_path / "file"
    path.write_bytes(bytes(CHUNK_BYTES))

    def append(chunk: bytes) -> int:
        with path.open("ab") as file:
            return file.write(chunk)

    with open_source(path) as source:
        read = map(append, source.chunks())
        assert next(read) == CHUNK_BYTES
        with pytest.raises(SourceChanged):
            next(read)


def test_pipes_sockets_and_devices_are_refused_at_once(tmp_path: Path) -> None:
    """What is no regular file is refused without waiting for it, by kind."""
    os.mkfifo(tmp_path / "pipe")
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(tmp_path / "sock"))

    for path, kind in [(tmp_path / "pipe", "pipe"), (Path(os.devnull), "device"), (tmp_path, "folder")]:
        with pytest.raises(SourceUnusable, match=kind), open_source(path):
            pass
    with pytest.raises(SourceUnusable, match="sock"), open_source(tmp_path / "sock"):
        pass
    for name, kind in [("pipe", "pipe"), ("sock", "socket")]:
        with pytest.raises(SourceUnusable, match=kind):
            scan(tmp_path / name)


def test_a_scan_lists_files_in_order_of_their_paths(tmp_path: Path) -> None:
    """The order is that of the whole path, whatever order the disk gives."""
    make(tmp_path, "b", "a/z", "a.txt", "a/b/c", "ä", "A")
    (tmp_path / "b").chmod(0o755)

    found = scan(tmp_path)

    assert [file.path for file in found.files] == ["A", "a.txt", "a/b/c", "a/z", "b", "ä"]
    assert [file.path for file in found.files if file.executable] == ["b"]
    assert all(file.location.read_text() == file.path for file in found.files)


def test_a_scan_lists_folders_that_hold_nothing(tmp_path: Path) -> None:
    """Empty folders are listed; one whose content is only left out is not empty."""
    make(tmp_path, "full/file", "left/out.pyc")
    (tmp_path / "empty" / "deep").mkdir(parents=True)
    (tmp_path / "bare").mkdir()

    assert scan(tmp_path, ignore=ignore_names("*.pyc")).empty_folders == ("bare", "empty/deep")
    assert scan(tmp_path / "bare").empty_folders == ()


def test_a_single_file_is_a_tree_of_one(tmp_path: Path) -> None:
    """A file keeps the name under which it was given, also through a link."""
    make(tmp_path, "data.csv")
    (tmp_path / "latest.csv").symlink_to("data.csv")

    for name in ("data.csv", "latest.csv"):
        (file,) = scan(tmp_path / name).files
        assert file.path == name
        assert file.location.read_text() == "data.csv"


def test_the_root_may_be_a_link(tmp_path: Path) -> None:
    """A folder that is named through a link is the folder."""
    make(tmp_path / "real", "a")
    (tmp_path / "link").symlink_to("real")

    assert [file.path for file in scan(tmp_path / "link").files] == ["a"]


def test_ignored_names_are_left_out_with_all_below(tmp_path: Path) -> None:
    """A pattern holds at any depth, and an ignored folder is not even opened."""
    make(tmp_path, "keep.py", "x.pyc", "sub/y.pyc", "sub/keep", ".git/config", "sub/.git/config")
    (tmp_path / ".git" / "link").symlink_to("nowhere")

    found = scan(tmp_path, ignore=ignore_names("*.pyc", ".git"))

    assert [file.path for file in found.files] == ["keep.py", "sub/keep"]


def test_ignoring_sees_whole_paths(tmp_path: Path) -> None:
    """A rule of the caller's own is asked with the path from the root."""
    make(tmp_path, "a/data", "b/data")

    assert [file.path for file in scan(tmp_path, ignore=lambda path: path == "a/data").files] == ["b/data"]


def test_a_workspace_and_leftovers_are_left_out_by_default(tmp_path: Path) -> None:
    """A store below the folder does not swallow itself, and half-written files are not taken for data."""
    make(tmp_path, "data", ".noria/noria.db", ".noria-0123.tmp", "sub/.noria-4567.tmp", "noria.toml")

    assert [file.path for file in scan(tmp_path).files] == ["data", "noria.toml"]
    assert not IGNORE_OWN(".noria-notes")


@pytest.mark.parametrize("points_to", ["file", "nowhere", "loop", "..", "/etc/passwd"])
def test_links_below_the_root_are_refused_with_their_target(tmp_path: Path, points_to: str) -> None:
    """A link, good or broken, to a file, a folder or itself, is refused by name."""
    make(tmp_path, "file", "sub/x")
    (tmp_path / "loop").symlink_to(points_to)

    with pytest.raises(SourceUnusable, match=f"loop.*symbolic link to `{points_to}`") as caught:
        scan(tmp_path)
    assert caught.value.hint is not None


def test_a_root_that_links_to_itself_is_refused(tmp_path: Path) -> None:
    """A loop at the root is an error, not a hang."""
    (tmp_path / "loop").symlink_to("loop")

    with pytest.raises(SourceUnusable, match="loop"):
        scan(tmp_path / "loop")


def test_a_folder_of_too_many_files_is_left_at_once(tmp_path: Path) -> None:
    """The walk ends with the first file that is too many, and says how many may be."""
    make(tmp_path, *(f"d{n}/{n}" for n in range(9)))
    seen: list[str] = []

    def ignore(path: str) -> bool:
        seen.append(path)
        return False

    assert len(scan(tmp_path, most=9).files) == 9
    with pytest.raises(TooLarge, match="more than 3 files") as caught:
        scan(tmp_path, ignore=ignore, most=3)
    assert "one by one" in (caught.value.hint or "")
    assert len([path for path in seen if "/" in path]) == 4


def test_nothing_at_the_root_is_not_found(tmp_path: Path) -> None:
    """A path with nothing there is named."""
    with pytest.raises(NotFound, match="nothing"):
        scan(tmp_path / "nothing")


@pytest.mark.parametrize("parts", [b"bad-\xff.csv", b"bad-\xff/file"])
def test_names_that_are_not_utf8_are_refused_with_their_bytes(tmp_path: Path, parts: bytes) -> None:
    """A file or folder whose name is not text is refused, and the message shows the stray byte."""
    make(tmp_path, os.fsdecode(parts))

    with pytest.raises(SourceUnusable, match=r"bad-\\xff.*not UTF-8"):
        scan(tmp_path)


def test_a_single_file_with_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    """The name of a tree's only file is checked like any other."""
    path = tmp_path / os.fsdecode(b"bad-\xff.csv")
    path.write_bytes(b"")

    with pytest.raises(SourceUnusable, match=r"bad-\\xff.*not UTF-8"):
        scan(path)


def test_what_cannot_be_read_is_refused_by_name() -> None:
    """An unreadable folder stops the scan, an unreadable file its reading; neither is skipped."""
    with tempfile.TemporaryDirectory() as public:
        folder = Path(public)
        folder.chmod(0o755)
        _check_unreadable(folder)


def _check_unreadable(folder: Path) -> None:
    make(folder, "secret/file", "locked")
    (folder / "locked").chmod(0)
    (folder / "secret").chmod(0)

    with as_ordinary_user():
        with pytest.raises(SourceUnusable, match=r"secret.*Permission denied"):
            scan(folder)
        with (
            pytest.raises(SourceUnusable, match=r"locked.*Permission denied"),
            open_source(folder / "locked"),
        ):
            pass
    (folder / "secret").chmod(0o755)


def test_all_that_cannot_be_stored_is_told_at_once(tmp_path: Path) -> None:
    """Each with its reason and in the order of their paths, the first few by name."""
    (tmp_path / "a").write_bytes(b"fine")
    (tmp_path / "link").symlink_to("a")
    os.mkfifo(tmp_path / "sub-pipe")
    (tmp_path / "bad-\udcff").write_bytes(b"x")
    with pytest.raises(SourceUnusable) as caught:
        scan(tmp_path)
    told = caught.value.message
    assert [told.find(name) for name in ("bad-\\xff", "link", "sub-pipe")] == sorted(
        told.find(name) for name in ("bad-\\xff", "link", "sub-pipe")
    )
    assert all(why in told for why in ("not UTF-8", "symbolic link to `a`", "a pipe"))
    assert "Rename it" in (caught.value.hint or "")
    assert "leave it out" in (caught.value.hint or "")

    for n in range(500):
        (tmp_path / f"link{n}").symlink_to("a")
    with pytest.raises(SourceUnusable, match=r"nor \d+ more"):
        scan(tmp_path)


def test_a_file_that_goes_while_the_folder_is_listed_is_no_part_of_it(tmp_path: Path) -> None:
    """Somebody else removed it; the others are listed."""
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"x")

    def remove(path: str) -> bool:
        if path == "b":
            (tmp_path / "b").unlink()
        return False

    assert [file.path for file in scan(tmp_path, ignore=remove).files] == ["a"]
