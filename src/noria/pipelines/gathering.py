"""What the walk through a step's code gathers: code, values, bindings, versions, and what stands in the way."""

from __future__ import annotations

import importlib.machinery
import sys
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import msgspec

from noria.pipelines.authoring import Pipeline, Step
from noria.pipelines.distributions import Home, Origin, version_of
from noria.pipelines.members import stands_by_name, values_of_function
from noria.pipelines.values import Fingerprint, Unfingerprintable, fingerprint, place_of


class Reach(msgspec.Struct):
    """What was found.

    Attributes
    ----------
    code
        `pipeline.py:load` → digest of its syntax tree.
    constants
        `pipeline.py:RATE` → fingerprint of its value.
    bindings
        `pipeline.py:fit` → what the name stands for, where that is not what is defined there under this name.
    distributions
        `numpy` → `numpy 2.4.6`.
    dynamic
        Constructs that hide code; the whole project belongs to the key then.
    refused
        What has no fingerprint, in words; there is no key then.
    texts
        Every text in the code and its variables: what it may name.
    elsewhere
        Modules of the project outside of its folder, on `PYTHONPATH` or editable, by name.
    reads_environment
        Whether `os.environ` or `os.getenv` is looked up.
    """

    code: dict[str, str] = msgspec.field(default_factory=dict)
    constants: dict[str, Fingerprint] = msgspec.field(default_factory=dict)
    bindings: dict[str, str] = msgspec.field(default_factory=dict)
    distributions: dict[str, str] = msgspec.field(default_factory=dict)
    dynamic: set[str] = msgspec.field(default_factory=set)
    refused: list[str] = msgspec.field(default_factory=list)
    texts: set[str] = msgspec.field(default_factory=set)
    elsewhere: list[tuple[str, Path]] = msgspec.field(default_factory=list)
    reads_environment: bool = False


class Gathering:
    """Takes in what is found, and tells where it comes from.

    Parameters
    ----------
    home
        The project of the step.
    """

    def __init__(self, home: Home) -> None:
        self.found = Reach()
        self.home = home

    def file_of_scope(self, scope: dict[str, Any]) -> str:
        """Give the file whose module variables these are."""
        return self.home.origin(str(scope.get("__name__", "")), scope.get("__file__")).name

    def bind_in(self, scope: dict[str, Any], name: str, value: Any) -> None:
        """Note what a module variable stands for."""
        self.bind(f"{self.file_of_scope(scope)}:{name}", value, name, str(scope.get("__name__", "")))

    def bind(self, where: str, value: Any, name: str, module: str) -> None:
        """Note what a name stands for, unless it is what its module defines under this name."""
        if isinstance(value, ModuleType):
            if value.__name__ != name:
                self.found.bindings[where] = value.__name__
            return
        value = value.function if isinstance(value, (Step, Pipeline)) else value
        if not isinstance(value, (FunctionType, type)):
            return
        carries = isinstance(value, FunctionType) and next(values_of_function(value), None) is not None
        if carries or not stands_by_name(value):
            try:
                self.found.bindings[where] = f"{called(value)} {fingerprint(value).digest}"
            except Unfingerprintable:
                self.found.bindings[where] = called(value)  # following it refuses the key, and says why
        elif (value.__module__, value.__qualname__) != (module, name):
            self.found.bindings[where] = called(value)

    def origin_of(self, module: ModuleType) -> Origin:
        """Tell where a module comes from."""
        return self.home.origin(module.__name__, getattr(module, "__file__", None) or _folder_of(module))

    def origin_of_name(self, name: str) -> Origin:
        """Tell where a module comes from without importing it."""
        top = name.partition(".")[0]
        loaded = sys.modules.get(name) or sys.modules.get(top)
        if loaded is not None:
            return self.origin_of(loaded)
        if top in sys.stdlib_module_names:
            return Origin("python", "python")
        spec = importlib.machinery.PathFinder.find_spec(top)
        return self.home.origin(top, _place_of(spec)) if spec else Origin("distribution", top)

    def note(self, origin: Origin) -> None:
        """Take in the version of what is reached, if it has one."""
        if origin.kind == "distribution" and origin.name not in self.found.distributions:
            self.found.distributions[origin.name] = version_of(origin.name)

    def add_code(self, where: str, digest: str) -> None:
        """Take in a definition."""
        # Several definitions of one name: in whatever order they are met, they give the same.
        known = self.found.code.get(where, digest).split("+")
        self.found.code[where] = "+".join(sorted({*known, digest}))

    def refuse(self, what: str, because: str) -> None:
        """Take in that something has no fingerprint."""
        text = f"{what} {because}" if because.startswith("it ") else f"{what} is {because}"
        if text not in self.found.refused:
            self.found.refused.append(text)


def both(one: Fingerprint, other: Fingerprint) -> Fingerprint:
    """Give one fingerprint for the values of two functions or classes of one name."""
    digests = sorted({*one.digest.split("+"), *other.digest.split("+")})
    return Fingerprint("+".join(digests), "<several>", (*one.code, *other.code))


def called(thing: Any) -> str:
    """Give the module and name of a function or class."""
    return f"{place_of(thing)}.{getattr(thing, '__qualname__', type(thing).__qualname__)}"


def _folder_of(module: ModuleType) -> str | None:
    # A namespace package has no file, but folders.
    paths = list(getattr(module, "__path__", ()))
    return f"{paths[0]}/__init__.py" if paths else None


def _place_of(spec: importlib.machinery.ModuleSpec) -> str | None:
    folders = list(spec.submodule_search_locations or ())
    return spec.origin or (f"{folders[0]}/__init__.py" if folders else None)
