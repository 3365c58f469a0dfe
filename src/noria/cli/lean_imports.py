"""Import SQLAlchemy and Typer without what they import for uses that no command has.

SQLAlchemy imports `asyncio` (with TLS and sockets), `importlib.metadata` (with a parser of mail), `hashlib` (with
OpenSSL) and, with SQLite's dialect, a driver for `asyncio`: together a tenth of what a short command takes. Typer
imports what starts other programs, to open a browser and to install completion. While one of these packages is
imported, stand-ins take their places; the package keeps them (as does a module of Python's library that it imports
first), and they give what they stand for when they are first asked. Once the package is there they stand aside.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from importlib.abc import Loader

_LEFT_OUT: Final = {
    "typer": ("shellingham", "subprocess"),
    "sqlalchemy": ("asyncio", "hashlib", "importlib.metadata"),
    "sqlalchemy.dialects.sqlite": (
        "sqlalchemy.dialects.sqlite.aiosqlite",
        "sqlalchemy.dialects.sqlite.pysqlcipher",
    ),
}
_TAKEN_FROM_ASYNCIO: Final = "iscoroutine"
"""The one thing of `asyncio` that SQLAlchemy takes while it is imported."""


class StandIn(ModuleType):
    """Stands for a module that is imported when something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if self.__name__ == "asyncio" and name == _TAKEN_FROM_ASYNCIO:
            return _is_coroutine
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def _is_coroutine(value: object) -> bool:
    import asyncio

    return asyncio.iscoroutine(value)


class LeanImports:  # no `MetaPathFinder`: to import that would cost a part of what is won
    """Finds these packages as they are, and has them imported without what is left out."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Give the package's spec with a loader of ours; None for everything else."""
        if fullname not in _LEFT_OUT:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = cast("Loader", _Lean(spec.loader))
        return spec


class _Lean:
    """Loads a package as its own loader does, while stand-ins are in place."""

    def __init__(self, own: Loader) -> None:
        self._own = own

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._own.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # Whoever looks for the package's files later asks its own loader.
        module.__loader__ = self._own
        if module.__spec__ is not None:
            module.__spec__.loader = self._own
        with _standing_in(_LEFT_OUT[module.__name__]):
            self._own.exec_module(module)


@contextmanager
def _standing_in(names: Sequence[str]) -> Iterator[None]:
    """Put stand-ins in the places of modules that are not imported yet."""
    placed = [StandIn(name) for name in names if name not in sys.modules]
    sys.modules.update({each.__name__: each for each in placed})
    try:
        yield
    finally:
        for each in placed:
            if sys.modules.get(each.__name__) is each:
                del sys.modules[each.__name__]


def import_leanly() -> None:
    """Have SQLAlchemy and Typer imported so from now on, in this process."""
    if not any(isinstance(finder, LeanImports) for finder in sys.meta_path):
        sys.meta_path.insert(0, LeanImports())
