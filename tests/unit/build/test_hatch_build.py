"""The build's hook: what it fetches is what was meant, and a build without npm goes on."""

from __future__ import annotations

import hashlib
import io
import runpy
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def hook() -> SimpleNamespace:
    """Give the names of `hatch_build.py`, run as the build backend runs it: as a file, not as a module."""
    return SimpleNamespace(**runpy.run_path(str(ROOT / "hatch_build.py"), run_name="hatch_build"))


def archive(path: Path, files: dict[str, bytes]) -> None:
    """Write a package as npm packs it."""
    with tarfile.open(path, "w:gz") as packed:
        for name, body in files.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(body)
            packed.addfile(entry, io.BytesIO(body))


def npm(place: Path, script: str) -> str:
    """Make a program that stands for npm."""
    program = place / "npm"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    return str(program)


def test_a_file_is_taken_only_with_its_digest(hook: SimpleNamespace, tmp_path: Path) -> None:
    """A registry that gives another file under the name is refused."""
    archive(tmp_path / "lib-1.0.tgz", {"a.js": b"good"})
    digest = hashlib.sha256(b"good").hexdigest()
    meant = hook.Script("lib@1.0", "a.js", "a.js", digest)
    other = hook.Script("lib@1.0", "a.js", "a.js", "0" * 64)

    assert hook.taken(meant, tmp_path) == b"good"
    with pytest.raises(hook.NotFetched, match="another digest"):
        hook.taken(other, tmp_path)


def test_a_failing_npm_is_no_failing_build(hook: SimpleNamespace, tmp_path: Path) -> None:
    """Whatever npm comes to grief on is one kind of error, which the hook tells and survives."""
    with pytest.raises(hook.NotFetched, match="npm pack"):
        hook.pack(npm(tmp_path, "exit 3"), ["lib@1.0"], tmp_path)
    with pytest.raises(hook.NotFetched, match="npm pack"):
        hook.pack(str(tmp_path / "nowhere"), ["lib@1.0"], tmp_path)


def test_without_npm_the_build_goes_on_and_says_so(
    hook: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wheel is made, without the scripts; a warning names what is missing."""
    monkeypatch.setenv("PATH", str(tmp_path))
    warnings: list[str] = []
    builder: Any = hook.VendorScripts.__new__(hook.VendorScripts)
    app = SimpleNamespace(display_warning=warnings.append)
    hook.VendorScripts.__init__(builder, str(tmp_path), {}, None, None, str(tmp_path), "wheel", app)
    data: dict[str, Any] = {"artifacts": []}
    builder.initialize("standard", data)

    assert warnings == ["Charts will be shown as tables only: npm is not installed"]
    assert data["artifacts"] == ["src/noria/core/web/static/vendor/*"]
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_fetched_again(
    hook: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second build needs no network."""
    folder = ROOT / hook.VENDOR
    if not folder.is_dir():
        pytest.skip("the scripts were not built in")
    monkeypatch.setenv("PATH", str(tmp_path))
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    hook.fetch_missing(folder)

    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_licences_come_along(hook: SimpleNamespace) -> None:
    """Each script that is packed has its licence beside it."""
    names = {script.name for script in hook.SCRIPTS}

    assert {f"{name.partition('.')[0]}.LICENSE.txt" for name in names} <= names
