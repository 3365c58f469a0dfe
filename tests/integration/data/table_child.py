"""What the tests of tables start and kill: writers of one table, and a driver that dies at each instant of a change."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType

import polars as pl

from noria.core.config import load_settings
from noria.core.workspace import open_workspace
from noria.data.client import DatasetHandle, dataset
from noria.data.delta import table, versions  # noqa: F401 - imported before a fork, so that each child need not

WRITES = {"open", "write", "rename", "replace", "link", "unlink", "mkdir", "fsync", "create_write_transaction",
          "create_checkpoint", "commit"}  # fmt: skip
"""Called in C: what changes a disk, a log or a database."""
STEPS = {"put", "commit", "add", "_publish", "_put_log_file", "put_manifest"}
"""Our own functions at whose beginning and end a child is killed too."""


def say(text: str) -> None:
    """Write a line in one go, so that a killed process never leaves half of one."""
    os.write(1, f"{text}\n".encode())


def write(folder: str, writer: int, n_batches: int) -> None:
    """Append batches of three rows that name writer and batch, and say each version after it was made."""
    tempfile.tempdir = str(Path(folder).parent)
    with open_workspace(load_settings(workspace=folder), send_left=False) as workspace:
        numbers = range(n_batches) if n_batches else itertools.count()
        for n in numbers:
            rows = pl.DataFrame({"writer": [writer] * 3, "batch": [n] * 3, "row": [0, 1, 2]})
            added = dataset("t", workspace=workspace).append(rows)
            say(f"{added.version} {n}")


def change(handle: DatasetHandle) -> None:
    """Change a table by each kind of change."""
    handle.append({"k": [100], "v": [1.0]})
    handle.merge({"k": [1, 200], "v": [-1.0, 2.0]}, on="k")
    handle.delete("k = 2")


def look(handle: DatasetHandle) -> int:
    """Look that the table is as it was after some whole change, and give after which."""
    before = {k: float(k) for k in range(5)}
    states = [before, before | {100: 1.0}]
    states.append(states[-1] | {1: -1.0, 200: 2.0})
    states.append({k: v for k, v in states[-1].items() if k != 2})
    found = dict(handle.polars().rows())
    assert found in states, found
    assert handle.current.n_rows == len(found)
    return states.index(found)


def die_at_instants(stride: int) -> list[int]:
    """Change a table over and over, killed at its first instant, at a later one, and so on to the end.

    Returns
    -------
    list of int
        After how many changes each child died.
    """
    reached = []
    with tempfile.TemporaryDirectory() as place:
        made = Path(place) / "made"
        _in_child(partial(_make, made), None)
        for at in itertools.count(1, stride):
            folder = Path(place) / f"{at}"
            shutil.copytree(made, folder)
            died = _in_child(partial(_work, folder), at)
            assert not _in_child(partial(_check, folder), None)
            reached.append(int((folder / "answer").read_text()))
            shutil.rmtree(folder)
            if not died:
                return reached
    raise AssertionError


def _make(folder: Path) -> None:
    with open_workspace(load_settings(workspace=str(folder)), send_left=False) as workspace:
        dataset("t", workspace=workspace).append({"k": range(5), "v": [float(k) for k in range(5)]})


def _work(folder: Path) -> None:
    tempfile.tempdir = str(folder)  # what a killed child leaves goes with the test
    with open_workspace(load_settings(workspace=str(folder)), send_left=False) as workspace:
        change(dataset("t", workspace=workspace))


def _check(folder: Path) -> None:
    """Look at the table, at each version, and that it can be changed again; the dead writer is in nobody's way."""
    with open_workspace(load_settings(workspace=str(folder)), send_left=False) as workspace:
        handle = dataset("t", workspace=workspace)
        done = look(handle)
        for version in handle.log():
            rows = dataset(version.ref, workspace=workspace).polars()
            assert rows.height == version.n_rows
        before = handle.current.version
        added = handle.append({"k": [999], "v": [0.0]})
        assert added.version == before + 1
        assert handle.polars()["k"].to_list()[-1] == 999
    (folder / "answer").write_text(str(done))


def _in_child(do: Callable[[], object], at: int | None) -> bool:
    """Do it in a forked child, killed before its call number `at`; tell whether it was killed."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if at is not None:
                _kill_at(at)
            do()
            sys.setprofile(None)
            code = 0
        finally:
            if code:
                import traceback

                traceback.print_exc()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


def _kill_at(at: int) -> None:
    n_calls = itertools.count(1)

    def profile(frame: FrameType, event: str, called: object) -> None:
        if event == "c_call":
            counts = getattr(called, "__name__", "") in WRITES
        else:
            code = frame.f_code
            counts = event in {"call", "return"} and code.co_name in STEPS and "noria" in code.co_filename
        if counts and next(n_calls) == at:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(profile)


def main() -> None:
    """Play the part that the command line names."""
    part, *rest = sys.argv[1:]
    if part == "write":
        write(rest[0], int(rest[1]), int(rest[2]))
    else:
        say(json.dumps(die_at_instants(int(rest[0]))))


if __name__ == "__main__":
    main()
