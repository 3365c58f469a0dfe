"""Writing files below one folder and nowhere else, whatever links lie in it or appear meanwhile."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from noria.core.errors import Conflict
from noria.core.objects.chunks import Bytes
from noria.core.objects.digests import Digest, hash_stream
from noria.core.objects.disk import storage_error, storage_errors, write_all
from noria.core.objects.paths import check_path
from noria.core.objects.sources import TEMPORARY_PREFIX

_NOT_A_FOLDER = frozenset(
    {errno.ENOTDIR, errno.ELOOP}
)  # a link gives the first on Linux, the second on macOS
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class TargetBlocked(Conflict):
    """Something in the target folder stands where a tree needs a file or folder."""

    code = "target_blocked"

    def __init__(self, target: Path, path: str, why: str, *, hint: str | None = None) -> None:
        super().__init__(
            f"`{path}` cannot be written in `{target}`: {why}",
            hint=hint or "Move it away, or choose another folder",
            details={"target": str(target), "path": path},
        )


class Moment(NamedTuple):
    """Size, time of the last change and number of a file: getting its name changes none of them.

    Attributes
    ----------
    ctime_ns
        When its status changed last; 0 if it has got its name since, which is such a change.
    """

    size_bytes: int
    mtime_ns: int
    inode: int
    ctime_ns: int = 0

    @classmethod
    def of(cls, status: os.stat_result, *, named: bool = False) -> Self:
        """Take them from what the system tells; `named` if it has the name that it is to have."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns if named else 0)

    def now(self, status: os.stat_result) -> Self:
        """Give it with the time of its status, unless it is another file by now or was written to."""
        is_same = self[:3] == (status.st_size, status.st_mtime_ns, status.st_ino)
        return self._replace(ctime_ns=status.st_ctime_ns if is_same else 0)


class TargetFolder:
    """A folder that files are written into.

    Every part of a path is opened relative to the part before it and never through a symbolic link, so no link,
    also none that another process makes meanwhile, leads a write out of the folder. The folder itself may be
    reached by a link. A file appears under its name whole or not at all. Not for several threads at once.

    Parameters
    ----------
    root
        Made if it is not there.
    durable
        Whether the files and their names are on disk when the context ends, whatever happens to the machine then.
    staged
        Whether it is a stage in the folder that the files are for, where nobody looks for them: each is written under
        its name at once, and replaces none.
    """

    def __init__(self, root: Path, *, durable: bool = True, staged: bool = False) -> None:
        self._root = root
        self._named = root.parent if staged else root  # in errors: who asked for the tree knows no stage
        self._durable = durable
        self._staged = staged
        self._current = ""  # files come in the order of their paths, so one open folder serves many
        with storage_errors(self._named):
            try:
                root.mkdir(parents=True, exist_ok=True)
            except (FileExistsError, NotADirectoryError) as error:
                raise TargetBlocked(root, ".", "it is not a folder, or lies below a file") from error
            self._root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self._current_fd = os.dup(self._root_fd)
            with os.scandir(self._root_fd) as listing:
                self.was_empty = next(listing, None) is None
        prefix = f"{TEMPORARY_PREFIX}{os.urandom(8).hex()}"
        self._drafts = (f"{prefix}-{n}.tmp" for n in itertools.count())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with storage_errors(self._named):
                self._flush(self._current_fd)
                self._flush(self._root_fd)
        finally:
            os.close(self._current_fd)
            os.close(self._root_fd)

    @property
    def root(self) -> Path:
        """The folder."""
        return self._root

    @property
    def staged(self) -> bool:
        """Whether it is a stage."""
        return self._staged

    def moment(self, status: os.stat_result) -> Moment:
        """Give what a file was when it was written here."""
        return Moment.of(status, named=self._staged)

    def exists(self, path: str) -> bool:
        """Tell whether something stands at `path`, be it a link that leads nowhere.

        Raises
        ------
        TargetBlocked
            If it is a folder, or if something else than a folder stands in its way.
        """
        status = self._status(path)
        if status is not None and stat.S_ISDIR(status.st_mode):
            raise TargetBlocked(self._named, path, "there is a folder of this name")
        return status is not None

    def holds(self, path: str, *, digest: Digest, size_bytes: int, executable: bool) -> bool:
        """Tell whether a regular file with these bytes and this right to be run stands at `path`."""
        status = self._status(path)
        if status is None or not stat.S_ISREG(status.st_mode) or status.st_size != size_bytes:
            return False
        if bool(status.st_mode & stat.S_IXUSR) != executable:
            return False
        folder, _, name = path.rpartition("/")
        with storage_errors(self._named):
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._enter(folder))
            with os.fdopen(fd, "rb", buffering=0) as stream:
                return hash_stream(stream) == (digest, size_bytes)

    def write(
        self, path: str, chunks: Iterable[Bytes], *, executable: bool = False, overwrite: bool = False
    ) -> os.stat_result:
        """Write one file, readable and writable as the user's umask says.

        What reading `chunks` raises passes through, and `path` stays as it was.

        Returns
        -------
        os.stat_result
            What the file was when its bytes were written, and nobody else could reach it yet.

        Raises
        ------
        PathRefused
            If `path` could lead out of the folder.
        TargetBlocked
            If a folder stands there, something else than a folder stands in the way, or a file stands there and
            `overwrite` is false.
        StorageFull
            If there is no room; nothing of the file is left behind.
        """
        check_path(path)
        folder, _, name = path.rpartition("/")
        if folder == self._current:
            folder_fd = self._current_fd
        else:
            with storage_errors(self._named):
                folder_fd = self._enter(folder, make=True)
        if self._staged:
            return self._written(folder_fd, name, path, chunks, executable=executable)
        temporary = next(self._drafts)
        status = self._written(folder_fd, temporary, path, chunks, executable=executable)
        try:
            # Looked at here again: on a file system without capitals, the name may be taken by now.
            is_taken = os.access(name, os.F_OK, dir_fd=folder_fd, follow_symlinks=False)
            if is_taken and self.exists(path) and not overwrite:
                raise TargetBlocked(self._named, path, "there is a file of this name")
            with storage_errors(self._named):
                os.rename(temporary, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
        except BaseException:
            os.unlink(temporary, dir_fd=folder_fd)
            raise
        return status

    def put(self, path: str, data: Bytes, *, executable: bool = False, overwrite: bool = False) -> Moment:
        """Write one file whose bytes are at hand, and give what it was then; raises as `write`."""
        folder, _, name = path.rpartition("/")
        if not self._staged or folder != self._current or self._durable:
            return self.moment(self.write(path, (data,), executable=executable, overwrite=overwrite))
        # Most files of a stage lie in the folder of the one before: nothing is done for them but what must be.
        check_path(path)
        try:
            fd = os.open(name, _NEW_FILE, 0o777 if executable else 0o666, dir_fd=self._current_fd)
        except FileExistsError as error:
            raise TargetBlocked(self._named, path, "there is a file of this name") from error
        except OSError as error:
            raise storage_error(error, self._named) from error
        try:
            if os.write(fd, data) != len(data):
                os.lseek(fd, 0, os.SEEK_SET)
                write_all(fd, data)
            status = os.fstat(fd)
        except BaseException as error:
            os.unlink(name, dir_fd=self._current_fd)
            if isinstance(error, OSError):
                raise storage_error(error, self._named) from error
            raise
        finally:
            os.close(fd)
        return Moment(status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns)

    def check_folder(self, path: str) -> None:
        """Raise what `make_folder` would raise, and make nothing."""
        check_path(path)
        with storage_errors(self._named), contextlib.suppress(FileNotFoundError):
            self._enter(path)

    def make_folder(self, path: str) -> None:
        """Make a folder, if it is not there, and those above it.

        Raises
        ------
        PathRefused, TargetBlocked
            As `write` does.
        """
        check_path(path)
        with storage_errors(self._named):
            self._enter(path, make=True)

    def remove(self, path: str) -> None:
        """Remove a file, if it is there."""
        check_path(path)
        folder, _, name = path.rpartition("/")
        with storage_errors(self._named), contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._enter(folder))

    def _written(
        self, folder_fd: int, name: str, path: str, chunks: Iterable[Bytes], *, executable: bool
    ) -> os.stat_result:
        """Write a new file; it is gone if this raises."""
        # Without context managers, which would take as long as the writing of a small file.
        try:
            fd = os.open(name, _NEW_FILE, 0o777 if executable else 0o666, dir_fd=folder_fd)
        except FileExistsError as error:
            raise TargetBlocked(self._named, path, "there is a file of this name") from error
        except OSError as error:
            raise storage_error(error, self._named) from error
        try:
            for chunk in chunks:
                try:
                    write_all(fd, chunk)
                except OSError as error:
                    raise storage_error(error, self._named) from error
            try:
                self._flush(fd)
                return os.fstat(fd)
            except OSError as error:
                raise storage_error(error, self._named) from error
        except BaseException:
            os.unlink(name, dir_fd=folder_fd)
            raise
        finally:
            os.close(fd)

    def _status(self, path: str) -> os.stat_result | None:
        check_path(path)
        folder, _, name = path.rpartition("/")
        with storage_errors(self._named):
            try:
                return os.stat(name, dir_fd=self._enter(folder), follow_symlinks=False)
            except FileNotFoundError:
                return None

    def _enter(self, folder: str, *, make: bool = False) -> int:
        """Give an open descriptor of a folder, which stays ours."""
        if folder == self._current:
            return self._current_fd
        fd = self._walk(folder, make=make)
        self._current, previous, self._current_fd = folder, self._current_fd, fd
        try:
            self._flush(previous)
        finally:
            os.close(previous)
        return fd

    def _walk(self, folder: str, *, make: bool) -> int:
        fd = os.dup(self._root_fd)
        walked = ""
        for part in folder.split("/") if folder else []:
            walked = f"{walked}/{part}".lstrip("/")
            try:
                deeper = self._step(fd, part, walked, make=make)
            finally:
                os.close(fd)
            fd = deeper
        return fd

    def _flush(self, fd: int) -> None:
        if self._durable:
            os.fsync(fd)

    def _step(self, fd: int, part: str, walked: str, *, make: bool) -> int:
        if make:
            try:
                os.mkdir(part, dir_fd=fd)
            except FileExistsError:
                pass
            else:
                self._flush(fd)
        try:
            return os.open(part, _OPEN_FOLDER, dir_fd=fd)
        except OSError as error:
            if error.errno in _NOT_A_FOLDER:
                raise TargetBlocked(self._named, walked, "it is a link or a file, not a folder") from error
            raise
