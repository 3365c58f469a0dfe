"""Paths of files as a tree of folders. Pure; `templates/_tree.html` shows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file, or a folder with what is in it.

    Attributes
    ----------
    url
        Where a file is shown; None for folders, and for files that are not shown.
    is_current
        Whether the page shows this file.
    is_open
        Whether a folder stands open.
    entries
        Of a folder: folders first, each by name.
    n_files
        Files in a folder, at any depth.
    """

    name: str
    size_bytes: int | None = None
    url: str | None = None
    is_current: bool = False
    is_open: bool = False
    entries: tuple[Entry, ...] = ()
    n_files: int = 1


def file_tree(
    files: Sequence[tuple[str, int | None]], url: Callable[[str], str | None], *, current: str = ""
) -> tuple[Entry, ...]:
    """Make a tree of files.

    Parameters
    ----------
    files
        Path, with `/` between its parts, and size.
    url
        Gives where a path is shown.
    current
        Path of the file that the page shows; the folders round it stand open, as does a folder that is alone.

    Examples
    --------
    >>> tree = file_tree([("b.txt", 1), ("a/x", 2), ("a/y", 3)], lambda path: path)
    >>> [(entry.name, entry.n_files) for entry in tree], [entry.url for entry in tree[0].entries]
    ([('a', 2), ('b.txt', 1)], ['a/x', 'a/y'])
    """
    parted = [(path.split("/"), path, size) for path, size in files]
    return _entries(parted, 0, url, current)


_Parted = tuple[list[str], str, int | None]


def _entries(
    files: Sequence[_Parted], depth: int, url: Callable[[str], str | None], current: str
) -> tuple[Entry, ...]:
    folders: dict[str, list[_Parted]] = {}
    leaves = []
    for parts, path, size in files:
        if len(parts) > depth + 1:
            folders.setdefault(parts[depth], []).append((parts, path, size))
        else:
            leaves.append(Entry(name=parts[-1], size_bytes=size, url=url(path), is_current=path == current))
    made = [
        Entry(
            name=name,
            entries=_entries(inner, depth + 1, url, current),
            n_files=len(inner),
            is_open=len(folders) == 1 or any(path == current for _, path, _ in inner),
        )
        for name, inner in sorted(folders.items())
    ]
    return (*made, *sorted(leaves, key=lambda entry: entry.name))
