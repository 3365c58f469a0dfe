"""One server per workspace: a lock that dies with its process, and the note that says where its holder answers.

On a folder that is `flock` on `<workspace>/lock`. Between servers that share a PostgreSQL it is a session-level
advisory lock, which the database frees when the holder's connection ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from noria._version import __version__
from noria.core.errors import Locked, Unavailable

if TYPE_CHECKING:
    import psycopg

LOCK_FILE = "lock"
INFO_FILE = "server.json"

_RETRY_S = 0.02
_PATIENCE_S = 0.25
"""A look at the lock by `read_server_info` holds it for an instant; a server that starts then must not be refused."""

_ADVISORY_KEY = 0x4E4F5249415F4354
"""The control loop's among the advisory locks of a database: `NORIA_CT` in ASCII."""

_SESSION = " ".join(
    f"-c {setting}"
    for setting in (
        "idle_session_timeout=0",
        # A holder whose machine is gone says no goodbye: the server's own probes find out after 5 + 3 × 2 seconds.
        "tcp_keepalives_idle=5",
        "tcp_keepalives_interval=2",
        "tcp_keepalives_count=3",
    )
)


class ServerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Where the server of a workspace folder answers.

    Attributes
    ----------
    url
        `http://127.0.0.1:8000`.
    version
        Of Noria.
    """

    pid: int
    host: str
    url: str
    version: str


class WorkspaceLock:
    """The right to be the server of a workspace folder.

    Parameters
    ----------
    folder
        Folder of the workspace; it exists.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor: int | None = None
        _let_go_in_children(self)

    @property
    def is_held(self) -> bool:
        """Tell whether this object holds the lock."""
        return self._descriptor is not None

    def acquire(self, timeout_s: float = 0.0) -> None:
        """Take the lock, waiting up to `timeout_s` for another process to let go.

        Raises
        ------
        Locked
            If another process, or another object of this one, holds it; the message names it and the mend.
        """
        if self._descriptor is not None:
            return
        descriptor = os.open(self._folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if not _flock(descriptor, max(timeout_s, _PATIENCE_S)):
                raise _refusal(self._folder)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, msgspec.json.encode(_holder()), 0)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        # What a killed holder left would send clients to a port that is now someone else's.
        (self._folder / INFO_FILE).unlink(missing_ok=True)

    def publish(self, url: str) -> ServerInfo:
        """Write down where the server answers, for clients on this machine. Called once it does answer."""
        info = ServerInfo(pid=os.getpid(), host=os.uname().nodename, url=url, version=__version__)
        _write_privately(self._folder / INFO_FILE, msgspec.json.encode(info))
        return info

    def release(self) -> None:
        """Give the lock back; the note goes first."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        (self._folder / INFO_FILE).unlink(missing_ok=True)
        os.close(descriptor)

    def _let_go(self) -> None:
        """Close a forked child's share of the lock, which would outlive the parent; the parent keeps its own."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def read_server_info(folder: Path) -> ServerInfo | None:
    """Tell where the running server of a workspace folder answers.

    Returns
    -------
    ServerInfo or None
        None if no server holds the folder, or it does not answer yet.
    """
    try:
        info = msgspec.json.decode((folder / INFO_FILE).read_bytes(), type=ServerInfo)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return info if _is_locked(folder / LOCK_FILE) else None


class PostgresLeaderLock:
    """The right to run the control loop on a PostgreSQL that several servers share.

    It lives on a connection of its own. Not thread-safe: one thread acquires, looks after and releases it.

    Parameters
    ----------
    url
        `postgresql://…`, with or without `+psycopg`.
    """

    def __init__(self, url: str) -> None:
        scheme, _, rest = url.partition("://")
        self._conninfo = f"{scheme.partition('+')[0]}://{rest}"
        self._connection: psycopg.Connection | None = None
        self._holds = False

    def try_acquire(self) -> bool:
        """Take the lock if it is free; True also if this object already holds it.

        Raises
        ------
        Unavailable
            If the database does not answer.
        """
        import psycopg

        if self.is_held():
            return True
        try:
            if self._connection is None:
                self._connection = self._connect()
            self._holds = self._ask(self._connection, f"select pg_try_advisory_lock({_ADVISORY_KEY})")
        except psycopg.Error as error:
            self.release()
            raise Unavailable(f"The database of the control loop does not answer: {error}") from error
        return self._holds

    def wait(self, stopping: threading.Event, poll_s: float = 0.5) -> bool:
        """Stand by until the lock is this server's.

        Parameters
        ----------
        stopping
            Ends the wait.
        poll_s
            How often to try. A database that does not answer is tried again as well.

        Returns
        -------
        bool
            False if `stopping` ended the wait.
        """
        while not stopping.is_set():
            try:
                if self.try_acquire():
                    return True
            except Unavailable as error:
                # Imported here alone: every command that opens a workspace asks whether a server runs.
                import logging

                logging.getLogger("noria.control").warning(
                    "control.leader_unknown", extra={"reason": error.message}
                )
            stopping.wait(poll_s)
        return False

    def is_held(self) -> bool:
        """Ask the database; False once the connection, and with it the lock, is lost. Then stop the loop at once."""
        import psycopg

        if self._connection is None or not self._holds:
            return False
        try:
            return self._ask(self._connection, "select true")
        except psycopg.Error:
            self.release()
            return False

    def release(self) -> None:
        """Give the lock back and end the connection."""
        import psycopg

        connection, self._connection, held = self._connection, None, self._holds
        self._holds = False
        if connection is None:
            return
        with contextlib.closing(connection), contextlib.suppress(psycopg.Error):
            # A database notices a closed connection a moment later, and until then nobody else could lead.
            if held:
                self._ask(connection, f"select pg_advisory_unlock({_ADVISORY_KEY})")

    def _connect(self) -> psycopg.Connection:
        import psycopg

        return psycopg.connect(
            self._conninfo,
            autocommit=True,
            connect_timeout=5,
            # Milliseconds until the client gives a silent connection up, so that `is_held` cannot hang.
            tcp_user_timeout=5000,
            options=_SESSION,
            application_name="noria-control",
        )

    @staticmethod
    def _ask(connection: psycopg.Connection, question: str) -> bool:
        row = connection.execute(question.encode()).fetchone()
        return bool(row and row[0])


def _flock(descriptor: int, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_RETRY_S)
        else:
            return True


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _holder() -> dict[str, str | int]:
    return {"pid": os.getpid(), "host": os.uname().nodename}


def _refusal(folder: Path) -> Locked:
    holder = _read_holder(folder / LOCK_FILE)
    info = read_server_info(folder)
    who = f"process `{holder['pid']}` on `{holder['host']}`" if holder else "another process"
    where = f", which answers at {info.url}" if info else ""
    use = f"Use the running server: {info.url}, or end it" if info else "Wait until it has started, or end it"
    mend = f"{use}: `kill {holder['pid']}`" if holder else use
    return Locked(
        f"The workspace `{folder}` is held by {who}{where}",
        hint=mend,
        details={"workspace": str(folder), **holder, **({"url": info.url} if info else {})},
    )


def _read_holder(path: Path) -> dict[str, str | int]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, str | int])
    except (OSError, msgspec.DecodeError):
        return {}


def _write_privately(path: Path, content: bytes) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, content)
    finally:
        os.close(descriptor)
    draft.replace(path)


def _let_go_in_children(lock: WorkspaceLock) -> None:
    # A child made by fork shares the open file and with it the lock, so the lock would not die with this process.
    reference = weakref.ref(lock)

    def let_go() -> None:
        held = reference()
        if held is not None:
            held._let_go()

    os.register_at_fork(after_in_child=let_go)
