"""The workspace key."""

from __future__ import annotations

import base64
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from noria.core.errors import Forbidden
from noria.core.key import KEY_FILE, ensure_key, read_key


def test_a_key_is_made_once(tmp_path: Path) -> None:
    """32 random bytes in a file that only its owner may read; the next caller reads the same."""
    folder = tmp_path / "workspace"
    key = ensure_key(folder)

    assert len(base64.urlsafe_b64decode(key + "=")) == 32
    assert stat.S_IMODE((folder / KEY_FILE).stat().st_mode) == 0o600
    assert ensure_key(folder) == key == read_key(folder)
    assert [path.name for path in folder.iterdir()] == [KEY_FILE]


def test_two_workspaces_have_two_keys(tmp_path: Path) -> None:
    """Keys are random."""
    assert ensure_key(tmp_path / "a") != ensure_key(tmp_path / "b")


def test_without_a_key_there_is_none_to_read(tmp_path: Path) -> None:
    """Reading makes nothing."""
    assert read_key(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644])
def test_a_key_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    """It proves nothing; the hint has the command that mends it."""
    ensure_key(tmp_path)
    (tmp_path / KEY_FILE).chmod(mode)
    with pytest.raises(Forbidden, match="can be read by others") as caught:
        read_key(tmp_path)

    assert f"chmod 600 {tmp_path / KEY_FILE}" in str(caught.value.hint)
    with pytest.raises(Forbidden):
        ensure_key(tmp_path)


def test_an_empty_key_is_refused(tmp_path: Path) -> None:
    """Otherwise whoever sends nothing would hold it."""
    (tmp_path / KEY_FILE).touch(mode=0o600)
    with pytest.raises(Forbidden, match="is empty"):
        read_key(tmp_path)


def test_threads_that_start_at_once_agree(tmp_path: Path) -> None:
    """The first one's key stays; nobody reads a half-written one; no draft is left."""
    found: list[str] = []
    barrier = threading.Barrier(16)

    def make() -> None:
        barrier.wait()
        found.append(ensure_key(tmp_path))

    threads = [threading.Thread(target=make) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 16
    assert set(found) == {read_key(tmp_path)}
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    """The same between processes."""
    program = (
        "import pathlib, sys; from noria.core.key import ensure_key; "
        "sys.stdin.read(); print(ensure_key(pathlib.Path(sys.argv[1])))"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in started:  # they wait for the end of their input, which lets them go together
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    printed = {process.communicate(timeout=60)[0].strip() for process in started}

    assert printed == {read_key(tmp_path)}
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]
