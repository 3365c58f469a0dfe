"""A repository as DVC leaves it, written by hand: its files, its cache and its git history."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

WHO = {
    "GIT_AUTHOR_NAME": "Ana",
    "GIT_AUTHOR_EMAIL": "ana@example.org",
    "GIT_COMMITTER_NAME": "Ana",
    "GIT_COMMITTER_EMAIL": "ana@example.org",
    "GIT_CONFIG_NOSYSTEM": "1",
}


def md5_of(data: bytes) -> str:
    """Give the name that DVC knows bytes by."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


class DvcRepo:
    """A repository with a cache; `layout` is where DVC 3 keeps things, or the empty text of earlier ones."""

    def __init__(self, root: Path, *, layout: str = "files/md5", git: bool = True) -> None:
        self.root = root
        self.cache = root / ".dvc" / "cache" / layout
        self.cache.mkdir(parents=True)
        (root / ".dvc" / "config").write_text("")
        (root / ".gitignore").write_text("/.dvc/cache\n")
        if git:
            self.git("init", "--quiet")

    def git(self, *arguments: str) -> str:
        """Run git in the repository."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.root,
            env={"PATH": os.environ["PATH"], "HOME": str(self.root.parent), **WHO},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def commit(self, subject: str) -> str:
        """Commit everything, and give the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", subject)
        return self.git("rev-parse", "HEAD").strip()

    def keep(self, data: bytes, *, md5: str | None = None, folder: Path | None = None) -> str:
        """Put bytes into the cache (or another folder), and give their MD5."""
        name = md5 or md5_of(data)
        place = (folder or self.cache) / name[:2] / name[2:]
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            place.write_bytes(data)
            place.chmod(0o444)
        return name

    def keep_folder(self, files: Mapping[str, bytes]) -> str:
        """Put the files of a folder into the cache, and give the MD5 of their list."""
        listed = [{"md5": self.keep(files[path]), "relpath": path} for path in sorted(files)]
        data = json.dumps(listed).encode()
        return self.keep(data, md5=f"{md5_of(data)}.dir")

    def write(self, path: str, text: str) -> None:
        """Write a file of the repository."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def point(self, path: str, md5: str, more: str = "") -> None:
        """Write the `.dvc` file of a path."""
        self.write(f"{path}.dvc", f"outs:\n- md5: {md5}\n  hash: md5\n  path: {Path(path).name}\n{more}")
