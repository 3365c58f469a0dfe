"""Snapshots of a project's code: its Python files, the scripts of its steps and `noria.toml`, as one object."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from noria.core.config import CONFIG_FILE
from noria.core.objects.archives import ArchiveLimits, pack_folder, unpack
from noria.core.objects.digests import hash_stream
from noria.core.objects.sources import Ignore
from noria.core.workspace import Workspace
from noria.pipelines.authoring import Step
from noria.pipelines.sources import MOST_FILES, python_files

LIMITS = ArchiveLimits(n_members=MOST_FILES, member_bytes=4 * 1024 * 1024, total_bytes=64 * 1024 * 1024)


def take_snapshot(workspace: Workspace, root: Path) -> str:
    """Store the code below a folder, and give the digest. Equal code gives equal digests.

    It is the Python files, `noria.toml`, and the files that steps of loaded modules declare (`Step.files`).
    Hidden folders, virtual environments and installed packages are left out, and so are links.

    Raises
    ------
    TooLarge
        If it is more than a project's code: `MOST_FILES` files or 64 MB.
    """
    wanted = _only_code(root)
    digest, _ = hash_stream(pack_folder(root, ignore=wanted, limits=LIMITS))
    store = workspace.objects()
    if store.missing([digest]):
        store.put(pack_folder(root, ignore=wanted, limits=LIMITS), expected=digest)
    return digest


def open_snapshot(workspace: Workspace, digest: str, into: Path) -> Path:
    """Make the folder `into` out of a snapshot.

    Raises
    ------
    ObjectNotFound, ObjectNotInProject
        If the project does not hold it.
    ArchiveInvalid
        If the object is no snapshot.
    """
    unpack(workspace.objects().open(digest), into, limits=LIMITS)
    return into


def _only_code(root: Path) -> Ignore:
    root = root.absolute()
    base = f"{root}{os.sep}" if root.name else str(root)
    kept: set[str] = set()
    for path in (*python_files(root), root / CONFIG_FILE, *_declared_files(root)):
        if path.is_file() and not path.is_symlink():
            # As text: paths of `pathlib` take ten times as long, and a project has hundreds.
            name = str(path).removeprefix(base)
            while name and name not in kept:
                kept.add(name)
                name = name.rpartition("/")[0]
    return lambda path: path not in kept


def _declared_files(root: Path) -> list[Path]:
    """List the files below a folder that steps of the modules in it declare; of a folder, all in it."""
    base = os.path.realpath(root) + os.sep
    places = (base, f"{root}{os.sep}")
    modules = [
        module
        for module in list(sys.modules.values())
        if (file := getattr(module, "__file__", None)) and file.startswith(places) and "-packages" not in file
    ]
    named = [
        Path(os.path.realpath(file))
        for module in modules
        for step in vars(module).values()
        if type(step) is Step
        for file in step.files
    ]
    inside = [path for path in named if str(path).startswith(base)]
    found = [file for path in inside for file in (path.rglob("*") if path.is_dir() else [path])]
    return [root / file.relative_to(base) for file in found]
