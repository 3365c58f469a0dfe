"""Files that a step opens, as far as Python tells."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from noria.pipelines.entities import ReadFile
from noria.pipelines.paths import digest_of_path
from noria.pipelines.recording import still_as_read, watching_files


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a folder with a file in it."""
    (tmp_path / "in.txt").write_text("1 2")
    (tmp_path / "sub").mkdir()
    return tmp_path


def _copy(root: Path) -> None:
    shutil.copy(root / "in.txt", root / "copy.txt")


def _write_then_read(root: Path) -> None:
    (root / "new.txt").write_text("x")
    (root / "new.txt").read_text()


def _write_elsewhere_then_rename(root: Path) -> None:
    (root / "draft").write_text("x")
    (root / "draft").rename(root / "final")
    (root / "final").read_text()


def _low_level(root: Path) -> None:
    os.close(os.open(root / "in.txt", os.O_RDONLY))


@pytest.mark.parametrize(
    ("act", "found"),
    [
        (lambda root: (root / "in.txt").read_text(), ["in.txt"]),
        (lambda root: (root / "in.txt").read_bytes(), ["in.txt"]),
        (lambda root: np.loadtxt(root / "in.txt"), ["in.txt"]),
        (lambda root: np.loadtxt(root / "sub" / ".." / "in.txt"), ["in.txt"]),
        (_low_level, ["in.txt"]),
        (_copy, ["in.txt"]),
        (_write_then_read, []),
        (_write_elsewhere_then_rename, []),
        (lambda root: (root / "out.txt").write_text("x"), []),
        (lambda root: list(root.iterdir()), []),
        (lambda _: Path(np.__file__).read_text(), []),
        (lambda _: Path(os.__file__).read_text(), []),
        (lambda _: Path("/proc/self/status").exists() and Path("/proc/self/status").read_text(), []),
    ],
)
def test_files_that_are_read_are_noted(root: Path, act: Callable[[Path], object], found: list[str]) -> None:
    """Reading is noted by path below the root; writing, one's own files, libraries and the system are not."""
    with watching_files([]) as files:
        act(root)

    assert [file.path for file in files.found(root)] == found


def test_what_belongs_to_somebody_is_left_out(root: Path) -> None:
    """A declared file, and files below a declared folder, are not noted again."""
    (root / "sub" / "x.txt").write_text("x")
    with watching_files([root / "in.txt", root / "sub"]) as files:
        (root / "in.txt").read_text()
        (root / "sub" / "x.txt").read_text()

    assert files.found(root) == []


def test_nothing_is_noted_outside_of_the_block_or_in_other_threads(root: Path) -> None:
    """Only the thread that runs the step is watched, and only while it does."""
    with watching_files([]) as files:
        thread = threading.Thread(target=(root / "in.txt").read_text)
        thread.start()
        thread.join()
    (root / "in.txt").read_text()

    assert files.found(root) == []


def test_a_change_is_seen(root: Path) -> None:
    """A file is as it was read until its content changes or it is gone."""
    read = [ReadFile(path="in.txt", digest=digest_of_path(root / "in.txt"))]
    before = still_as_read(read, root)
    (root / "in.txt").write_text("2")
    changed = still_as_read(read, root)
    (root / "in.txt").unlink()

    assert before is None
    assert changed == "in.txt"
    assert still_as_read(read, root) == "in.txt"


def test_files_outside_of_the_root_have_whole_paths(root: Path) -> None:
    """A file elsewhere on the machine is noted by its absolute path."""
    with watching_files([]) as files:
        (root / "in.txt").read_text()
    (found,) = files.found(root / "sub")

    assert found.path == str(Path(os.path.realpath(root)) / "in.txt")
