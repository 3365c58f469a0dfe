"""Put two scripts of others into the wheel: htmx, and the chart library in the build that a strict policy allows.

Both come from the registry that npm is set up for, in a version that is named here, and are taken only if their
digests are the ones that are written here. Where npm is missing or its registry cannot be reached, the build goes on
and says so: pages then work as plain HTML, with the tables that stand behind the charts.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VENDOR = Path("src/noria/core/web/static/vendor")
PATIENCE_S = 90


class Script(NamedTuple):
    """A file of an npm package: where it is in the package, what we call it, and the SHA-256 that it must have."""

    package: str
    file: str
    name: str
    sha256: str


HTMX = "htmx.org@4.0.1"
PLOTLY = "plotly.js-strict-dist-min@4.1.1"
SCRIPTS = (
    Script(
        HTMX,
        "dist/htmx.min.js",
        "htmx.min.js",
        "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130",
    ),
    Script(
        HTMX,
        "LICENSE",
        "htmx.LICENSE.txt",
        "d3d2456f76414f2456104660ebd65aff1c04cd7966b942bdabd63f3cdb316a38",
    ),
    Script(
        PLOTLY,
        "plotly-strict.min.js",
        "plotly.min.js",
        "4ac841837b31c1bfd2ab140e3a248ddcc6c2106978fbf2c1c18a7aada930a37a",
    ),
    Script(
        PLOTLY,
        "LICENSE",
        "plotly.LICENSE.txt",
        "8c45d9eaf50c2f72dd9c7ab9ef440788ba58a3538484b5c51c1f17d5128752e7",
    ),
)


class NotFetched(Exception):
    """A package could not be had."""


class VendorScripts(BuildHookInterface[Any]):
    """Fetches what is missing before a wheel is made, an editable one too."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - the hook's signature
        """Fetch what is missing, and have it packed though git ignores it."""
        folder = Path(self.root) / VENDOR
        try:
            fetch_missing(folder)
        except NotFetched as reason:
            self.app.display_warning(f"Charts will be shown as tables only: {reason}")
        build_data["artifacts"].append(f"{VENDOR.as_posix()}/*")


def fetch_missing(folder: Path) -> None:
    """Bring the scripts into `folder`, unless they are there.

    Raises
    ------
    NotFetched
        If npm or its registry cannot be reached, or gives something else; the folder then has what it had before.
    """
    missing = [script for script in SCRIPTS if digest_of(folder / script.name) != script.sha256]
    if not missing:
        return
    npm = shutil.which("npm")
    if npm is None:
        raise NotFetched("npm is not installed")
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        pack(npm, sorted({script.package for script in missing}), place)
        bodies = {script.name: taken(script, place) for script in missing}
    folder.mkdir(parents=True, exist_ok=True)
    for name, body in bodies.items():
        (folder / name).write_bytes(body)


def pack(npm: str, packages: list[str], place: Path) -> None:
    """Have npm download packages; none of their own scripts is run."""
    options = ["--ignore-scripts", "--silent", "--fetch-retries=1", "--pack-destination", str(place)]
    command = [npm, "pack", *options, *packages]
    try:
        subprocess.run(command, cwd=place, capture_output=True, timeout=PATIENCE_S, check=True)
    except subprocess.TimeoutExpired:
        raise NotFetched(f"npm did not answer within {PATIENCE_S} s") from None
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotFetched(f"`npm pack` failed ({error})") from None


def taken(script: Script, place: Path) -> bytes:
    """Take a file out of its package, if it is the one that was meant."""
    name, _, version = script.package.partition("@")
    with tarfile.open(place / f"{name}-{version}.tgz") as archive:
        found = archive.extractfile(f"package/{script.file}")
        body = found.read() if found is not None else b""
    if hashlib.sha256(body).hexdigest() != script.sha256:
        raise NotFetched(
            f"`{script.file}` of {script.package} has another digest than the one that is written here"
        )
    return body


def digest_of(path: Path) -> str:
    """Give the SHA-256 of a file, empty where there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
