"""Every module of the package, imported, so that a test can ask what there is."""

from __future__ import annotations

import functools
import importlib
import pkgutil
import sys
from collections.abc import Iterator
from typing import TypeVar

import noria

C = TypeVar("C")

_NOT_FOR_IMPORT = ("migrations", "__main__", "project")


@functools.cache
def import_everything() -> tuple[str, ...]:
    """Import every module of `noria` and give the names; migrations and the demo's own project are no modules."""
    names = [module.name for module in pkgutil.walk_packages(noria.__path__, "noria.")]
    kept = [name for name in names if not set(name.split(".")) & set(_NOT_FOR_IMPORT)]
    for name in kept:
        importlib.import_module(name)
    return tuple(kept)


def subclasses_of(cls: type[C]) -> Iterator[type[C]]:
    """Give all subclasses that Noria's modules define, direct and indirect.

    A class that was made at run time is none of them, though it names the same module: the client of a service.
    """
    for inner in cls.__subclasses__():
        if inner.__module__.startswith("noria.") and _is_defined(inner):
            yield inner
        yield from subclasses_of(inner)


def _is_defined(cls: type) -> bool:
    return getattr(sys.modules.get(cls.__module__), cls.__name__, None) is cls
