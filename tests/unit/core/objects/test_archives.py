"""A folder goes into a tar stream and comes out as it was; nothing else is taken for one."""

from __future__ import annotations

import io
import itertools
import os
import stat
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from noria.core.errors import NoriaError, TooLarge
from noria.core.objects.archives import ArchiveInvalid, ArchiveLimits, pack_folder, unpack
from noria.core.objects.digests import hash_bytes
from noria.core.objects.local import LocalObjectStore
from noria.core.objects.paths import PathRefused
from noria.core.objects.sources import ignore_names
from noria.core.objects.store import SourceChanged, SourceUnusable
from noria.core.objects.targets import TargetBlocked

LONG = "x" * 90


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    files = {"b.py": b"b" * 700, "a/run.sh": b"#!", "a/empty": b"", "a/ä": b"x", f"{LONG}/{LONG}": bytes(512)}
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    (folder / "a/run.sh").chmod(0o755)
    (folder / "bare" / LONG).mkdir(parents=True)
    return folder


def snapshot(folder: Path) -> dict[str, tuple[bytes, bool]]:
    return {
        path.relative_to(folder).as_posix(): (
            b"folder" if path.is_dir() else path.read_bytes(),
            bool(path.stat().st_mode & stat.S_IXUSR),
        )
        for path in folder.rglob("*")
    }


def tar(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    """Make an archive with the standard library."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def test_a_folder_comes_out_as_it_went_in(source: Path, tmp_path: Path) -> None:
    """Paths, bytes, the right to be run and empty folders survive."""
    unpack(pack_folder(source), tmp_path / "deep" / "out")

    assert snapshot(tmp_path / "deep" / "out") == snapshot(source)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]


@pytest.mark.parametrize("n_before", [97, 98, 99, 100])
@pytest.mark.parametrize("empty_folder", [False, True])
def test_long_paths_may_be_cut_within_a_character(tmp_path: Path, n_before: int, empty_folder: bool) -> None:
    """A path whose character lies across the 100 bytes of the short form comes out as it went in."""
    place = tmp_path / "source" / ("x" * (n_before - 50)) / ("y" * 49 + "\U00010000")
    place.mkdir(parents=True)
    if not empty_folder:
        (place / "file").write_bytes(b"x")

    unpack(pack_folder(tmp_path / "source"), tmp_path / "out")

    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "source")


@pytest.mark.parametrize("size_bytes", [1, 511, 512, 513, 10**9])
def test_chunks_may_have_any_size(source: Path, tmp_path: Path, size_bytes: int) -> None:
    """An archive is read from chunks as they come, and from an open file."""
    data = b"".join(pack_folder(source))

    unpack((data[i : i + size_bytes] for i in range(0, len(data), size_bytes)), tmp_path / "chunks")
    unpack(io.BytesIO(data), tmp_path / "file")

    assert snapshot(tmp_path / "chunks") == snapshot(tmp_path / "file") == snapshot(source)


def test_equal_folders_give_equal_bytes(source: Path, tmp_path: Path) -> None:
    """Owner, time and other rights leave no trace; the digest is fixed for ever."""
    before = b"".join(pack_folder(source))
    (source / "b.py").chmod(0o600)
    os.utime(source / "b.py", (1, 1))

    assert b"".join(pack_folder(source)) == before
    assert hash_bytes(before) == "blake3:7724814b8930e786222fce4a7f084cacc222f36f05c19ed80d4acc44769c0629"


def test_other_programs_read_it(source: Path, tmp_path: Path) -> None:
    """The standard library and the system's tar take the archive as any other."""
    data = b"".join(pack_folder(source))
    names = sorted(path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file())

    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        files = {info.name: info for info in archive if info.isfile()}
        assert sorted(files) == names
        assert {(info.uid, info.gid, info.uname, info.gname, info.mtime) for info in files.values()} == {
            (0, 0, "", "", 0)
        }
    listed = subprocess.run(
        ["tar", "-tf", "-", "--quoting-style=literal"], input=data, capture_output=True, check=True
    )
    assert sorted(line for line in listed.stdout.decode().splitlines() if not line.endswith("/")) == names
    assert listed.stderr == b""


def test_archives_of_other_programs_with_plain_files_are_taken(tmp_path: Path) -> None:
    """What the standard library writes is read, filled up with zeros or not."""
    data = tar(
        (member("d", tarfile.DIRTYPE), b""), (member("d/f", mode=0o755), b"abc"), (member(LONG * 2), b"")
    )

    unpack([data], tmp_path / "out")

    assert snapshot(tmp_path / "out") == {
        "d": (b"folder", True),
        "d/f": (b"abc", True),
        LONG * 2: (b"", False),
    }


def test_an_archive_can_be_put_as_it_is_made(store: LocalObjectStore, source: Path, tmp_path: Path) -> None:
    """Packing into a store and unpacking out of it need no file between."""
    digest = store.put(pack_folder(source, ignore=ignore_names("bare"))).digest

    unpack(store.open(digest), tmp_path / "out")

    assert not (tmp_path / "out" / "bare").exists()
    assert (tmp_path / "out" / "b.py").read_bytes() == b"b" * 700


def test_a_link_is_not_packed(source: Path) -> None:
    """A link is refused by name, as for a tree."""
    (source / "link").symlink_to("/etc/passwd")

    with pytest.raises(SourceUnusable, match="link"):
        list(pack_folder(source))


def test_a_file_that_changes_while_it_is_packed_is_no_archive(store: LocalObjectStore, source: Path) -> None:
    """A change ends the packing, and a store keeps nothing of it."""

    def packing() -> Iterator[bytes]:
        for chunk in pack_folder(source):
            yield chunk
            if b"b.py" in chunk[:100]:
                (source / "b.py").write_bytes(b"c" * 700)

    os.utime(source / "b.py", (1, 1))
    with pytest.raises(SourceChanged, match=r"b\.py"):
        store.put(packing())
    assert store.collect(lambda _: set(), grace_s=1e9).n_young == 0


LIMITS = [
    (ArchiveLimits(n_members=5), "one file too many"),
    (ArchiveLimits(member_bytes=699), "`b.py` has 700 bytes"),
    (ArchiveLimits(total_bytes=1214), "together"),
]


@pytest.mark.parametrize(("limits", "message"), LIMITS)
def test_limits_hold_on_both_sides(source: Path, tmp_path: Path, limits: ArchiveLimits, message: str) -> None:
    """More files, a larger file or more bytes than allowed are neither packed nor unpacked."""
    with pytest.raises(TooLarge, match=message):
        list(pack_folder(source, limits=limits))
    with pytest.raises(TooLarge, match=message):
        unpack(pack_folder(source), tmp_path / "out", limits=limits)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_limits_are_what_is_just_allowed(source: Path, tmp_path: Path) -> None:
    """A folder exactly at each limit passes."""
    limits = ArchiveLimits(n_members=6, member_bytes=700, total_bytes=1215)

    unpack(pack_folder(source, limits=limits), tmp_path / "out", limits=limits)

    assert snapshot(tmp_path / "out") == snapshot(source)


def test_a_huge_announced_size_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """A header that announces more than allowed stops the unpacking at once, whatever follows."""
    header = member("bomb", size=10**15).tobuf(format=tarfile.GNU_FORMAT)

    with pytest.raises(TooLarge, match="bomb"):
        unpack(itertools.chain([header], itertools.repeat(bytes(512))), tmp_path / "out")


def _raw(info: tarfile.TarInfo, data: bytes = b"") -> bytes:
    return info.tobuf(format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape") + data


def _long_name(size_bytes: int) -> bytes:
    return _raw(member("././@LongLink", tarfile.GNUTYPE_LONGNAME, size=size_bytes))


BAD_MEMBERS = {
    "symlink": tar((member("a", tarfile.SYMTYPE, linkname="/etc/passwd"), b"")),
    "hard link": tar((member("a", tarfile.LNKTYPE, linkname="b"), b"")),
    "device": tar((member("a", tarfile.CHRTYPE), b"")),
    "pipe": tar((member("a", tarfile.FIFOTYPE), b"")),
    "sparse": tar((member("a", tarfile.GNUTYPE_SPARSE), b"")),
    "extended header": tar((member("ä" * 90), b""), form=tarfile.PAX_FORMAT),
    "folder with bytes": _raw(member("a", tarfile.DIRTYPE, size=512), bytes(512)) + bytes(1024),
    "negative size": _raw(member("a", size=-512)) + bytes(1024),
    "twice": tar((member("a"), b"1"), (member("a"), b"2")),
    "file and folder": tar((member("a"), b"1"), (member("a/b"), b"2")),
    "folder and file": tar((member("a/b"), b"1"), (member("a"), b"2")),
    "name not UTF-8": _raw(member("\udcff")) + bytes(1024),
    "endless long name": _long_name(10**12) + bytes(4096),
    "empty long name": _long_name(0) + bytes(4096),
    "long name not UTF-8": _long_name(3) + b"\xff\xff\0" + bytes(509) + _raw(member("a")) + bytes(1024),
    "filling with bytes": _raw(member("a", size=1), b"x" + b"y" * 511) + bytes(1024),
    "no archive": b"hello world" * 100,
    "empty": b"",
    "compressed": b"\x1f\x8b" + bytes(600),
    "bad checksum": b"y" + _raw(member("xa"))[1:] + bytes(1024),
    "one closing block": bytes(512),
    "bytes after the end": bytes(1024) + b"x",
    "half a header": _raw(member("a"))[:300],
    "half a file": _raw(member("a", size=1000), b"x" * 512),
    "no end": _raw(member("a")),
}


@pytest.mark.parametrize("name", BAD_MEMBERS)
def test_other_forms_are_refused_and_leave_nothing(tmp_path: Path, name: str) -> None:
    """Links, special files, extended headers, doubles, damage and cuts: nothing appears on disk."""
    with pytest.raises(ArchiveInvalid):
        unpack([BAD_MEMBERS[name]], tmp_path / "out")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["../out", "/out", "a/../../out", "a//b", "./a", ""])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.DIRTYPE])
def test_no_member_leads_out(tmp_path: Path, path: str, kind: bytes) -> None:
    """A path that could leave the folder is refused, and nothing appears on disk."""
    with pytest.raises(PathRefused):
        unpack([_raw(member(path, kind)) + bytes(1024)], tmp_path / "in" / "out")

    assert [path.name for path in tmp_path.rglob("*")] == ["in"]


def test_no_long_name_leads_out(tmp_path: Path) -> None:
    """The long form of a path is checked as the short one."""
    data = tar((member("../" * 50 + "out"), b""))

    with pytest.raises(PathRefused):
        unpack([data], tmp_path / "out")


def test_every_cut_is_noticed(source: Path, tmp_path: Path) -> None:
    """An archive that ends early anywhere is refused, and nothing appears on disk."""
    data = b"".join(pack_folder(source, ignore=ignore_names("x*", "bare")))

    for size_bytes in range(0, len(data), 300):
        with pytest.raises(ArchiveInvalid):
            unpack([data[:size_bytes]], tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: path.symlink_to("nowhere")])
def test_what_is_there_already_stays(source: Path, tmp_path: Path, make: Callable[[Path], None]) -> None:
    """A folder, file or broken link at the target blocks."""
    make(tmp_path / "out")

    with pytest.raises(TargetBlocked, match="out"):
        unpack(pack_folder(source), tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "source"]


def test_the_first_of_two_unpackings_wins(source: Path, tmp_path: Path) -> None:
    """If another process makes the target meanwhile, it stays as that one made it."""

    def meanwhile() -> Iterator[bytes]:
        yield from pack_folder(source)
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "theirs").touch()

    with pytest.raises(TargetBlocked, match="out"):
        unpack(meanwhile(), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["theirs"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "source"]


def test_a_sender_that_fails_leaves_nothing(source: Path, tmp_path: Path) -> None:
    """What reading the archive raises passes through, and nothing appears on disk."""

    def broken() -> Iterator[bytes]:
        yield from itertools.islice(pack_folder(source), 6)
        raise NoriaError("the line is dead")

    with pytest.raises(NoriaError, match="line is dead"):
        unpack(broken(), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
