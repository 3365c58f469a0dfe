"""A process that helps to put many files."""

from __future__ import annotations

import os
import pickle
import signal
from pathlib import Path

import msgspec
import pytest

from noria.core.clock import SystemClock
from noria.core.errors import Failed
from noria.core.objects.checkouts import checkout
from noria.core.objects.chunks import LARGE_BYTES
from noria.core.objects.filing import prepare
from noria.core.objects.helping import AHEAD, Helper
from noria.core.objects.local import LocalObjectStore
from noria.core.objects.restoring import Restoring
from noria.core.objects.store import ObjectCorrupt, ObjectNotFound, SourceUnusable
from noria.core.objects.targets import Moment
from noria.core.objects.trees import make_manifest, put_manifest, put_tree, read_manifest

# Threads that other tests left are none that the helper needs.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def stored_bytes(root: Path) -> int:
    """Count the bytes of packs and of objects that are files of their own."""
    return sum(path.stat().st_size for kind in ("packs", "objects") for path in (root / kind).rglob("*.pack"))


def test_a_store_with_a_helper_holds_the_same(tmp_path: Path) -> None:
    """With a helper, the same files become the same objects, equal ones once, and are found again the second time."""
    folder = tmp_path / "files"
    folder.mkdir()
    contents = [f"{n % 250}".encode() * (n % 90 + 1) for n in range(400)]
    contents[37:37] = [b"", b"x" * (LARGE_BYTES + 1), os.urandom(70_000)]
    paths = []
    for n, content in enumerate(contents):
        paths.append(folder / f"{n}")
        paths[-1].write_bytes(content)
    alone = LocalObjectStore(tmp_path / "alone", SystemClock())
    damaged = alone.put_bytes(contents[0])
    with Helper(prepare) as helper:
        helped = LocalObjectStore(tmp_path / "helped", SystemClock(), helper=helper)
        assert helped.put_bytes(contents[0]) == damaged
        lying = helped.place_of(damaged.digest)
        assert lying is not None
        lying.chmod(0o600)
        lying.write_bytes(b"?" * len(contents[0]))
        told: list[int] = []
        found = helped.put_files(paths, progress=lambda n_files, _bytes: told.append(n_files))
        size = stored_bytes(tmp_path / "helped")
        again = helped.put_files(paths)
    assert found == again == alone.put_files(paths)
    assert sum(told) == len(contents)
    assert stored_bytes(tmp_path / "helped") == size
    for info, content in zip(found, contents, strict=True):
        assert helped.get(info.digest, limit_bytes=LARGE_BYTES * 2) == content


def test_what_a_helper_cannot_do_is_told(tmp_path: Path) -> None:
    """What its function raises is raised where the answer is taken, and its death is an error, not an endless wait."""
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with Helper(prepare) as helper:
        assert not helper.ask(["x" * 2_000_000])
        assert [helper.ask([str(tmp_path / "link")]) for _ in range(AHEAD + 1)] == [True] * AHEAD + [False]
        with pytest.raises(SourceUnusable, match="symbolic link"):
            helper.take()
    with Helper(lambda _: os.kill(os.getpid(), signal.SIGKILL)) as helper:
        assert helper.ask("end")
        with pytest.raises(Failed, match="was killed"):
            helper.take()


def test_answers_of_any_size_come_whole() -> None:
    """What an answer wraps is what it was, however much of it there is and however many answers wait."""

    def answer(sizes: list[int]) -> tuple[str, list[object]]:
        return "known", [pickle.PickleBuffer(bytes([len(sizes)]) * size) for size in sizes]

    asked = [[0], [1, 70_000, 3], [3_000_000], [600_000] * 4, [], [2_097_152], [5] * 40] * 3
    with Helper(answer) as helper:
        waiting = list(asked)
        for sizes in asked:
            while waiting and helper.ask(waiting[0]):
                waiting.pop(0)
            assert helper.take() == ("known", [bytes([len(sizes)]) * size for size in sizes])
    assert not waiting


def test_a_checkout_with_a_helper_writes_the_same(tmp_path: Path) -> None:
    """With a helper, a tree is written file by file as it was, told with what each file is, and damage is named."""
    source = tmp_path / "source"
    for n in range(300):
        folder = source / f"d{n % 7}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{n}").write_bytes(f"{n // 2}".encode() * 50)
        (folder / f"{n}").chmod(0o755 if n % 3 == 0 else 0o644)
    (source / "large").write_bytes(os.urandom(LARGE_BYTES + 1))
    with Helper(Restoring()) as helper:
        store = LocalObjectStore(tmp_path / "objects", SystemClock())
        tree = put_tree(store, source)
        written: dict[str, Moment] = {}
        told: list[int] = []
        checkout(
            store,
            tree.digest,
            tmp_path / "target",
            helper=helper,
            written=written,
            progress=lambda n, _: told.append(n),
        )
        assert sum(told) == len(written) == 301
        for path, moment in written.items():
            assert Moment.of((tmp_path / "target" / path).stat(), named=True) == moment
        assert put_tree(store, tmp_path / "target") == tree
        for pack in (tmp_path / "objects" / "packs").rglob("*.pack"):
            pack.chmod(0o600)
            with pack.open("r+b") as file:
                file.seek(100)
                file.write(b"?" * 400)
        with pytest.raises(ObjectCorrupt):
            checkout(store, tree.digest, tmp_path / "other", helper=helper)


def test_a_tree_that_is_not_whole_leaves_nothing(tmp_path: Path) -> None:
    """A file that is missed only while others are written is named, and what was written of the tree is removed."""
    source = tmp_path / "source"
    source.mkdir()
    for n in range(600):
        (source / f"{n:03}").write_bytes(f"{n}".encode() * 50)
    with Helper(Restoring()) as helper:
        store = LocalObjectStore(tmp_path / "objects", SystemClock())
        whole = put_tree(store, source)
        entries = read_manifest(store, whole.digest).entries
        gone = msgspec.structs.replace(entries[-2], digest="blake3:" + "0" * 64)
        tree = put_manifest(store, make_manifest([*entries[:-2], gone, entries[-1]]))
        with pytest.raises(ObjectNotFound, match="needs for `598`"):
            checkout(store, tree.digest, tmp_path / "target", helper=helper)
        assert list((tmp_path / "target").iterdir()) == []
        (tmp_path / "target" / "000").write_bytes(b"mine")
        with pytest.raises(ObjectNotFound, match="needs for `598`"):
            checkout(store, tree.digest, tmp_path / "target", helper=helper, overwrite=True)
        assert (tmp_path / "target" / "000").read_bytes() == b"mine"
