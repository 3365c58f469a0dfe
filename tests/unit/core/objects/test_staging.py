"""A tree is put together out of sight, and appears when all of it is there."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest

from noria.core.clock import SystemClock
from noria.core.objects.checkouts import checkout
from noria.core.objects.local import LocalObjectStore
from noria.core.objects.staging import begin_stage
from noria.core.objects.store import ObjectCorrupt, Progress
from noria.core.objects.targets import TargetBlocked
from noria.core.objects.trees import TreeInfo, put_tree

_bytes = random.Random(3).randbytes
CONTENTS = {
    "top": _bytes(5000),
    "a/b/one": _bytes(3000),
    "a/two": _bytes(4000),
    "c/three": b"",
    "c/run": b"#!x",
}


@pytest.fixture
def store(tmp_path: Path) -> LocalObjectStore:
    """Give an empty store."""
    return LocalObjectStore(tmp_path / "objects", SystemClock())


@pytest.fixture
def tree(store: LocalObjectStore, tmp_path: Path) -> TreeInfo:
    """Store a tree with files at the top and below, and an empty folder."""
    for path, data in CONTENTS.items():
        place = tmp_path / "source" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    (tmp_path / "source" / "empty" / "deep").mkdir(parents=True)
    return put_tree(store, tmp_path / "source")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Name the folder to write to."""
    return tmp_path / "target"


def everything(folder: Path) -> dict[str, bytes]:
    """Give all files, hidden ones too, by their paths."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def killed(store: LocalObjectStore, tree: TreeInfo, target: Path, *, after: int) -> None:
    """Check out in a process that is killed when it has written some files."""
    pid = os.fork()
    if pid == 0:
        try:
            checkout(store, tree.digest, target, progress=_killing(after))
        finally:
            os._exit(1)
    assert os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def _killing(after: int) -> Progress:
    left = [after]

    def tell(_files: int, _bytes: int) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return tell


@pytest.mark.parametrize("after", [1, 3, len(CONTENTS)])
def test_a_killed_checkout_shows_nothing_and_the_next_goes_on(
    store: LocalObjectStore, tree: TreeInfo, target: Path, after: int
) -> None:
    """No file has its place until all are there; those that were written are not written again."""
    killed(store, tree, target, after=after)
    [stage] = target.iterdir()
    before = everything(stage)
    inodes = {path: (stage / path).stat().st_ino for path in before}
    told: list[int] = []
    checkout(store, tree.digest, target, progress=lambda n_files, _: told.append(n_files))

    assert len(before) == after
    assert stage.name.startswith(".noria-")
    assert sum(told) == len(CONTENTS) - after
    assert everything(target) == CONTENTS
    assert put_tree(store, target) == tree
    assert {path: (target / path).stat().st_ino for path in before} == inodes
    assert not stage.exists()


def test_a_file_that_was_being_written_is_written_again(
    store: LocalObjectStore, tree: TreeInfo, target: Path
) -> None:
    """Half of one is not taken for the file."""
    killed(store, tree, target, after=3)
    [stage] = target.iterdir()
    torn = stage / next(iter(everything(stage)))
    torn.write_bytes(torn.read_bytes()[:-1])
    checkout(store, tree.digest, target)

    assert everything(target) == CONTENTS


def test_what_was_left_of_another_tree_goes(store: LocalObjectStore, tree: TreeInfo, target: Path) -> None:
    """Nothing is left of a checkout that nobody will go on with, be the target empty or not."""
    killed(store, tree, target, after=2)
    (target.parent / "source" / "top").write_bytes(b"other")
    other = put_tree(store, target.parent / "source")
    checkout(store, other.digest, target)
    killed(store, tree, target.parent / "again", after=2)
    (target.parent / "again" / "mine").write_bytes(b"mine")
    checkout(store, tree.digest, target.parent / "again")

    assert everything(target) == {**CONTENTS, "top": b"other"}
    assert everything(target.parent / "again") == {**CONTENTS, "mine": b"mine"}


def test_two_checkouts_do_not_meet_on_a_stage(store: LocalObjectStore, tree: TreeInfo, target: Path) -> None:
    """While another process is at it, files get their places one by one, and its stage stays."""
    held = begin_stage(target, tree.digest)
    assert held is not None
    assert begin_stage(target, tree.digest) is None
    checkout(store, tree.digest, target)

    assert everything(target) == CONTENTS
    assert held.path.is_dir()
    held.remove()
    assert not held.path.exists()


def test_what_came_meanwhile_is_not_replaced(store: LocalObjectStore, tree: TreeInfo, target: Path) -> None:
    """A file of one of the names at the top, made while the tree was put together, stays as it is."""

    def meddle(_files: int, _bytes: int) -> None:
        (target / "top").write_bytes(b"mine")

    with pytest.raises(TargetBlocked, match="top"):
        checkout(store, tree.digest, target, progress=meddle)
    assert (target / "top").read_bytes() == b"mine"
    assert not list(target.glob(".noria-*"))


def test_damage_shows_what_is_whole(store: LocalObjectStore, tree: TreeInfo, target: Path) -> None:
    """The files that were written before the damaged one was read stay, each of them whole, and no stage does."""
    killed(store, tree, target, after=1)
    [pack] = (pack for pack in store.root.rglob("*.pack") if pack.stat().st_size > 5000)
    pack.chmod(0o600)
    with pack.open("r+b") as file:
        file.seek(pack.read_bytes().index(CONTENTS["a/two"]))
        file.write(bytes(64))

    with pytest.raises(ObjectCorrupt):
        checkout(store, tree.digest, target)
    there = everything(target)
    assert there
    assert there.items() < CONTENTS.items()
    assert "a/two" not in there
    assert not list(target.glob(".noria-*"))


def test_a_stage_dies_with_its_process(tmp_path: Path) -> None:
    """The lock is of the process: whoever comes next takes the stage over."""
    held = begin_stage(tmp_path, "blake3:" + "0" * 64)
    assert held is not None
    held.close()
    again = begin_stage(tmp_path, "blake3:" + "0" * 64)

    assert again is not None
    assert again.path == held.path
    again.remove()
