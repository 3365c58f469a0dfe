"""The state of the places that were added or checked out here, and of the pointers beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from noria.core.errors import NotFound
from noria.data.trees.changes import Changes, absolute, changes_of
from noria.data.trees.pointers import SUFFIX, data_path, pointer_path, pointers_in, read_pointer
from noria.data.trees.stat_index import StatIndex

CLEAN: Final = "clean"
CHANGED: Final = "changed"
MISSING: Final = "missing"
BEHIND: Final = "behind"
UNKNOWN: Final = "unknown"


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a place stands.

    Attributes
    ----------
    ref
        The version that it is compared with: what it was made equal to last.
    pointer
        The version that the pointer beside it names; None without one.
    state
        `clean`; `changed`; `missing`: nothing is there; `behind`: the pointer names another version than it was made
        equal to; `unknown`: there is something, and it was neither added nor checked out here.
    """

    path: str
    ref: str | None
    pointer: str | None
    state: str
    changes: Changes


def standings(index: StatIndex, folder: Path) -> list[Standing]:
    """Tell how the places at and below a folder stand, by the index and by pointers."""
    found = {place.path for place in index.places_below(absolute(folder))}
    if folder.is_dir():
        found.update(
            absolute(data_path(pointer)) for pointer in pointers_in(folder, besides=frozenset(found))
        )
    return [standing(index, Path(path)) for path in sorted(found)]


def standing(index: StatIndex, path: Path) -> Standing:
    """Tell how one place stands.

    Raises
    ------
    NotFound
        If nothing is known of it.
    PointerInvalid
        If the pointer beside it cannot be read.
    """
    if path.name.endswith(SUFFIX) and path.is_file():
        path = data_path(path)
    place = index.place(absolute(path))
    beside = pointer_path(path)
    pointer = read_pointer(beside) if beside.exists() else None
    if place is None and pointer is None:
        raise NotFound(
            f"Nothing is known of `{path}`",
            hint=f"Add it with `noria data add {path}`, or see `noria data status` for what is",
        )
    changes = Changes()
    if not path.exists():
        state = MISSING
    elif place is None:
        state = UNKNOWN
    else:
        changes = changes_of(index, path)
        is_behind = pointer is not None and pointer.digest != place.digest
        state = CHANGED if changes else BEHIND if is_behind else CLEAN
    return Standing(
        path=_shown(path),
        ref=place.ref if place else None,
        pointer=pointer.ref if pointer else None,
        state=state,
        changes=changes,
    )


def _shown(path: Path) -> str:
    """Give a path as seen from the working folder, if it is below it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
