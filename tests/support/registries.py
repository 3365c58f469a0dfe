"""A registry of OCI of the tests' own: the server that Debian's package `docker-registry` brings."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.ports import free_port, is_listening
from support.waiting import wait_until

USER, PASSWORD = "noria", "secret"
_HASHED = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"
"""Of the password, by bcrypt: the only form that the server takes."""


class RegistryUnavailable(Exception):
    """There is no such server on this machine; the text says how to get it."""


@contextmanager
def running_registry(folder: Path, *, guarded: bool = False) -> Iterator[str]:
    """Start a registry that keeps its blobs in a folder, and give its host with the port.

    Parameters
    ----------
    guarded
        Whether it asks for `USER` and `PASSWORD`.
    """
    program = shutil.which("docker-registry")
    if program is None:
        raise RegistryUnavailable(
            "there is no `docker-registry` (tools/install_test_services.sh installs it)"
        )
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        "version: 0.1",
        "log: {level: error, accesslog: {disabled: true}}",
        f"storage: {{filesystem: {{rootdirectory: {folder / 'blobs'}}}}}",
        f'http: {{addr: "127.0.0.1:{port}"}}',
    ]
    if guarded:
        (folder / "users").write_text(f"{USER}:{_HASHED}\n")
        lines.append(f"auth: {{htpasswd: {{realm: noria, path: {folder / 'users'}}}}}")
    (folder / "config.yml").write_text("\n".join(lines) + "\n")
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [program, "serve", str(folder / "config.yml")],
            stdout=log,
            stderr=log,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "OTEL_TRACES_EXPORTER": "none"},
        )
    try:
        wait_until(
            lambda: is_listening(port) or server.poll() is not None,
            60,
            "the registry did not start to listen",
        )
        assert server.poll() is None, (folder / "log").read_text()
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)
