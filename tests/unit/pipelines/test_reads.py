"""What a step reads beside its arguments, as far as Python tells: files, folders, the environment."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from noria.pipelines.reads import still_as_read, watching_reads


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a folder with a file in it."""
    (tmp_path / "in.txt").write_text("1 2")
    (tmp_path / "in.py").write_text("")
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


def _by_a_program(root: Path) -> None:
    subprocess.run([sys.executable, "-S", "-c", "", str(root / "in.txt")], check=True)


def _by_a_database(root: Path) -> None:
    sqlite3.connect(f"{root / 'in.txt'}").close()


def _open_missing(root: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        (root / "none.txt").read_text()


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
        (lambda root: (root / "in.py").read_text(), ["in.py"]),
        (_by_a_program, ["in.txt"]),
        (_by_a_database, ["in.txt"]),
        (lambda root: list(root.iterdir()), ["./"]),
        (lambda root: list(root.glob("s*/*")), ["./", "sub/"]),
        (lambda root: os.listdir(root / "sub"), ["sub/"]),  # noqa: PTH208
        (_open_missing, ["none.txt"]),
        (lambda _: importlib.import_module("colorsys"), []),
        (lambda _: Path(np.__file__).read_text(), []),
        (lambda _: Path(os.__file__).read_text(), []),
        (lambda _: Path("/proc/self/status").exists() and Path("/proc/self/status").read_text(), []),
    ],
)
def test_files_that_are_read_are_noted(root: Path, act: Callable[[Path], object], found: list[str]) -> None:
    """Reading is noted by path below the root; writing, one's own files, libraries and the system are not."""
    with watching_reads([]) as files:
        act(root)

    assert [file.path for file in files.found(root)] == found


def test_what_belongs_to_somebody_is_left_out(root: Path) -> None:
    """A declared file, and files below a declared folder, are not noted again."""
    (root / "sub" / "x.txt").write_text("x")
    with watching_reads([root / "in.txt", root / "sub"]) as files:
        (root / "in.txt").read_text()
        (root / "sub" / "x.txt").read_text()

    assert files.found(root) == []


def test_threads_of_a_step_are_watched_and_nothing_after_it(root: Path) -> None:
    """What the threads of a step read is noted, and nothing once it is over."""
    with watching_reads([]) as files:
        thread = threading.Thread(target=(root / "in.txt").read_text)
        thread.start()
        thread.join()
    (root / "in.py").read_text()

    assert [file.path for file in files.found(root)] == ["in.txt"]


def test_a_change_is_seen(root: Path) -> None:
    """What was read is as it was until it changes, appears or goes; whoever changes it back has it again."""
    with watching_reads([]) as files:
        (root / "in.txt").read_text()
        _open_missing(root)
        list((root / "sub").iterdir())
    read = files.found(root)

    assert still_as_read(read, root) is None
    (root / "in.txt").write_text("2")
    assert still_as_read(read, root) == "the file `in.txt`, which it read,"
    (root / "in.txt").write_text("1 2")
    (root / "none.txt").write_text("")
    assert still_as_read(read, root) == "the file `none.txt`, which it read,"
    (root / "none.txt").unlink()
    (root / "sub" / "more").write_text("")
    assert still_as_read(read, root) == "what lies in `sub/`, which it listed,"
    shutil.rmtree(root / "sub")
    assert still_as_read(read, root) == "what lies in `sub/`, which it listed,"


def test_a_file_that_a_step_reads_and_then_changes_is_never_as_it_was(root: Path) -> None:
    """A counter in a file makes the step run again."""
    with watching_reads([]) as files:
        counted = len((root / "in.txt").read_text())
        (root / "in.txt").write_text("1" * (counted + 1))

    assert still_as_read(files.found(root), root) == "the file `in.txt`, which it read,"


def test_variables_that_are_asked_for_are_noted_by_whatever_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is put together counts, one that is not set too; and all of them if all are asked for."""
    monkeypatch.setenv("NORIA_TEST", "1")
    root = Path()
    with watching_reads([]) as some:
        assert os.environ["_".join(["NORIA", "TEST"])] == "1"
        assert os.getenv("NORIA_" + "NONE") is None
        os.path.expandvars("$NORIA_TEST")
    with watching_reads([]) as every:
        dict(os.environ)

    assert [one.path for one in some.found(root)] == ["$NORIA_NONE", "$NORIA_TEST"]
    assert "$*" in [one.path for one in every.found(root)]
    assert still_as_read(some.found(root), root) is None
    monkeypatch.setenv("NORIA_TEST", "2")
    assert still_as_read(some.found(root), root) == "the variable `NORIA_TEST` of the environment"
    assert still_as_read(every.found(root), root) == "the environment, which it read as a whole,"


def test_files_outside_of_the_root_have_whole_paths(root: Path) -> None:
    """A file elsewhere on the machine is noted by its absolute path."""
    with watching_reads([]) as files:
        (root / "in.txt").read_text()
    (found,) = files.found(root / "sub")

    assert found.path == str(Path(os.path.realpath(root)) / "in.txt")
