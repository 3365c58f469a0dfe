"""File-system failures are named, writes are whole, and locks die with who took them."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import subprocess
from pathlib import Path

import psutil
import pytest

from noria.core.errors import NotFound, StorageFull, Unavailable
from noria.core.objects.disk import FileLock, storage_errors, write_all


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_every_lack_of_room_is_a_full_storage(number: int) -> None:
    """A full disk, a used-up quota and a limit on files are one error, with the place and the system's words."""
    with pytest.raises(StorageFull, match="`place`") as caught, storage_errors(Path("place")):
        raise OSError(number, os.strerror(number))

    assert os.strerror(number) in caught.value.message
    assert caught.value.retryable


def test_other_refusals_name_the_culprit() -> None:
    """Any other refusal of the system names the place and the file."""
    with (
        pytest.raises(Unavailable, match=r"`place` refused: .*denied \(`file`\)"),
        storage_errors(Path("place")),
    ):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), "file")
    with pytest.raises(Unavailable, match="in words only"), storage_errors(Path("place")):
        raise OSError("in words only")


def test_errors_of_this_house_pass() -> None:
    """What is not the system's refusal is not renamed."""
    with pytest.raises(NotFound), storage_errors(Path("place")):
        raise NotFound("x")


def test_a_write_that_is_taken_in_part_is_continued(tmp_path: Path) -> None:
    """Where the system takes only the first part of a write, the rest is tried again and its refusal is seen."""
    data = os.urandom(3000)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    fd = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        with pytest.raises(OSError, match="large"):
            write_all(fd, data)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert (tmp_path / "file").read_bytes() == data[:2000]
    write_all(fd, data[2000:])
    os.close(fd)
    assert (tmp_path / "file").read_bytes() == data


def is_free(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def test_a_lock_is_shared_or_alone(tmp_path: Path) -> None:
    """Sharers hold it together; held in either way it is not free; afterwards it is, also after an error."""
    lock = FileLock(tmp_path / "lock")

    with lock.shared(), lock.shared():
        assert not is_free(tmp_path / "lock")
    with lock.exclusive():
        assert not is_free(tmp_path / "lock")
    with pytest.raises(NotFound), lock.exclusive():
        raise NotFound("x")
    assert is_free(tmp_path / "lock")


def test_a_child_started_meanwhile_does_not_keep_the_lock(tmp_path: Path) -> None:
    """A process that inherited the open lock file holds nothing once its parent let go."""
    path = tmp_path / "lock"
    with FileLock(path).exclusive():
        held = [file.fd for file in psutil.Process().open_files() if file.path == str(path)]
        child = subprocess.Popen(["sleep", "60"], pass_fds=held)
    try:
        assert len(held) == 1
        assert is_free(path)
    finally:
        child.kill()
        child.wait()
