"""What a step's code reaches: functions, classes and module variables of the project, and installed distributions.

The code that runs says which names it looks up; they are resolved in the live modules, so what a name stands for now
is what counts. Functions and classes are followed by their code, every other value by its fingerprint.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import inspect
import os
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FunctionType, ModuleType
from typing import Any

from noria.core.errors import NotFound
from noria.pipelines.authoring import Pipeline, Step
from noria.pipelines.distributions import Home, Origin, version_of
from noria.pipelines.lookups import Names, names_of
from noria.pipelines.sources import (
    digest_of_code,
    digest_of_definition,
    dynamic_constructs,
    dynamic_names,
    read_source,
)
from noria.pipelines.values import Fingerprint, Unfingerprintable, fingerprint, module_of

_MISSING = object()
_ENVIRONMENT = frozenset({"environ", "environb", "getenv", "getenvb"})


@dataclass(slots=True)
class Reach:
    """What was found.

    Attributes
    ----------
    code
        `pipeline.py:load` → digest of its syntax tree.
    constants
        `pipeline.py:RATE` → fingerprint of its value.
    distributions
        `numpy` → `numpy 2.4.6`.
    dynamic
        Constructs that hide code; the whole project belongs to the key then.
    refused
        What has no fingerprint, in words; there is no key then.
    texts
        Every text in the code and its variables: what it may name.
    reads_environment
        Whether `os.environ` or `os.getenv` is looked up.
    """

    code: dict[str, str] = field(default_factory=dict)
    constants: dict[str, Fingerprint] = field(default_factory=dict)
    distributions: dict[str, str] = field(default_factory=dict)
    dynamic: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)
    texts: set[str] = field(default_factory=set)
    reads_environment: bool = False


def reach_of(function: Callable[..., Any], home: Home, also: tuple[Any, ...] = ()) -> Reach:
    """Follow a step's function.

    Parameters
    ----------
    also
        More functions and classes to follow: those that its inputs refer to.
    """
    walk = _Walk(home)
    walk.follow(function, as_step=True)
    for thing in also:
        walk.follow(thing)
    return walk.found


def find_named(name: str) -> Any:
    """Give the function or class that `module:name` stands for.

    Raises
    ------
    NotFound
        If there is none any more.
    """
    module, _, qualname = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in qualname.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise NotFound(f"`{name}`, which a stored output refers to, does not exist any more") from error
    return found


class _Walk:
    def __init__(self, home: Home) -> None:
        self.found = Reach()
        self._home = home
        self._seen: dict[int, Any] = {}

    def follow(self, thing: Any, *, as_step: bool = False) -> None:
        """Take in a function, a class, or a thing known by its name."""
        if id(thing) in self._seen:
            return
        self._seen[id(thing)] = thing
        if isinstance(thing, (Step, Pipeline)):
            self.follow(thing.function, as_step=True)
        elif isinstance(thing, FunctionType):
            self._follow_function(thing, as_step=as_step)
        elif isinstance(thing, type):
            self._follow_class(thing)
        elif isinstance(thing, ModuleType):
            self._follow_module(thing)
        else:
            self._follow_named(thing)

    def _follow_function(self, function: FunctionType, *, as_step: bool) -> None:
        origin = self._home.origin(function.__module__ or "", _file_of(function))
        wrapped = getattr(function, "__wrapped__", None)
        if wrapped is not None:
            self.follow(wrapped)
        for registered in _registered_functions(function):
            self.follow(registered)
        self._note(origin)
        if origin.kind == "python":
            return
        where = f"{origin.name}:{function.__qualname__}"
        if origin.kind == "project":
            self._read_function(function, where, as_step=as_step)
        if origin.kind == "project" or "<locals>" in function.__qualname__:
            self._follow_cells(function, where)

    def _read_function(self, function: FunctionType, where: str, *, as_step: bool) -> None:
        code = function.__code__
        source = read_source(code.co_filename)
        node = source.definition_of(code) if source else None
        if node is None:
            self._add_code(where, digest_of_code(code))
            self.found.dynamic.update(dynamic_names(code))
        else:
            self._add_code(where, digest_of_definition(node, as_step=as_step))
            self.found.dynamic.update(dynamic_constructs(node))
        defaults = (function.__defaults__, function.__kwdefaults__)
        if any(defaults):
            self._add_value(f"{where}()", defaults, f"a default of `{function.__qualname__}`")
        self._follow_names(names_of(code), function.__globals__, where)

    def _follow_cells(self, function: FunctionType, where: str) -> None:
        names = names_of(function.__code__)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                value = cell.cell_contents
            except ValueError:
                continue  # not set yet: a function that is defined further down
            if isinstance(value, ModuleType):
                self._follow_attributes(value, names.attributes, name)
            else:
                self._add_value(
                    f"{where}.{name}", value, f"`{name}`, which `{function.__qualname__}` closes over,"
                )

    def _follow_class(self, kind: type) -> None:
        module = sys.modules.get(kind.__module__)
        origin = self._home.origin(kind.__module__, getattr(module, "__file__", None))
        self._note(origin)
        if origin.kind != "project":
            return
        where = f"{origin.name}:{kind.__qualname__}"
        self._read_class(kind, where, getattr(module, "__file__", None))
        for base in (*kind.__mro__[1:], type(kind)):
            self.follow(base)
        for name, member in vars(kind).items():
            for function in _functions_in(member):
                self.follow(function)
            if not name.startswith("__") and isinstance(member, (bool, int, float, str, bytes, tuple)):
                self._add_value(f"{where}.{name}", member, f"`{kind.__qualname__}.{name}`")

    def _read_class(self, kind: type, where: str, filename: str | None) -> None:
        source = read_source(filename) if filename else None
        for node in source.classes(kind.__qualname__) if source else []:
            self._add_code(where, digest_of_definition(node))
            self.found.dynamic.update(dynamic_constructs(node))
        module = sys.modules.get(kind.__module__)
        for code in source.class_codes(kind.__qualname__) if source else []:
            self._follow_names(names_of(code), vars(module) if module else {}, where)

    def _follow_module(self, module: ModuleType) -> None:
        origin = self._origin_of(module)
        self._note(origin)
        if origin.kind == "project":
            self.found.dynamic.add(f"the module `{module.__name__}` as a value")

    def _follow_named(self, thing: Any) -> None:
        if type(thing).__module__ == "functools" and hasattr(thing, "__wrapped__"):
            self.follow(thing.__wrapped__)
            return
        module = sys.modules.get(module_of(thing))
        origin = self._origin_of(module) if module else Origin("python", "python")
        self._note(origin)
        if origin.kind == "project":
            self._refuse(f"`{thing!r:.60}`", f"a `{type(thing).__qualname__}` is known by its name only")

    def _follow_names(self, names: Names, scope: dict[str, Any], where: str) -> None:
        self.found.texts.update(names.texts)
        for name in sorted(names.assigned | names.rebound):
            self._refuse(f"`{where.partition(':')[2]}`", f"it sets the variable `{name}` outside of itself")
        for chain in names.chains:
            self._follow_chain(chain, scope)
        self.found.dynamic.update(f"an assignment to `{'.'.join(chain)}`" for chain in names.patched)
        for module, level, members in names.imports:
            self._follow_import(module, level, members, names.attributes, scope)

    def _follow_chain(self, chain: tuple[str, ...], scope: dict[str, Any]) -> None:
        name = chain[0]
        if scope.get(name) is os and not _ENVIRONMENT.isdisjoint(chain):
            self.found.reads_environment = True
        value = scope.get(name, _MISSING)
        if value is _MISSING or name == "__name__":
            return  # a builtin, or a name that does not exist: the step will say so when it runs
        for attribute in chain[1:]:
            if not isinstance(value, ModuleType) or self._origin_of(value).kind != "project":
                break
            scope, name = vars(value), attribute
            value = getattr(value, attribute, _MISSING)
        if value is _MISSING:
            self.found.dynamic.add(f"`{'.'.join(chain)}`, which its module makes up")
        else:
            self._follow_value(value, name, scope)

    def _follow_value(self, value: Any, name: str, scope: dict[str, Any]) -> None:
        if value is os.environ or value is os.getenv:
            self.found.reads_environment = True
            return
        if _is_code(value):
            self.follow(value)
            return
        file = self._home.origin(str(scope.get("__name__", "")), scope.get("__file__")).name
        self._add_value(f"{file}:{name}", value, f"the variable `{name}` of {file}")

    def _follow_import(
        self,
        name: str,
        level: int,
        members: tuple[str, ...],
        attributes: frozenset[str],
        scope: dict[str, Any],
    ) -> None:
        package = str(scope.get("__package__") or "")
        full = importlib.util.resolve_name("." * level + name, package) if level else name
        origin = self._origin_of_name(full)
        self._note(origin)
        if origin.kind != "project":
            if full == "os" and not _ENVIRONMENT.isdisjoint({*attributes, *members}):
                self.found.reads_environment = True
            return
        try:
            module = importlib.import_module(full)
            for member in members:
                if not hasattr(module, member):
                    importlib.import_module(f"{full}.{member}")
        except Exception:  # noqa: BLE001 - the step meets the same error when it runs, and reports it with its place
            self.found.dynamic.add(f"`import {full}`, which fails")
            return
        for member in members:
            self._follow_member(module, member, attributes)
        if not members:
            self._follow_attributes(module, attributes, full)

    def _follow_member(self, module: ModuleType, member: str, attributes: frozenset[str]) -> None:
        value = getattr(module, member)
        if isinstance(value, ModuleType) and self._origin_of(value).kind == "project":
            self._follow_attributes(value, attributes, member)
        else:
            self._follow_value(value, member, vars(module))

    def _follow_attributes(self, module: ModuleType, attributes: frozenset[str], name: str) -> None:
        """Follow a module that a local variable holds: whatever it has under a name that the code looks up."""
        if self._origin_of(module).kind != "project":
            self._note(self._origin_of(module))
            return
        looked_up = [attribute for attribute in attributes if attribute in vars(module)]
        if not looked_up:
            self.found.dynamic.add(f"the module `{name}` as a value")
        for attribute in looked_up:
            self._follow_member(module, attribute, attributes)

    def _origin_of(self, module: ModuleType) -> Origin:
        return self._home.origin(module.__name__, getattr(module, "__file__", None) or _folder_of(module))

    def _origin_of_name(self, name: str) -> Origin:
        """Tell where a module comes from without importing it."""
        top = name.partition(".")[0]
        loaded = sys.modules.get(name) or sys.modules.get(top)
        if loaded is not None:
            return self._origin_of(loaded)
        if top in sys.stdlib_module_names:
            return Origin("python", "python")
        spec = importlib.machinery.PathFinder.find_spec(top)
        return self._home.origin(top, _place_of(spec)) if spec else Origin("distribution", top)

    def _note(self, origin: Origin) -> None:
        if origin.kind == "distribution" and origin.name not in self.found.distributions:
            self.found.distributions[origin.name] = version_of(origin.name)

    def _add_code(self, where: str, digest: str) -> None:
        known = self.found.code.get(where)
        self.found.code[where] = digest if known in (None, digest) else f"{known}+{digest}"

    def _add_value(self, where: str, value: Any, what: str) -> None:
        if isinstance(value, str):
            self.found.texts.add(value)
        if _is_code(value):
            self.follow(value)
            return
        try:
            found = fingerprint(value)
        except Unfingerprintable as error:
            self._refuse(what, str(error))
            return
        self.found.constants[where] = found
        for thing in found.code:
            self.follow(thing)

    def _refuse(self, what: str, because: str) -> None:
        text = f"{what} {because}" if because.startswith("it ") else f"{what} is {because}"
        if text not in self.found.refused:
            self.found.refused.append(text)


def _file_of(function: FunctionType) -> str | None:
    """Give the file of a function; that of its module for one that was generated, as a dataclass's `__init__`."""
    if not function.__code__.co_filename.startswith("<"):
        return function.__code__.co_filename
    return getattr(sys.modules.get(function.__module__ or ""), "__file__", None)


def _registered_functions(function: FunctionType) -> Iterator[Any]:
    """Give the implementations behind a `functools.singledispatch` function."""
    registry = getattr(function, "registry", None)
    if isinstance(registry, types.MappingProxyType):
        yield from registry.values()


def _functions_in(member: Any) -> Iterator[FunctionType]:
    """Give the functions behind a class's member: a method, a property, a decorated method."""
    if isinstance(member, FunctionType):
        yield member
        return
    for name in ("fget", "fset", "fdel", "__func__", "func", "__wrapped__", "function"):
        inner = inspect.getattr_static(member, name, None)
        if isinstance(inner, types.MemberDescriptorType):
            inner = getattr(member, name, None)
        if isinstance(inner, FunctionType):
            yield inner


def _is_code(value: Any) -> bool:
    return isinstance(value, (FunctionType, type, ModuleType, Step, Pipeline))


def _folder_of(module: ModuleType) -> str | None:
    # A namespace package has no file, but folders.
    paths = list(getattr(module, "__path__", ()))
    return f"{paths[0]}/__init__.py" if paths else None


def _place_of(spec: importlib.machinery.ModuleSpec) -> str | None:
    folders = list(spec.submodule_search_locations or ())
    return spec.origin or (f"{folders[0]}/__init__.py" if folders else None)
