"""Where code comes from: this project, an installed distribution, or Python itself."""

from __future__ import annotations

import functools
import os
import re
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from noria._version import __version__

INSTALLED = ("site-packages", "dist-packages")

Kind = Literal["project", "distribution", "python"]


class Origin(msgspec.Struct, frozen=True):
    """Where a module comes from.

    Attributes
    ----------
    name
        Path of a project's file relative to the root (or the module's name when it lies elsewhere), name of a
        distribution, or "python".
    """

    kind: Kind
    name: str


class Home(msgspec.Struct, frozen=True):
    """The project that a step belongs to.

    Attributes
    ----------
    tree
        Folder whose code is the project's.
    packaged
        True for a step that a package brings along: the project is the folder of its module.
    """

    tree: Path
    packaged: bool = False

    def origin(self, module: str, filename: str | None) -> Origin:
        """Tell where a module's code comes from.

        Code outside of the project, of Python's library and of installed packages (an editable installation, a folder
        on `PYTHONPATH`) has no version to go by and counts as the project's.
        """
        return _origin(self, module, filename)


@functools.lru_cache(maxsize=1024)
def home_of(module: str, filename: str, root: Path) -> Home:
    """Find the project of a step.

    Parameters
    ----------
    module, filename
        Where the step is defined.
    root
        Root of the project that is worked in. A step of an installed package does not lie in it: its project is the
        folder of its module.
    """
    own, root = Path(os.path.realpath(filename)).parent, Path(os.path.realpath(root))
    packaged = _top(module) == "noria" or not own.is_relative_to(root) or _is_installed(str(own))
    return Home(own if packaged else root, packaged)


@functools.lru_cache(maxsize=4096)
def _origin(home: Home, module: str, filename: str | None) -> Origin:
    if filename is None or filename.startswith("<frozen"):
        return Origin("python", "python") if _is_python(_top(module)) else Origin("project", module)
    place, tree = real_place(filename), f"{home.tree}{os.sep}"
    inside = place.startswith(tree) and _is_installed(place) == _is_installed(tree)
    if inside and (home.packaged or _top(module) != "noria"):
        return Origin("project", Path(place.removeprefix(tree)).as_posix())
    if _is_installed(place) or _top(module) == "noria":
        return Origin("distribution", _top(module))
    if place.startswith(_library()):
        return Origin("python", "python")
    return Origin("project", module)


def real_place(filename: str) -> str:
    """Resolve the links in the path of a module; a folder is looked at once, since hundreds of modules lie in it."""
    folder, name = os.path.split(filename)
    place = os.path.join(_real_folder(folder), name)  # noqa: PTH118 - called for each of a thousand modules
    return os.path.realpath(place) if os.path.islink(place) else place  # noqa: PTH114


@functools.lru_cache(maxsize=4096)
def _real_folder(folder: str) -> str:
    return os.path.realpath(folder)


@functools.lru_cache(maxsize=4096)
def is_packaged(module: str) -> bool:
    """Tell whether a loaded module belongs to Python or to an installed package, and so has a version."""
    filename = getattr(sys.modules.get(module), "__file__", None)
    if filename is None or _top(module) == "noria":
        return _is_python(_top(module)) or _top(module) == "noria"
    return is_library(real_place(filename))


def is_library(filename: str) -> bool:
    """Tell whether a file belongs to Python or to an installed package; links in its path are resolved."""
    return _is_installed(filename) or filename.startswith(_library())


def _is_installed(place: str) -> bool:
    return not set(place.split(os.sep)).isdisjoint(INSTALLED)  # noqa: PTH206 - as above


def _top(module: str) -> str:
    return module.partition(".")[0]


@functools.cache
def _library() -> tuple[str, ...]:
    """Give the folders of Python's own library, each with a separator at its end."""
    places = {os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
    return tuple(f"{place}{os.sep}" for place in places)


def _is_python(top: str) -> bool:
    return top in sys.stdlib_module_names or top in sys.builtin_module_names


@functools.cache
def version_of(top: str) -> str:
    """Give `name version` of the distribution that a top-level package comes with.

    The distribution of the same name is looked up first, since to look into the lists of all takes longer.
    """
    if top == "noria":
        return f"{top} {__version__}"
    # Loaded where it is needed: it takes a fifth of the time in which a process for steps is ready.
    import importlib.metadata

    try:
        return f"{top} {importlib.metadata.version(top)}"
    except importlib.metadata.PackageNotFoundError:
        pass
    found = [f"{name} {importlib.metadata.version(name)}" for name in distributions_with([top])[top]]
    return ", ".join(found) or f"{top} of unknown version"


def distributions_with(tops: Iterable[str]) -> dict[str, list[str]]:
    """List the distributions that bring each of some top-level packages, by what they declare or else list as files.

    `importlib.metadata.packages_distributions` tells the same of all packages, and takes a third of a second to parse
    every file and all metadata of an environment of two hundred distributions, which `sklearn` would cost each run.
    """
    import importlib.metadata

    codes = {top: _code_of(top) for top in tops}
    found: dict[str, set[str]] = {top: set() for top in codes}
    for one in importlib.metadata.distributions():
        declared = (one.read_text("top_level.txt") or "").split()
        listed = "" if declared else one.read_text("RECORD") or one.read_text("installed-files.txt") or ""
        for top, code in codes.items():
            if top in declared or (top in listed and code.search(listed) is not None):
                found[top].add(one.name)
    return {top: sorted(names) for top, names in found.items()}


def _code_of(top: str) -> re.Pattern[str]:
    """Give what finds the code of a top-level package in a list of files."""
    return re.compile(rf'^"?{re.escape(top)}(?:/[^,\n]+)?\.(?:[\w-]+\.)*(?:py|so|pyd)"?(?:,|$)', re.MULTILINE)


def installed_distributions() -> dict[str, str]:
    """List the names and versions of everything that can be imported, read from the names of metadata folders."""
    found: dict[str, str] = {}
    for entry in sys.path:
        for name in _names_in(entry or "."):
            stem, _, suffix = name.rpartition(".")
            if suffix in ("dist-info", "egg-info") and "-" in stem:
                distribution, version = stem.split("-", 2)[:2]
                found.setdefault(distribution, version)
    return dict(sorted(found.items()))


def _names_in(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names are enough, and there are hundreds
    except OSError:
        return []


def python_version() -> str:
    """Give the minor version of Python that runs: `3.11`."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"
