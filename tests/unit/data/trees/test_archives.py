"""Archives of others are taken apart with care, and ours are read by everybody."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from noria.core.clock import SystemClock
from noria.core.errors import Invalid, NoriaError
from noria.core.objects.archives import ArchiveInvalid
from noria.core.objects.local import LocalObjectStore
from noria.core.objects.paths import PathRefused
from noria.core.objects.targets import TargetBlocked
from noria.core.objects.trees import put_tree
from noria.data.entities import DatasetKind, DatasetVersion
from noria.data.trees.archives import export_version, stem, unpack_archive


def tar(path: Path, *members: tuple[str, bytes, bytes]) -> Path:
    """Write a tar of names, kinds and contents (of links: where they lead)."""
    with tarfile.open(path, "w") as archive:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                info.linkname = content.decode()
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return path


def version(store: LocalObjectStore, folder: Path) -> DatasetVersion:
    tree = put_tree(store, folder)
    return DatasetVersion(
        id="1",
        project="p",
        name="d",
        version=1,
        digest=tree.digest,
        kind=DatasetKind.FILES,
        author="a",
        message="",
        parent=None,
        n_files=tree.n_files,
        size_bytes=tree.size_bytes,
        n_rows=None,
        profile=None,
        created_at=datetime(2030, 1, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tgz", "tar.bz2", "tar.xz", "zip"])
def test_what_is_exported_comes_back(tmp_path: Path, ending: str) -> None:
    """Bytes, names, the right to be run and empty folders; twice the same archive."""
    source = tmp_path / "source"
    (source / "sub" / "ünï").mkdir(parents=True)
    (source / "empty").mkdir()
    (source / "sub" / "ünï" / "año.txt").write_text("x" * 100_000)
    (source / "run").write_bytes(os.urandom(70_000))
    (source / "run").chmod(0o755)
    (source / "none").write_bytes(b"")
    store = LocalObjectStore(tmp_path / "store", SystemClock())
    made = version(store, source)
    first, second = tmp_path / f"a.{ending}", tmp_path / f"b.{ending}"
    export_version(store, made, first)
    export_version(store, made, second)
    unpack_archive(first, tmp_path / "out")

    assert first.read_bytes() == second.read_bytes()
    assert put_tree(store, tmp_path / "out").digest == made.digest
    with pytest.raises(TargetBlocked):
        export_version(store, made, first)
    export_version(store, made, first, overwrite=True)
    assert stem(first.name) == "a"
    assert [path.name for path in tmp_path.glob(".noria-*")] == []


def test_an_ending_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    """With those that are."""
    store = LocalObjectStore(tmp_path / "store", SystemClock())
    (tmp_path / "a").write_text("a")
    with pytest.raises(Invalid, match="does not end") as refused:
        export_version(store, version(store, tmp_path / "a"), tmp_path / "out.rar")
    assert ".tar.gz" in (refused.value.hint or "")


@pytest.mark.parametrize("name", ["../out", "/etc/passwd", "a/../../b", "a/./b", "a//b"])
def test_a_path_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    """In a tar and in a zip, and nothing appears outside."""
    archives = [tar(tmp_path / "a.tar", (name, tarfile.REGTYPE, b"x"))]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as zipped:
        zipped.writestr(name, b"x")
    archives.append(tmp_path / "a.zip")
    for archive in archives:
        with pytest.raises(PathRefused):
            unpack_archive(archive, tmp_path / "in" / archive.name)
    assert not (tmp_path / "in" / "out").exists()


def test_links_and_devices_are_refused(tmp_path: Path) -> None:
    """A file behind a link would lead the next member out of the folder."""
    kinds = {tarfile.SYMTYPE: b"/etc", tarfile.LNKTYPE: b"other", tarfile.CHRTYPE: b"", tarfile.FIFOTYPE: b""}
    for n, (kind, leads) in enumerate(kinds.items()):
        archive = tar(tmp_path / f"{n}.tar", ("link", kind, leads), ("link/passwd", tarfile.REGTYPE, b"x"))
        with pytest.raises(ArchiveInvalid, match="`link`"):
            unpack_archive(archive, tmp_path / f"out{n}")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as zipped:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        zipped.writestr(info, "/etc")
    with pytest.raises(ArchiveInvalid, match="`link`"):
        unpack_archive(tmp_path / "a.zip", tmp_path / "out")


@pytest.mark.parametrize("kind", ["nothing", "noise", "cut tar", "cut gzip", "twice", "damaged zip"])
def test_what_is_broken_is_told(tmp_path: Path, kind: str) -> None:
    """By name of the archive, as an error of this house."""
    path = tmp_path / "a.tar"
    if kind == "nothing":
        path.write_bytes(b"")
    elif kind == "noise":
        path.write_bytes(os.urandom(5000))
    elif kind == "cut tar":
        whole = tar(path, ("a", tarfile.REGTYPE, b"x" * 5000)).read_bytes()
        path.write_bytes(whole[:3000])
    elif kind == "cut gzip":
        with tarfile.open(path, "w:gz") as archive:
            archive.add(__file__, "a")
        path.write_bytes(path.read_bytes()[:-500])
    elif kind == "twice":
        tar(path, ("a", tarfile.REGTYPE, b"x"), ("a", tarfile.REGTYPE, b"y"))
    else:
        with zipfile.ZipFile(path, "w") as zipped:
            zipped.writestr("a", b"x" * 1000)
        data = bytearray(path.read_bytes())
        data[200] ^= 1
        path.write_bytes(data)

    with pytest.raises(NoriaError, match=r"a\.tar"):
        unpack_archive(path, tmp_path / "out")


def test_a_small_archive_of_very_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long before the disk is full."""
    monkeypatch.setattr("noria.data.trees.archives._SMALL_BYTES", 1 << 20)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("zeros", bytes(20 << 20))

    with pytest.raises(ArchiveInvalid, match="times its size"):
        unpack_archive(tmp_path / "a.zip", tmp_path / "out")
