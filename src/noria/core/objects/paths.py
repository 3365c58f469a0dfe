"""The rules for paths inside a tree: relative, with `/`, and unable to name anything outside of it."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence

from noria.core.errors import Invalid

MAX_PATH_BYTES = 4095  # PATH_MAX of Linux without its closing NUL


class PathRefused(Invalid):
    """A path that could lead out of its tree, or that no file can have."""

    code = "path_refused"

    def __init__(self, path: str, why: str) -> None:
        shown = repr(path[:200])[1:-1]  # with line ends and stray bytes made visible
        super().__init__(
            f"The path `{shown}` is not allowed in a tree: {why}",
            hint="Paths are relative, use `/`, and have no `.`, `..` or empty parts",
            details={"path": shown},
        )


def check_path(path: str) -> None:
    """Refuse a path that is not plainly relative.

    Raises
    ------
    PathRefused
        If it is empty, absolute, too long, not UTF-8, or has a NUL or a part that is empty, `.` or `..`.
    """
    if not _is_plain(path) and (why := _fault(path)):
        raise PathRefused(path, why)


def check_paths(paths: Sequence[str]) -> None:
    """Refuse paths of which one is not plainly relative; raises as `check_path`."""
    # Many thousand at once, in a few looks at all of them together: each path then stands between two line ends.
    joined = "\n".join(paths)
    if (
        joined.isascii()
        and joined.count("\n") == len(paths) - 1
        and not any(part in f"\n{joined}\n" for part in _NOT_PLAIN)
        and max(map(len, paths)) <= MAX_PATH_BYTES
    ):
        return
    for path in paths:
        check_path(path)


_NOT_PLAIN = ("\n\n", "\n/", "\n.", "/\n", "/.", "//", "\0")
"""What no list of plain paths holds that begins and ends each with a line end."""


def _is_plain(path: str) -> bool:
    """Tell in a few looks of most good paths that they are good; of others it says nothing."""
    return (
        0 < len(path) <= MAX_PATH_BYTES
        and path.isascii()
        and path[0] not in "/."
        and path[-1] != "/"
        and "/." not in path
        and "//" not in path
        and "\0" not in path
    )


def _fault(path: str) -> str | None:
    if path.startswith("/"):
        return "it is absolute"
    if "\0" in path:
        return "it has a NUL"
    parts = path.split("/")
    if "" in parts:
        return "a part is empty"
    if "." in parts or ".." in parts:
        return "it has a part `.` or `..`"
    return None if path.isascii() and len(path) <= MAX_PATH_BYTES else _encoding_fault(path)


def _encoding_fault(path: str) -> str | None:
    try:
        n_bytes = len(path.encode())
    except UnicodeEncodeError:
        return "it is not UTF-8"
    return f"it is longer than {MAX_PATH_BYTES} bytes" if n_bytes > MAX_PATH_BYTES else None


def folders_of(path: str) -> list[str]:
    """List the folders above a path, outermost first.

    Examples
    --------
    >>> folders_of("a/b/c.txt")
    ['a', 'a/b']
    """
    parts = path.split("/")[:-1]
    return ["/".join(parts[: n + 1]) for n in range(len(parts))]


def all_folders(paths: Iterable[str]) -> set[str]:
    """Give the folders above some paths.

    Examples
    --------
    >>> sorted(all_folders(["a/b/c.txt", "a/d"]))
    ['a', 'a/b']
    """
    found: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return found


def _spelling(name: str) -> str:
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()


def case_collisions(paths: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Group the paths that a file system without capitals, or without their spelling of accents, takes for one.

    Folders count as well: `A/x` and `a/y` share a folder there.

    Examples
    --------
    >>> case_collisions(["README", "readme", "src/a"])
    (('README', 'readme'),)
    """
    names = set(paths)
    names |= all_folders(names)
    if len({_spelling(name) for name in names}) == len(names):  # as it mostly is
        return ()
    spellings: defaultdict[str, set[str]] = defaultdict(set)
    for name in names:
        spellings[_spelling(name)].add(name)
    return tuple(sorted(tuple(sorted(group)) for group in spellings.values() if len(group) > 1))
