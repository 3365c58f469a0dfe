"""Data whose disk is full, or that changes while it is added: said, nothing half-done, and done when it can be."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from noria.cli.main import main
from noria.core.config import load_settings
from noria.data.trees.following import Source, plan_checkouts, run_checkout
from support.disks import tiny_disk

Run = Callable[..., tuple[int, str]]
MEBIBYTE = 1 << 20


@pytest.fixture
def noria(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Give what runs a command in a project of its own, and gives its exit code with what it wrote."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "noria.toml").write_text('[workspace]\nurl = "w"\n')
    monkeypatch.chdir(project)

    def run(*arguments: str) -> tuple[int, str]:
        code = main([*arguments])
        written = capsys.readouterr()
        return code, written.out + written.err

    return run


def names(noria: Run) -> list[str]:
    _, written = noria("data", "list", "--json")
    return [item["name"] for item in json.loads(written)["items"]]


def fill(folder: str, **sizes: int) -> None:
    Path(folder).mkdir(exist_ok=True)
    for name, size in sizes.items():
        Path(folder, name).write_bytes(os.urandom(size))


@contextmanager
def always_growing(path: Path) -> Iterator[None]:
    """Have another process write to a file all the time."""
    writing = subprocess.Popen(["/bin/sh", "-c", 'while :; do printf more; done >> "$0"', str(path)])
    before = path.stat().st_size
    while path.stat().st_size == before:
        assert writing.poll() is None
    try:
        yield
    finally:
        writing.kill()
        writing.wait()


def test_data_for_which_there_is_no_room_is_not_added(
    noria: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is named, nothing is a version, all verifies; with room made, the same command does it."""
    fill("data", a=100, big=3 * MEBIBYTE)
    with tiny_disk(tmp_path / "tiny", "size=2m") as disk:
        monkeypatch.setenv("NORIA_OBJECTS", str(disk / "objects"))
        code, said = noria("data", "add", "data")
        none = names(noria)
        healthy, _ = noria("objects", "verify")
        fill("data", big=MEBIBYTE // 2)
        again, _ = noria("data", "add", "data")

        assert (code, none, healthy, again) == (1, [], 0, 0)
        assert str(disk) in said
        assert "room" in said.lower()
        assert names(noria) == ["data"]


def test_a_push_for_which_there_is_no_room_tells_no_version(noria: Run, tmp_path: Path) -> None:
    """What the remote lists can be brought; a push goes on when there is room."""
    fill("data", big=3 * MEBIBYTE)
    noria("data", "add", "data")
    with tiny_disk(tmp_path / "tiny", "size=2m") as disk:
        noria("data", "remote", "add", "safe", str(disk / "remote"))
        code, said = noria("data", "push")
        _, listed = noria("data", "pull", "--list", "--json")
        fill("data", big=MEBIBYTE // 2)
        noria("data", "add", "data")
        again, _ = noria("data", "push", "data@2")

    assert (code, again) == (1, 0)
    assert str(disk) in said
    assert "data" not in listed


def test_a_file_that_never_stands_still_is_not_added(noria: Run) -> None:
    """It is named after a few attempts; a file that stands still again is added as it is then."""
    fill("data", a=100, log=32 * MEBIBYTE)
    with always_growing(Path("data/log")):
        code, said = noria("data", "add", "data")
        none = names(noria)
    again, _ = noria("data", "add", "data")
    _, status = noria("data", "status", "--json")

    assert (code, none, again) == (1, [], 0)
    assert "log` changed while it was read" in said
    assert json.loads(status)[0]["state"] == "clean"


@pytest.mark.parametrize("same_size", [True, False])
def test_what_somebody_writes_during_a_checkout_is_not_lost(noria: Run, same_size: bool) -> None:
    """A file that was edited as soon as it was there is a changed one, and the next checkout does not replace it."""
    fill("data", a=1000, b=1000)
    olds = [path.read_bytes() for path in Path("data").iterdir()]
    noria("data", "add", "data")
    fill("data", a=1000, b=1000)
    noria("data", "add", "data")
    mine = b"m" * (1000 if same_size else 7)
    edited: list[Path] = []

    def edit(_files: int, _bytes: int) -> None:
        time.sleep(0.02)  # the times of a file go in ticks of some milliseconds
        if not edited:
            edited.extend(path for path in Path("data").iterdir() if path.read_bytes() in olds)
            edited[0].write_bytes(mine)
        time.sleep(0.15)  # what changed just before the end is read again anyway

    with Source(load_settings()) as source:
        [plan] = plan_checkouts(source, "data@1", Path("data"))
        run_checkout(source, plan, overwrite=False, progress=edit)
    _, status = noria("data", "status", "--json")
    code, said = noria("data", "checkout", "data@2", "data")

    assert json.loads(status)[0]["state"] == "changed"
    assert code == 1
    assert "would lose" in said
    assert edited[0].read_bytes() == mine
