"""Paths among the arguments of steps: fingerprints by content."""

from __future__ import annotations

from pathlib import Path

import blake3

from noria.core.errors import NotFound


class InputMissing(NotFound):
    """A path that a step takes leads to no file and no folder."""

    code = "input_missing"

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(
            f"The input `{path}` does not exist", hint="Check the path; it is read from the working folder"
        )


def digest_of_path(path: Path) -> str:
    """Hash the content of a file, or the names and contents of all files under a folder.

    Raises
    ------
    InputMissing
        If there is neither.
    """
    if path.is_file():
        return _digest_of_file(path)
    if not path.is_dir():
        raise InputMissing(path)
    hasher = blake3.blake3()
    for found in sorted(file for file in path.rglob("*") if file.is_file()):
        hasher.update(f"{found.relative_to(path).as_posix()}\0{_digest_of_file(found)}\n".encode())
    return hasher.hexdigest()


def _digest_of_file(path: Path) -> str:
    return blake3.blake3(max_threads=blake3.blake3.AUTO).update_mmap(path).hexdigest()
