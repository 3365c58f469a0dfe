"""Print the versions of what the tests ran on, for the log of a CI run."""

from __future__ import annotations

import platform
import re
import shutil
import sqlite3
import subprocess
import tomllib
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Print one line: interpreter, databases, browser, and every package that `pyproject.toml` names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    required = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["postgres"],
        *project["dependency-groups"]["dev"],
    ]
    names = [re.split(r"[\[<>=~!; ]", text, maxsplit=1)[0] for text in required]
    found = {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "postgres": _program_version("postgres", *Path("/usr/lib/postgresql").glob("*/bin/postgres")),
        "chromium": _program_version("chromium"),
        **{name: version(name) for name in sorted(names)},
    }
    print("versions: " + ", ".join(f"{name} {number}" for name, number in found.items()))


def _program_version(name: str, *elsewhere: Path) -> str:
    program = shutil.which(name) or next((str(path) for path in sorted(elsewhere, reverse=True)), None)
    if not program:
        return "absent"
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    number = re.search(r"\d+(\.\d+)+", shown)
    return number.group() if number else "unknown"


if __name__ == "__main__":
    main()
