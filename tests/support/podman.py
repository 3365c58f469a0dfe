"""Containers by podman, where it is installed; images of Python and wheels are kept between runs of the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON_IMAGE = "localhost/debian-python:12"
_LONGEST_S = 1800

# The limits are told because podman's own are more than a machine without CAP_SYS_RESOURCE may set; runc because crun
# does not start where cgroups of both versions are mounted.
_CONFIG = """[containers]
default_ulimits = ["nofile=1024:4096", "nproc=4096:8192"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Podman:
    """Podman with a store of its own.

    Attributes
    ----------
    folder
        Holds the store, the wheels, and a Debian with Python.
    """

    folder: Path

    @property
    def wheels(self) -> Path:
        """Folder of wheels."""
        return self.folder / "wheels"

    def run(self, *arguments: str | Path, fails: bool = False, given: str | None = None) -> str:
        """Run a command of podman to its end, and give what it wrote."""
        done = self.start(*arguments, given=given)
        said = done.stdout + done.stderr
        assert (done.returncode != 0) is fails, said[-8000:]
        return said

    def start(self, *arguments: str | Path, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command of podman, whatever comes of it."""
        store = [f"--root={self.folder}/store", f"--runroot={self.folder}/run"]
        return subprocess.run(
            ["podman", *store, "--storage-driver", "overlay", *arguments],
            capture_output=True,
            text=True,
            check=False,
            input=given,
            timeout=_LONGEST_S,
            env={**os.environ, "CONTAINERS_CONF": str(self.folder / "containers.conf")},
        )

    def download(self, *requirements: str) -> None:
        """Fetch wheels for this Python from the index that pip knows, or skip the test."""
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--only-binary=:all:",
            f"--dest={self.wheels}",
        ]
        done = subprocess.run([*command, *requirements], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"no index gave the wheels: {done.stderr.strip()[-500:]}")


@contextmanager
def podman(folder: Path) -> Iterator[Podman]:
    """Give podman with an image of Python, or skip with what is missing."""
    for program in ("podman", "runc", "mmdebstrap"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: apt-get install podman buildah runc mmdebstrap")
    if os.geteuid() != 0:
        pytest.skip("only root makes a Debian by mmdebstrap and mounts the layers of images")
    found = Podman(folder=folder)
    found.wheels.mkdir(parents=True, exist_ok=True)
    (folder / "containers.conf").write_text(_CONFIG)
    try:
        _ensure_python(found)
        yield found
    finally:
        found.start("rm", "--all", "--force", "--volumes")
        found.start("image", "prune", "--force")  # each run builds of other sources
        subprocess.run(["umount", f"{folder}/store/overlay"], capture_output=True, check=False)


def _ensure_python(podman: Podman) -> None:
    if podman.start("image", "exists", PYTHON_IMAGE).returncode == 0:
        return
    archive = podman.folder / "python.tar"
    command = [
        "mmdebstrap",
        "--variant=minbase",
        "--include=python3,python3-venv,ca-certificates",
        "bookworm",
    ]
    done = subprocess.run([*command, archive], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no mirror gave a Debian: {done.stderr.strip()[-500:]}")
    podman.run("import", archive, PYTHON_IMAGE)
    archive.unlink()


def container_flags(container: dict[str, object], image: str) -> Sequence[str]:
    """Give what podman is told to start a container of a manifest: its rights, variables and arguments."""
    variables = [each for each in container["env"] if "value" in each]  # type: ignore[attr-defined]
    env = [word for each in variables for word in ("--env", f"{each['name']}={each['value']}")]
    rights = ["--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges"]
    args: list[str] = container["args"]  # type: ignore[assignment]
    return [*rights, "--user", "10001:10001", *env, image, *args]
