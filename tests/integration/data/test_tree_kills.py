"""A checkout that is killed, or whose helper is: every file is whole, nothing is left running, and it can be done."""

from __future__ import annotations

import functools
import os
import random
import signal
import subprocess
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
