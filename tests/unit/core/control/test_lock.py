from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from noria._version import __version__
from noria.core.control.lock import WorkspaceLock, read_server_info
from noria.core.errors import Locked
from support.processes import Processes
from support.waiting import wait_until

HOLDER = """
import os, pathlib, subprocess, sys, time
from noria.core.control.lock import WorkspaceLock
lock = WorkspaceLock(pathlib.Path(sys.argv[1]))
lock.acquire()
lock.publish("http://127.0.0.1:8123")
EXTRA
print("held", flush=True)
time.sleep(600)
"""
LOOKER = """
import fcntl, sys
print("looking", flush=True)
while True:
    with open(sys.argv[1]) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
"""
# The child speaks first: until it has run its first line, it may still share what it lets go of.
FORK = """
heard, said = os.pipe()
child = os.fork()
if child == 0:
    os.write(said, b".")
    time.sleep(600)
os.read(heard, 1)
print('child', child, flush=True)"""
SPAWN = "child = subprocess.Popen(['sleep', '600'])\nprint('child', child.pid, flush=True)"


def test_the_holder_tells_where_it_answers(tmp_path: Path) -> None:
    """The note beside the lock has process, host, address and version, is private, and goes with the lock."""
    lock = WorkspaceLock(tmp_path)
    lock.acquire()
    before = read_server_info(tmp_path)
    published = lock.publish("http://127.0.0.1:8123")
    mode = stat.S_IMODE((tmp_path / "server.json").stat().st_mode)
    read = read_server_info(tmp_path)
    lock.release()

    assert before is None
    assert (published.pid, published.host) == (os.getpid(), socket.gethostname())
    assert (published.url, published.version) == ("http://127.0.0.1:8123", __version__)
    assert read == published
    assert mode == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock"]
    assert read_server_info(tmp_path) is None


def test_a_second_server_is_refused_with_the_mend(tmp_path: Path, processes: Processes) -> None:
    """A folder that another process serves is refused; the message names the process, its address and the mend."""
    holder = _holder(tmp_path, processes)

    with pytest.raises(Locked) as caught:
        WorkspaceLock(tmp_path).acquire()

    error = caught.value
    host = socket.gethostname()
    assert error.message == (
        f"The workspace `{tmp_path}` is held by process `{holder}` on `{host}`, which answers at http://127.0.0.1:8123"
    )
    assert error.hint == f"Use the running server: http://127.0.0.1:8123, or end it: `kill {holder}`"
    assert error.details == {
        "workspace": str(tmp_path),
        "pid": holder,
        "host": host,
        "url": "http://127.0.0.1:8123",
    }


def test_a_server_that_still_starts_is_named_too(tmp_path: Path) -> None:
    """Before it has published its address the holder is named by its process; the same process is refused as well."""
    lock = WorkspaceLock(tmp_path)
    lock.acquire()

    with pytest.raises(Locked, match=rf"is held by process `{os.getpid()}` on `[^`]+`$") as caught:
        WorkspaceLock(tmp_path).acquire()

    assert caught.value.hint == f"Wait until it has started, or end it: `kill {os.getpid()}`"
    lock.release()


@pytest.mark.parametrize("extra", ["", FORK, SPAWN], ids=["alone", "forked", "spawned"])
def test_the_lock_dies_with_its_process(tmp_path: Path, processes: Processes, extra: str) -> None:
    """After `kill -9` of the holder the lock is free, whatever children it leaves, and its note is not believed."""
    holder = _holder(tmp_path, processes, extra)
    assert read_server_info(tmp_path) is not None
    processes.started[-1].kill()
    stale = read_server_info(tmp_path)
    left = json.loads((tmp_path / "server.json").read_text())
    lock = WorkspaceLock(tmp_path)
    lock.acquire()

    assert stale is None
    assert left["pid"] == holder
    assert not (tmp_path / "server.json").exists()
    if extra:
        child = int(processes.started[-1].output().split()[1])
        os.kill(child, signal.SIGKILL)  # it was alive all the time, or this raises
    lock.release()


def test_waiting_takes_the_lock_over(tmp_path: Path) -> None:
    """A server that may wait gets the lock as soon as the holder lets go."""
    first, second, waited = WorkspaceLock(tmp_path), WorkspaceLock(tmp_path), threading.Event()
    first.acquire()

    def wait() -> None:
        second.acquire(timeout_s=60)
        waited.set()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    held_by_second_too_early = waited.is_set()
    first.release()
    thread.join(60)

    assert not held_by_second_too_early
    assert (first.is_held, second.is_held) == (False, True)
    second.release()


def test_a_look_does_not_get_in_the_way_of_a_start(tmp_path: Path) -> None:
    """Clients that keep looking for a server never make a starting one believe that another holds the folder."""
    path = tmp_path / "lock"
    path.touch()
    looker = subprocess.Popen([sys.executable, "-c", LOOKER, str(path)], stdout=subprocess.PIPE)
    try:
        assert looker.stdout is not None
        assert looker.stdout.readline() == b"looking\n"
        for _ in range(500):
            lock = WorkspaceLock(tmp_path)
            lock.acquire()
            lock.release()
    finally:
        looker.kill()
        looker.communicate()


def test_acquiring_and_releasing_twice_is_harmless(tmp_path: Path) -> None:
    """A held lock can be acquired again, and a free one released."""
    lock = WorkspaceLock(tmp_path)
    lock.release()
    lock.acquire()
    lock.acquire()
    lock.release()
    lock.release()

    assert not lock.is_held


def test_a_note_that_cannot_be_read_is_no_server(tmp_path: Path) -> None:
    """A note that is not what a server writes is taken for none."""
    lock = WorkspaceLock(tmp_path)
    lock.acquire()
    (tmp_path / "server.json").write_text('{"pid": "x"', encoding="utf-8")

    assert read_server_info(tmp_path) is None
    lock.release()


def _holder(folder: Path, processes: Processes, extra: str = "") -> int:
    holder = processes.start([sys.executable, "-c", HOLDER.replace("EXTRA", extra), folder], name="holder")
    holder.wait_for_output("held")
    wait_until(lambda: read_server_info(folder) is not None)
    return holder.pid
