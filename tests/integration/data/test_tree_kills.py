"""A checkout or a push that is killed: every file is whole, nothing is left running, and it can be done again."""

from __future__ import annotations

import contextlib
import functools
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from noria.cli.main import main
from support.waiting import wait_until

N_FILES = 200
FILE_BYTES = 9_000


@functools.cache
def content(name: str, version: int) -> bytes:
    """Give the bytes of a file in a version; a third of them are the same in both."""
    seed = f"{name}@{version if int(name) % 3 else 1}"
    return random.Random(seed).randbytes(FILE_BYTES)


def fill(folder: Path, version: int) -> None:
    """Make a folder equal to a version."""
    for n in range(N_FILES):
        path = folder / f"d{n % 7}" / str(n)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(path.name, version))


def files_of(folder: Path) -> dict[str, bytes]:
    """Read a folder, but for what a killed checkout left unfinished."""
    return {
        path.name: path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".noria-")
    }


@pytest.mark.parametrize(
    "n_rounds", [1, pytest.param(30, marks=(pytest.mark.soak, pytest.mark.timeout(900)))]
)
def test_a_checkout_killed_at_any_instant_leaves_whole_files_and_is_done_by_the_next(
    n_rounds: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    noria_command: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In turn the command is killed and its helper, which ends with it and is missed when it is gone."""
    (tmp_path / "noria.toml").write_text('[workspace]\nurl = "w"\n')
    monkeypatch.chdir(tmp_path)
    target = tmp_path / "data"
    for version in (1, 2):
        fill(target, version)
        assert main(["data", "add", "data"]) == 0
    version, random_ = 2, random.Random(5)
    for number in range(2 * n_rounds):
        version = 3 - version
        _kill_in_between(
            noria_command, target, version, helper=bool(number % 2), after=random_.randint(1, 120)
        )
        between = files_of(target)
        assert between.keys() == set(map(str, range(N_FILES)))
        torn = [n for n, data in between.items() if data not in (content(n, 1), content(n, 2))]
        assert torn == []
        assert main(["data", "checkout", f"data@{version}"]) == 0
        assert files_of(target) == {name: content(name, version) for name in between}
        capsys.readouterr()
        assert main(["data", "status", "data"]) == 0
        assert "clean" in capsys.readouterr().out
    assert main(["objects", "verify"]) == 0


@pytest.mark.parametrize(
    "n_rounds", [6, pytest.param(60, marks=(pytest.mark.soak, pytest.mark.timeout(900)))]
)
def test_a_push_killed_at_any_instant_is_finished_by_the_next(
    n_rounds: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    noria_command: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What the remote then tells of can be pulled whole; the next push sends the rest, and nobody's files are left."""
    (tmp_path / "noria.toml").write_text('[workspace]\nurl = "w"\n')
    monkeypatch.chdir(tmp_path)
    n_versions, random_ = 5, random.Random(7)
    for version in range(1, n_versions + 1):
        # Of the large file, packs are made for the remote alone; those of small ones are sent as they are.
        fill(tmp_path / "data", 1 + version % 2)
        (tmp_path / "data" / "large").write_bytes(random_.randbytes(3_000_000))
        (tmp_path / "data" / f"new{version}").write_bytes(random_.randbytes(5_000))
        assert main(["data", "add", "data"]) == 0
    wanted = {path.name: path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()}
    began = time.monotonic()
    assert main(["data", "remote", "add", "whole", str(tmp_path / "whole")]) == 0
    subprocess.run([*noria_command, "data", "push", "-r", "whole"], check=True, stderr=subprocess.DEVNULL)
    whole_s = time.monotonic() - began
    for number in range(n_rounds):
        place = tmp_path / f"remote{number}"
        assert main(["data", "remote", "add", place.name, str(place)]) == 0
        process = subprocess.Popen(
            [*noria_command, "data", "push", "-r", place.name],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(random_.uniform(0, whole_s))
        process.kill()
        process.wait(60)
        _pull_all(tmp_path / f"early{number}", place, among=n_versions)
        assert main(["data", "push", "-r", place.name]) == 0
        assert _pull_all(tmp_path / f"late{number}", place, among=n_versions) == n_versions
        out = tmp_path / f"out{number}"
        assert main(["data", "checkout", "data", str(out), "-w", str(tmp_path / f"late{number}")]) == 0
        assert files_of(out) == wanted
        capsys.readouterr()
    assert main(["objects", "verify"]) == 0


def _pull_all(workspace: Path, remote: Path, *, among: int) -> int:
    """Pull what a remote tells of into a new workspace, see that it is whole, and give the number of versions."""
    where = ["-w", str(workspace)]
    assert main(["data", "remote", "add", "r", str(remote), *where]) == 0
    there = sorted((remote / "datasets").rglob("[0-9]*.json"))
    assert len(there) <= among
    if there:
        assert main(["data", "pull", "-r", "r", *where]) == 0
        assert main(["objects", "verify", *where]) == 0
    return len(there)


def _kill_in_between(
    command: tuple[str, ...], target: Path, version: int, *, helper: bool, after: int
) -> None:
    """Begin a checkout and kill one of its processes once some files were written, or later."""
    begun = {path: path.stat().st_ino for path in target.rglob("*") if path.is_file()}
    process = subprocess.Popen(
        [*command, "data", "checkout", f"data@{version}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def is_far_enough() -> bool:
        new = sum(1 for path, inode in begun.items() if path.stat().st_ino != inode)
        return new >= after or process.poll() is not None

    wait_until(is_far_enough, 60)
    family = [] if process.poll() is not None else psutil.Process(process.pid).children()
    victim = family[0].pid if helper and family else process.pid
    if process.poll() is None:
        os.kill(victim, signal.SIGKILL)
    process.wait(60)
    wait_until(lambda: not any(_lives(each) for each in family), 60)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
