"""Import packages without what they import for uses that no command has.

SQLAlchemy imports `asyncio` (with TLS and sockets), `importlib.metadata` (with a parser of mail), `hashlib` (with
OpenSSL) and, with SQLite's dialect, a driver for `asyncio`: together a tenth of what a short command takes. Typer
imports what starts other programs, to open a browser and to install completion. Python's own `dataclasses` imports
what takes source code apart, for classes without a docstring; `shutil` looks whether it could pack archives; msgspec
and pyfastcdc take from `typing_extensions` what Python has; pools of threads have a log for callbacks that fail, and
zstandard asks which Python this is. While one of these is imported, stand-ins take the places of what it has no use
for; the package keeps them (as does a module of Python's library that it imports first), and they give what they stand
for when they are first asked. Once the package is there they stand aside.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
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
    "concurrent.futures._base": ("logging",),
    "dataclasses": ("inspect",),
    "msgspec._json_schema": ("textwrap",),
    "msgspec._utils": ("typing_extensions",),
    "pyfastcdc.common": ("typing_extensions",),
    "shutil": ("bz2", "lzma"),
    "urllib.parse": ("ipaddress",),
    "uuid": ("platform",),
    "zstandard": ("platform",),
}


class StandIn(ModuleType):
    """Stands for a module that is imported when something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name == "__path__" and self.__name__ in _TAKEN_FROM:
            raise AttributeError(name)  # asked by `from … import …`; it is no package
        taken = _TAKEN.get((self.__name__, name))
        if taken is not None:
            return taken()
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def _is_coroutine(value: object) -> bool:
    import asyncio

    return asyncio.iscoroutine(value)


class LateLogger:
    """Stands for the log of a name until something is done with it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        import logging

        return getattr(logging.getLogger(self._name), attribute)


def _implementation() -> str:
    if sys.implementation.name == "cpython":
        return "CPython"
    import platform

    return platform.python_implementation()


def _of_typing(name: str) -> Callable[[], Any]:
    def give() -> Any:
        import typing

        return getattr(typing, name)

    return give


_TAKEN: Final[Mapping[tuple[str, str], Callable[[], Any]]] = {
    ("asyncio", "iscoroutine"): lambda: _is_coroutine,
    ("logging", "getLogger"): lambda: LateLogger,
    ("platform", "python_implementation"): lambda: _implementation,
    ("platform", "system"): lambda: lambda: os.uname().sysname,
    # From Python 3.11 on they are the same, or of protocols for type checkers as good as; of hints, if all that belongs
    # to them is asked for, as msgspec does.
    ("typing_extensions", "Literal"): _of_typing("Literal"),
    ("typing_extensions", "NotRequired"): _of_typing("NotRequired"),
    ("typing_extensions", "Protocol"): _of_typing("Protocol"),
    ("typing_extensions", "Required"): _of_typing("Required"),
    ("typing_extensions", "get_type_hints"): _of_typing("get_type_hints"),
}
"""What is taken of modules while they are stood in for, and what gives the same without them."""

_TAKEN_FROM: Final = frozenset({"typing_extensions"})
"""Those of which it is taken by name."""


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
    """Have these packages imported so from now on, in this process."""
    if not any(isinstance(finder, LeanImports) for finder in sys.meta_path):
        sys.meta_path.insert(0, LeanImports())
