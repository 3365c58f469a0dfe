"""A PostgreSQL server of the tests' own, and a fresh database for each test."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, LiteralString

from support.ports import free_port
from support.waiting import wait_until

USER = "noria"
START_ATTEMPTS = 3
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",  # a crash of the machine may lose a test's data; kill -9 of clients is not affected
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
}
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
ROOM_BYTES = 3 << 30


class PostgresUnavailable(Exception):
    """The machine cannot run a PostgreSQL server; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresServer:
    """A running server that listens on loopback only."""

    port: int
    password: str
    log: Path
    _kept: list[Any] = field(default_factory=list, repr=False)

    def url(self, database: str) -> str:
        """Give the SQLAlchemy URL of one database."""
        return f"postgresql+psycopg://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    @contextmanager
    def fresh_database(self, template: str = "template1") -> Iterator[str]:
        """Create a database, give its URL, and drop it afterwards with whoever is still connected.

        Parameters
        ----------
        template
            Name of the database to copy, to which nobody is connected; an empty one unless given.
        """
        name = f"test_{secrets.token_hex(8)}"
        # Through the log, as the server would by itself, takes twice as long for a database of a few megabytes.
        self._execute("create database {} template {} strategy file_copy", name, template)
        try:
            yield self.url(name)
        finally:
            self._execute("drop database if exists {} with (force)", name)

    def answers(self) -> bool:
        """Tell whether the server accepts a login."""
        import psycopg

        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def close(self) -> None:
        """Close the connection that makes and drops databases."""
        while self._kept:
            self._kept.pop().close()

    def _execute(self, statement: LiteralString, *names: str) -> None:
        from psycopg import sql

        if not self._kept:
            self._kept.append(self._connect())
        self._kept[0].execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def _connect(self) -> Any:
        import psycopg

        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=USER,
            password=self.password,
            dbname="postgres",
            autocommit=True,
            connect_timeout=10,
        )


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Start a server in a new temporary folder and stop it at the end.

    Root may not run PostgreSQL, so root starts it as the system's user `postgres`.

    Raises
    ------
    PostgresUnavailable
        If the binaries, the driver or the user to run them as are missing.
    """
    binaries = find_binaries()
    run_as = _unprivileged_user()
    folder = Path(tempfile.mkdtemp(prefix="noria-pg-", dir=_quick_place()))
    try:
        if run_as:
            shutil.chown(folder, run_as, run_as)
        password = secrets.token_hex(8)
        _initialise(binaries, folder, password, run_as)
        process, server = _start(binaries, folder, password, run_as)
        try:
            yield server
        finally:
            server.close()
            _stop(process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _quick_place() -> Path | None:
    """Give a file system in memory with room for some databases, or None for the usual temporary folder.

    Each test makes and drops a database of a thousand files, which takes twice as long on a disk.
    """
    if not (MEMORY.is_dir() and os.access(MEMORY, os.W_OK)):
        return None
    return MEMORY if shutil.disk_usage(MEMORY).free >= ROOM_BYTES else None


def find_binaries() -> Path:
    """Give the folder that holds `initdb` and `postgres`: from PATH, or the newest one that Debian installed."""
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise PostgresUnavailable(
            "the driver psycopg is not installed: pip install 'noria[postgres]'"
        ) from error
    on_path = shutil.which("postgres")
    if on_path:
        return Path(on_path).resolve().parent
    installed = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/postgres"),
        key=lambda path: float(path.parts[-3]),
        reverse=True,
    )
    if not installed:
        raise PostgresUnavailable("no PostgreSQL server is installed: apt-get install postgresql")
    return installed[0].parent


def _unprivileged_user() -> str | None:
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError as error:
        raise PostgresUnavailable("root may not run PostgreSQL and there is no user `postgres`") from error


def _initialise(binaries: Path, folder: Path, password: str, run_as: str | None) -> None:
    password_file = folder / "password"
    password_file.write_text(password)
    if run_as:
        shutil.chown(password_file, run_as, run_as)
    done = subprocess.run(
        [
            str(binaries / "initdb"),
            # A hash takes each connection 10 ms on either side, and tests open thousands.
            *("-D", str(folder / "data"), "-U", USER, "-A", "password", f"--pwfile={password_file}"),
            *("-E", "UTF8", "--locale=C", "--no-sync"),
        ],
        cwd=folder,
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        **_as_user(run_as),
    )
    if done.returncode:
        raise RuntimeError(f"initdb failed: {done.stdout}{done.stderr}")


def _start(
    binaries: Path, folder: Path, password: str, run_as: str | None
) -> tuple[subprocess.Popen[bytes], PostgresServer]:
    for _ in range(START_ATTEMPTS):
        server = PostgresServer(port=free_port(), password=password, log=folder / "log")
        process = _spawn(binaries, folder, server, run_as)
        try:
            _await_answer_or_end(process, server)
        except BaseException:
            _stop(process)
            raise
        if process.poll() is None:
            return process, server
    raise RuntimeError(f"PostgreSQL ended at start, {START_ATTEMPTS} times: {server.log.read_text()}")


def _await_answer_or_end(process: subprocess.Popen[bytes], server: PostgresServer) -> None:
    wait_until(
        lambda: process.poll() is not None or server.answers(),
        timeout_s=60,
        message=lambda: f"PostgreSQL did not start: {server.log.read_text()}",
    )


def _spawn(
    binaries: Path, folder: Path, server: PostgresServer, run_as: str | None
) -> subprocess.Popen[bytes]:
    settings = {**SETTINGS, "port": str(server.port)}
    options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
    with server.log.open("ab") as log:
        return subprocess.Popen(
            [str(binaries / "postgres"), "-D", str(folder / "data"), *options],
            cwd=folder,
            env={"PATH": os.defpath},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in the terminal must not end the server under a test that still runs
            **_as_user(run_as),
        )


def _as_user(run_as: str | None) -> dict[str, Any]:
    return {"user": run_as, "group": run_as, "extra_groups": []} if run_as else {}


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server at once: SIGQUIT is PostgreSQL's immediate shutdown, and nothing of it is kept."""
    process.send_signal(signal.SIGQUIT)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
