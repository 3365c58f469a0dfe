"""Write the folders that images are built from.

A folder holds all that its image needs and nothing of the machine that wrote it: no index, no password, no path.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from noria.core.errors import Conflict, Invalid, NotFound
from noria.core.objects.disk import storage_errors
from noria.core.serialisation import to_json
from noria.delivery.images.containerfiles import (
    HEAD,
    ModelImage,
    base_containerfile,
    base_requirements,
    model_containerfile,
)
from noria.registry.packages.entities import LOCK_FILE, Verified
from noria.registry.packages.fetching import fetch_layout
from noria.registry.packages.pylock import Lock, read_lock

if TYPE_CHECKING:
    from noria.core.workspace import Workspace

CONTAINERFILE: Final = "Containerfile"
_PARTS: Final = (CONTAINERFILE, "requirements.txt", "noria.toml", "wheels", "package")
_NOTE: Final = "Wheels that no index has. The folder may hold this file alone.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """A folder that an image is built from.

    Attributes
    ----------
    base
        Image that it stands on.
    package
        Digest of the package in it; None in the base.
    n_wheels
        Wheels in it.
    """

    folder: str
    base: str
    n_wheels: int
    ref: str | None = None
    endpoint: str | None = None
    package: str | None = None


def write_base(folder: Path, *, python: str, extras: Sequence[str], wheels: Path | None) -> Context:
    """Write the folder of the base; every wheel of `wheels` goes into it.

    Raises
    ------
    Conflict
        If the folder holds something else, or what it is made from.
    NotFound
        If there is no folder `wheels`.
    """
    found = [] if wheels is None else list(_wheels(wheels, apart_from=folder).values())
    with _emptied(folder):
        (folder / CONTAINERFILE).write_text(base_containerfile(python), encoding="utf-8")
        (folder / "requirements.txt").write_text(base_requirements(extras), encoding="utf-8")
        _put_wheels(folder, found)
    return Context(folder=str(folder), base=python, n_wheels=len(found))


def write_model(
    workspace: Workspace,
    reference: str,
    folder: Path,
    *,
    base: str,
    endpoint: str | None = None,
    wheels: Path | None = None,
) -> Context:
    """Write the folder of a model's image: its package, verified, with its lock and the key that signed it.

    Parameters
    ----------
    reference
        A package, wherever it is, or `model@version` of one that the workspace holds.
    endpoint
        Name under which the image answers; the model's when None.
    wheels
        Folder of wheels; those that the lock names go into the context.

    Raises
    ------
    Conflict
        If the folder holds something else, or what it is made from.
    Invalid
        If the lock of the package is incomplete, or loading its model takes a consent, which no image has.
    PackageNotFound
        If there is no such package; else as `verify_package`.
    """
    from noria.registry.packages.layout import Layout
    from noria.registry.packages.moving import copy
    from noria.registry.packages.opening import trust_of
    from noria.registry.packages.verify import check_package, verify_package

    trust = trust_of(workspace)
    with fetch_layout(workspace, reference) as (layout, descriptor):
        _check_apart(layout.folder, folder)
        told = verify_package(layout, descriptor, trust)
        checked = check_package(layout, descriptor, trust)
        _refuse_pickles(told, pickled=checked.config.pickled)
        lock = read_lock(layout.read(checked.layers[LOCK_FILE], checked.layers[LOCK_FILE].size))
        requirements = lock.requirements()
        found = [] if wheels is None else _locked_wheels(lock, _wheels(wheels, apart_from=folder))
        image = ModelImage(
            endpoint=endpoint or told.model,
            ref=told.model if told.version is None else f"{told.model}@{told.version}",
            digest=told.digest,
            base=base,
        )
        with _emptied(folder):
            (folder / CONTAINERFILE).write_text(model_containerfile(image), encoding="utf-8")
            (folder / "requirements.txt").write_text(requirements, encoding="utf-8")
            (folder / "noria.toml").write_text(_settings(told, trust.keys[told.signed_by]), encoding="utf-8")
            _put_wheels(folder, found)
            copy(layout, descriptor, Layout.make(folder / "package"))
    return Context(
        folder=str(folder),
        base=base,
        n_wheels=len(found),
        ref=image.ref,
        endpoint=image.endpoint,
        package=image.digest,
    )


def _refuse_pickles(told: Verified, *, pickled: bool) -> None:
    if pickled:
        raise Invalid(
            f"Loading `{told.model}` runs pickles, which takes the consent of a workspace, and an image has none",
            hint="Let a server that consented hand it out: `noria k8s render endpoint NAME --server URL`",
        )


def _settings(told: Verified, public: str) -> str:
    """Give the settings in the image: only who signed the package is trusted."""
    return f"[packages.trusted_keys]\n{_toml(told.key_id)} = {_toml(public)}\n"


def _toml(text: str) -> str:
    return to_json(text).decode()  # both are hexadecimal digits and Base64


@contextmanager
def _emptied(folder: Path) -> Iterator[None]:
    """Make a folder, or empty one that an earlier context is in.

    Raises
    ------
    Conflict
        If it holds anything else; nothing is removed then.
    """
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        present = sorted(place.name for place in folder.iterdir())
        foreign = [name for name in present if name not in _PARTS]
        if present and (foreign or not _is_ours(folder / CONTAINERFILE)):
            raise Conflict(
                f"`{folder}` holds `{(foreign or present)[0]}`, which is of no earlier context",
                hint="Give an empty folder with `--out`",
            )
        for name in present:
            place = folder / name
            shutil.rmtree(place) if place.is_dir() and not place.is_symlink() else place.unlink()
        yield


def _is_ours(place: Path) -> bool:
    return place.is_file() and place.read_bytes().startswith(HEAD.encode())


def _check_apart(source: Path, folder: Path) -> None:
    """Refuse to empty a folder that something is taken from."""
    if source.resolve().is_relative_to(folder.resolve()):
        raise Conflict(
            f"`{source}` is in `{folder}`, which is emptied first", hint="Give another folder with `--out`"
        )


def _wheels(folder: Path, *, apart_from: Path) -> dict[str, Path]:
    """Find the wheels in a folder by their names."""
    _check_apart(folder, apart_from)
    if not folder.is_dir():
        raise NotFound(f"There is no folder `{folder}`", hint="`--wheels` names a folder with `*.whl` in it")
    return {place.name: place for place in sorted(folder.glob("*.whl"))}


def _locked_wheels(lock: Lock, present: dict[str, Path]) -> list[Path]:
    """Choose the wheels that the lock names, bytes included."""
    wanted = {file.name: file.sha256 for each in lock.distributions for file in each.wheels}
    return [place for name, place in present.items() if name in wanted and _sha256(place) == wanted[name]]


def _sha256(place: Path) -> str:
    with place.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _put_wheels(folder: Path, wheels: Iterable[Path]) -> None:
    (folder / "wheels").mkdir()
    (folder / "wheels" / "README").write_text(_NOTE, encoding="utf-8")
    for place in wheels:
        shutil.copyfile(place, folder / "wheels" / place.name)
