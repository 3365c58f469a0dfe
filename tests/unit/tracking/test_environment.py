"""What is installed, as a text that pip takes again."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

from noria.tracking.environment import environment_lock


def installed(folder: Path, name: str, version: str, origin: object = None) -> None:
    place = folder / f"{name}-{version}.dist-info"
    place.mkdir(parents=True)
    if origin is not None:
        (place / "direct_url.json").write_text(json.dumps(origin))


def test_the_lock_of_this_environment_names_what_metadata_names() -> None:
    """The names of the folders say the same as each distribution's own metadata."""
    told = {
        distribution.name.lower().replace("_", "-").replace(".", "-"): distribution.version
        for distribution in importlib.metadata.distributions()
    }
    lines = environment_lock(sys.path).splitlines()
    found = dict(line.split("==") for line in lines[1:] if "==" in line)

    assert lines[0].startswith("# CPython 3.")
    assert {name.replace(".", "-"): version for name, version in found.items()}.items() <= told.items()
    assert len(found) >= len(told) - 2  # those that were installed from a folder


def test_origins_are_told(tmp_path: Path) -> None:
    """A repository is told with its commit, an address without its password."""
    installed(tmp_path, "plain_name", "1.0")
    installed(
        tmp_path,
        "from_git",
        "2.0",
        {"url": "https://ana:hunter2@host/x.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
    )
    installed(tmp_path, "local", "0.1", {"url": "file:///home/ana/local", "dir_info": {"editable": True}})
    installed(tmp_path, "broken", "1", [])

    assert environment_lock([str(tmp_path)]).splitlines()[1:] == [
        "broken==1",
        "from-git @ git+https://***@host/x.git@abc  # 2.0",
        "local @ file:///home/ana/local  # 0.1",
        "plain-name==1.0",
    ]


def test_the_first_of_two_is_the_one_that_is_imported(tmp_path: Path) -> None:
    """Folders are searched in the order of `sys.path`; what is none of them is passed over."""
    installed(tmp_path / "a", "x", "1")
    installed(tmp_path / "b", "x", "2")
    archive = tmp_path / "code.zip"
    archive.write_bytes(b"PK")
    places = [str(archive), str(tmp_path / "missing"), str(tmp_path / "a"), str(tmp_path / "b")]

    assert environment_lock(places).splitlines()[1:] == ["x==1"]


def test_pip_takes_the_lock(tmp_path: Path) -> None:
    """Every line of it is a requirement."""
    lock = tmp_path / "requirements.txt"
    lock.write_text(environment_lock(sys.path))
    script = (
        "import sys; from pip._internal.req import parse_requirements;"
        "from pip._internal.network.session import PipSession;"
        "print(len(list(parse_requirements(sys.argv[1], PipSession()))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(lock)], capture_output=True, text=True, check=True
    )

    assert int(done.stdout) == len(lock.read_text().splitlines()) - 1
