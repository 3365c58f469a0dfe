"""An example's folder, and the commands that it runs there: the same ones that a person would type."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import msgspec

import noria

_START_PATIENCE_S = 60.0


class CommandFailed(noria.NoriaError):
    """A command of an example failed; its output says why."""

    code = "demo_command_failed"


class House:
    """A folder with the project and its workspace.

    Parameters
    ----------
    folder
        Made here.
    example
        Package whose folder `project` holds the project.
    again
        Whether the folder may be that of an earlier turn; what is known there is used again.
    """

    def __init__(self, folder: Path, example: str, *, again: bool = False) -> None:
        self.folder = folder
        self.workspace = folder / ".noria"
        self.url: str | None = None
        folder.mkdir(parents=True, exist_ok=again)
        self.workspace.mkdir(exist_ok=again)
        for file in (resources.files(example) / "project").iterdir():
            if file.is_file():
                (folder / file.name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")

    def open(self) -> noria.Workspace:
        """Open the workspace as any program in this folder would."""
        return noria.open_workspace(noria.load_settings(workspace=str(self.workspace), folder=self.folder))

    def run(self, *arguments: str) -> str:
        """Run a `noria` command in the folder and give what it printed.

        Raises
        ------
        CommandFailed
            If it exits with anything but 0.
        """
        done = subprocess.run(
            self._command(*arguments),
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            shown = f"noria {' '.join(arguments)}"
            raise CommandFailed(f"`{shown}` failed: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def run_json(self, *arguments: str) -> dict[str, object]:
        """Run a command with `--json` and give its answer."""
        return msgspec.json.decode(self.run(*arguments, "--json"), type=dict[str, object])

    @contextlib.contextmanager
    def up(self) -> Iterator[None]:
        """Keep `noria up` running for the block; it is told to stop at the end."""
        log = (self.folder / "up.log").open("wb")
        process = subprocess.Popen(
            self._command("up", "--json"),
            cwd=self.folder,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
        try:
            self.url = _announced_url(process, self.folder / "up.log")
            yield
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=20.0)
            except subprocess.TimeoutExpired:
                process.kill()
            log.close()

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "noria.cli", *arguments]

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("NORIA_")}
        return {**kept, "NORIA_WORKSPACE": str(self.workspace)}


def new_folder(parent: Path, stem: str) -> Path:
    """Give the first of `STEM`, `STEM-2`, … that does not exist: no run overwrites another."""
    name, count = stem, 1
    while (parent / name).exists():
        count += 1
        name = f"{stem}-{count}"
    return parent / name


def _announced_url(process: subprocess.Popen[bytes], log: Path) -> str:
    """Read the line that `noria up --json` prints once everything answers."""
    found: list[bytes] = []
    stream = process.stdout
    if stream is None:
        raise CommandFailed("`noria up` has no output to read")
    reader = threading.Thread(target=lambda: found.append(stream.readline()), daemon=True)
    reader.start()
    reader.join(_START_PATIENCE_S)
    if not found or not found[0].strip():
        said = log.read_text(errors="replace").strip()[-2000:]
        raise CommandFailed(f"`noria up` did not start: {said or 'it said nothing'}")
    return str(msgspec.json.decode(found[0], type=dict[str, object])["url"])
