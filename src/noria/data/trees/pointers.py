"""Small text files that stand for data in a repository of git: `data.noria` beside the folder `data`.

Such a file is committed, the data is not; `noria data checkout` brings the version that it names. What it stands for
follows from its own name, so that a pointer from elsewhere can name no other place.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from noria.core.errors import Invalid, NotFound

SUFFIX: Final = ".noria"
_LIMIT_BYTES: Final = 65_536
_HEAD: Final = (
    "# Written by `noria data add`. Commit this file; `noria data checkout` brings the data that it names.\n"
)
_TYPES: Final[dict[str, type]] = {
    "name": str,
    "version": int,
    "digest": str,
    "kind": str,
    "size_bytes": int,
    "n_files": int,
}
_KINDS: Final = ("file", "folder")


class PointerInvalid(Invalid):
    """The file is not a pointer, or not one of this form."""

    code = "pointer_invalid"

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"`{path}` is not a pointer to data: {why}",
            hint=f"Take it out of git again, or write it anew with `noria data add {str(path)[: -len(SUFFIX)]}`",
            details={"path": str(path)},
        )


class Pointer(msgspec.Struct, frozen=True, kw_only=True):
    """What a pointer says.

    Attributes
    ----------
    digest
        Of the manifest.
    kind
        `file` or `folder`: what it stands for.
    """

    name: str
    version: int
    digest: str
    kind: str
    size_bytes: int
    n_files: int

    @property
    def ref(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"


def pointer_path(path: Path) -> Path:
    """Give the pointer's place for a file or folder."""
    return path.with_name(path.name + SUFFIX)


def data_path(pointer: Path) -> Path:
    """Give the file or folder that a pointer stands for."""
    return pointer.with_name(pointer.name.removesuffix(SUFFIX))


def write_pointer(path: Path, pointer: Pointer) -> Path:
    """Write the pointer of the file or folder `path`: whole, or not at all."""
    import secrets

    lines = [f"{name} = {_toml(getattr(pointer, name))}\n" for name in _TYPES]
    place = pointer_path(path)
    temporary = place.with_name(f".noria-{secrets.token_hex(8)}.tmp")
    try:
        temporary.write_text(_HEAD + "".join(lines), encoding="utf-8")
        temporary.replace(place)
    finally:
        temporary.unlink(missing_ok=True)
    return place


def read_pointer(path: Path) -> Pointer:
    """Read a pointer, checked.

    Raises
    ------
    NotFound
        If there is none.
    PointerInvalid
        If it is something else, or says what no version can be.
    """
    import tomllib

    try:
        with path.open("rb") as file:
            data = file.read(_LIMIT_BYTES + 1)
    except FileNotFoundError as error:
        raise NotFound(f"There is no pointer `{path}`") from error
    except OSError as error:
        raise PointerInvalid(path, error.strerror or str(error)) from error
    if len(data) > _LIMIT_BYTES:
        raise PointerInvalid(path, f"it has more than {_LIMIT_BYTES} bytes")
    try:
        return _checked(path, tomllib.loads(data.decode()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PointerInvalid(path, str(error)) from error


def pointers_in(folder: Path, *, besides: Collection[str] = ()) -> Iterator[Path]:
    """Give the pointers in a folder and below it, in order; hidden folders and what pointers stand for are left out.

    Parameters
    ----------
    besides
        Absolute paths of folders that are left out too.
    """
    for root, folders, files in os.walk(folder):
        found = sorted(name for name in files if name.endswith(SUFFIX) and name != SUFFIX)
        kept = {name.removesuffix(SUFFIX) for name in found}
        above = os.path.realpath(root)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and name not in kept and f"{above}/{name}" not in besides
        )
        yield from (Path(root, name) for name in found)


def in_git(folder: Path) -> bool:
    """Tell whether a folder lies in a work tree of git."""
    return any((above / ".git").exists() for above in (folder, *folder.parents))


def leave_out_of_git(path: Path) -> bool:
    """Have git leave out `path` by the `.gitignore` of its folder; gives whether that had to be written."""
    line = "/" + _escaped(path.name)
    ignoring = path.with_name(".gitignore")
    present = ignoring.read_text(encoding="utf-8", errors="surrogateescape") if ignoring.exists() else ""
    if line in present.split("\n"):
        return False
    with ignoring.open("a", encoding="utf-8", errors="surrogateescape") as file:
        file.write(("\n" if present and not present.endswith("\n") else "") + line + "\n")
    return True


def _escaped(name: str) -> str:
    escaped = "".join(f"\\{char}" if char in "\\*?[" else char for char in name)
    return escaped[:-1] + "\\ " if escaped.endswith(" ") else escaped


def _toml(value: str | int) -> str:
    return str(value) if isinstance(value, int) else f'"{value}"'


def _checked(path: Path, found: dict[str, Any]) -> Pointer:
    from noria.core.names import check_name
    from noria.core.objects.digests import parse_digest

    for name, kind in _TYPES.items():
        if type(found.get(name)) is not kind:
            raise PointerInvalid(path, f"`{name}` is missing or no {'number' if kind is int else 'text'}")
    pointer = Pointer(**{name: found[name] for name in _TYPES})
    if pointer.version < 1 or pointer.size_bytes < 0 or pointer.n_files < 0 or pointer.kind not in _KINDS:
        raise PointerInvalid(path, "a number or kind in it is none that a version has")
    try:
        check_name("dataset", pointer.name)
        parse_digest(pointer.digest)
    except Invalid as error:
        raise PointerInvalid(path, error.message) from error
    return pointer
