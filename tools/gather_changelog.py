"""Gather the changelog fragments of released versions into `CHANGELOG.md`: run it when the next version begins.

A fragment belongs to the version that the project had when the fragment was committed. Those of the present version
stay where they are.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERSION = "src/noria/_version.py"
KINDS = {
    "added": "Added",
    "changed": "Changed",
    "fixed": "Fixed",
    "removed": "Removed",
    "security": "Security",
}
HEAD = "# Changelog\n\nWhat a user can notice, the newest version first.\n"


@dataclass(slots=True)
class Release:
    """What one version brought: day of its last fragment, and texts by kind."""

    version: str
    day: str = ""
    texts: dict[str, list[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        parts = [f"## {self.version} ({self.day})"]
        for kind, title in KINDS.items():
            if self.texts.get(kind):
                parts += [f"### {title}", "\n".join(_item(text) for text in self.texts[kind])]
        return "\n\n".join(parts) + "\n"


def main(root: Path = ROOT) -> int:
    """Gather, and tell what was gathered."""
    present = _version((root / VERSION).read_text())
    releases: dict[str, Release] = {}
    gathered = []
    for path in sorted((root / "changelog.d").glob("*.*.md")):
        kind = path.name.split(".")[-2]
        if kind not in KINDS:
            print(
                f"`{path.name}` has no kind; name it `<short name>.<kind>.md`: {', '.join(KINDS)}",
                file=sys.stderr,
            )
            return 1
        commit, _, day = _git(
            root, "log", "-1", "--diff-filter=A", "--format=%H %cs", "--", str(path)
        ).partition(" ")
        version = _version(_git(root, "show", f"{commit}:{VERSION}")) if commit else present
        if version == present:
            continue
        release = releases.setdefault(version, Release(version))
        release.day = max(release.day, day)
        release.texts.setdefault(kind, []).append(path.read_text().replace("](../", "]("))
        gathered.append(path)
    changelog = root / "CHANGELOG.md"
    before = changelog.read_text().removeprefix(HEAD) if changelog.is_file() else ""
    newest = sorted(releases.values(), key=lambda release: _order(release.version), reverse=True)
    changelog.write_text("\n".join([HEAD, *map(str, newest)]) + before)
    for path in gathered:
        path.unlink()
    print(f"{len(gathered)} fragments of {', '.join(r.version for r in newest) or 'no version'} gathered")
    return 0


def _item(text: str) -> str:
    """Give a fragment as an item of a list; further paragraphs belong to it."""
    first, *rest = text.strip().splitlines()
    return "\n".join([f"- {first}", *(f"  {line}" if line else "" for line in rest)])


def _version(source: str) -> str:
    found = re.search(r'__version__ = "([^"]+)"', source)
    if found is None:
        raise SystemExit(f"`{VERSION}` names no version")
    return found[1]


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(root), *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
