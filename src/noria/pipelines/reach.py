"""What a step's code reaches: functions, classes and module variables of the project, and installed distributions.

The code that runs says which names it looks up; they are resolved in the live modules, so what a name stands for now
is what counts. Functions and classes are followed by their code, every other value by its fingerprint.
"""

from __future__ import annotations

import functools
import importlib
import importlib.machinery
import importlib.util
import os
import sys
import types
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

from noria.core.errors import NotFound
from noria.pipelines.authoring import Pipeline, Step
from noria.pipelines.distributions import Home, Origin
from noria.pipelines.gathering import Gathering, Reach, both, called
from noria.pipelines.hidden import dynamic_constructs, dynamic_names, hiding_members, hiding_value
from noria.pipelines.lookups import Names, names_of
from noria.pipelines.members import (
    functions_of,
    is_machinery,
    members_of,
    runs_library_code,
    values_of_function,
)
from noria.pipelines.patches import imported_by, patches, settings_of_libraries
from noria.pipelines.sources import digest_of_code, digest_of_definition, read_source
from noria.pipelines.values import Unfingerprintable, fingerprint, module_of

_MISSING = object()
_OF_MODULES = frozenset(
    {"__name__", "__file__", "__package__", "__path__", "__annotations__", "__qualname__", "__module__"}
)
"""Where a module lies is no part of a key: a colleague, or a machine of a cluster, has it elsewhere."""
_ENVIRONMENT = frozenset({"environ", "environb", "getenv", "getenvb"})


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
    modules = imported_by(function.__module__ or "", home)
    walk.found.dynamic.update(patches(modules, home))
    walk.found.bindings.update(settings_of_libraries(modules, home))
    walk.found.elsewhere = [
        (one.name, one.place) for one in modules if not one.place.is_relative_to(home.tree)
    ]
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


class _Walk(Gathering):
    def __init__(self, home: Home) -> None:
        super().__init__(home)
        self._seen: dict[int, Any] = {}

    def follow(self, thing: Any, *, as_step: bool = False) -> None:
        """Take in a function, a class, or a thing known by its name."""
        if id(thing) in self._seen:
            return
        self._seen[id(thing)] = thing
        hidden = hiding_value(thing)
        if hidden is not None:
            self.found.dynamic.add(hidden)
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
        origin = self.home.origin(function.__module__ or "", _file_of(function))
        wrapped = getattr(function, "__wrapped__", None)
        if wrapped is not None:
            self.follow(wrapped)
        self.note(origin)
        where = f"{origin.name}:{function.__qualname__}"
        self._follow_registry(function, where)
        if origin.kind == "project" and not runs_library_code(function):
            self._read_function(function, where, as_step=as_step)
        self._follow_carried(function, where)

    def _follow_registry(self, function: FunctionType, where: str) -> None:
        """Follow the implementations behind a `functools.singledispatch` function."""
        registry = getattr(function, "registry", None)
        if isinstance(registry, types.MappingProxyType):
            told = [f"{called(kind)}: {called(registered)}" for kind, registered in registry.items()]
            self.found.bindings[f"{where}.registry"] = ", ".join(told)
            for registered in registry.values():
                self.follow(registered)

    def _read_function(self, function: FunctionType, where: str, *, as_step: bool) -> None:
        code = function.__code__
        source = read_source(code.co_filename)
        node = source.definition_of(code) if source else None
        if node is None:
            self.add_code(where, digest_of_code(code))
            self.found.dynamic.update(dynamic_names(code))
        else:
            self.add_code(where, digest_of_definition(node, as_step=as_step))
            self.found.dynamic.update(dynamic_constructs(node))
        self._follow_names(names_of(code), function.__globals__, where)

    def _follow_carried(self, function: FunctionType, where: str) -> None:
        """Take in what a function has beside its code; of a library's function, as far as it can be read off."""
        of_library = runs_library_code(function)
        attributes = names_of(function.__code__).attributes
        for name, value in values_of_function(function):
            if isinstance(value, ModuleType):
                self._follow_attributes(value, attributes, name)
                continue
            what = f"`{name}`, which `{function.__qualname__}` closes over,"
            if name in ("defaults", "keywords"):
                what = f"a default of `{function.__qualname__}`"
            fault = self._add_value(f"{where}.{name}", value, None if of_library else what)
            if fault and of_library:
                self.found.dynamic.add(f"`{name}` inside of `{function.__qualname__}`, which {fault}")

    def _follow_class(self, kind: type) -> None:
        module = sys.modules.get(kind.__module__)
        file = getattr(module, "__file__", None)
        origin = self.home.origin(kind.__module__, file)
        self.note(origin)
        if origin.kind != "project":
            return
        where = f"{origin.name}:{kind.__qualname__}"
        self._read_class(kind, where, file, vars(module) if module else {})
        around = (*kind.__mro__[1:-1], *([] if type(kind) is type else [type(kind)]))
        for base in around:
            self.follow(base)
        if around:
            self.found.bindings[f"{where}.__mro__"] = ", ".join(map(called, around))
        for name, function in functions_of(kind):
            self.follow(function)
            self.bind(f"{where}.{name}", function, f"{kind.__qualname__}.{name}", kind.__module__)
        for name, member in members_of(kind):
            self._follow_member_of_class(kind, f"{where}.{name}", name, member)

    def _follow_member_of_class(self, kind: type, where: str, name: str, member: Any) -> None:
        if _is_code(member):
            self.bind(where, member, f"{kind.__qualname__}.{name}", kind.__module__)
            self.follow(member)
            return
        what = None if is_machinery(name, member) else f"`{kind.__qualname__}.{name}`"
        self._add_value(where, member, what)

    def _read_class(self, kind: type, where: str, filename: str | None, scope: dict[str, Any]) -> None:
        source = read_source(filename) if filename else None
        for node in source.classes(kind.__qualname__) if source else []:
            self.add_code(where, digest_of_definition(node))
            self.found.dynamic.update(dynamic_constructs(node))
        for code in source.class_codes(kind.__qualname__) if source else []:
            self._follow_names(names_of(code), scope, where)
        for annotation in vars(kind).get("__annotations__", {}).values():
            if isinstance(
                annotation, str
            ):  # of `from __future__ import annotations`, for those that read them
                self._follow_names(names_of(_compiled(annotation)), scope, where)

    def _follow_module(self, module: ModuleType) -> None:
        origin = self.origin_of(module)
        self.note(origin)
        if origin.kind == "project":
            self.found.dynamic.add(f"the module `{module.__name__}` as a value")

    def _follow_named(self, thing: Any) -> None:
        if type(thing).__module__ == "functools" and hasattr(thing, "__wrapped__"):
            self.follow(thing.__wrapped__)
            return
        module = sys.modules.get(module_of(thing))
        origin = self.origin_of(module) if module else Origin("python", "python")
        self.note(origin)
        if origin.kind == "project":
            self.refuse(f"`{thing!r:.60}`", f"a `{type(thing).__qualname__}` is known by its name only")

    def _follow_names(self, names: Names, scope: dict[str, Any], where: str) -> None:
        self.found.texts.update(names.texts)
        for name in sorted(names.assigned | names.rebound):
            self.refuse(f"`{where.partition(':')[2]}`", f"it sets the variable `{name}` outside of itself")
        for chain in sorted(names.chains):
            self._follow_chain(chain, scope)
        self.found.dynamic.update(f"an assignment to `{'.'.join(chain)}`" for chain in names.patched)
        for module, level, members in sorted(names.imports):
            self._follow_import(module, level, members, names.attributes, scope)

    def _follow_chain(self, chain: tuple[str, ...], scope: dict[str, Any]) -> None:
        name = chain[0]
        value = scope.get(name, _MISSING)
        if value is _MISSING or name in _OF_MODULES:
            return  # a builtin, or a name that does not exist: the step will say so when it runs
        for place, attribute in enumerate(chain[1:], 1):
            if not isinstance(value, ModuleType):
                break
            self.bind_in(scope, name, value)
            if self.origin_of(value).kind != "project":
                self._follow_library(value, chain[place:])
                return
            scope, name = vars(value), attribute
            value = getattr(value, attribute, _MISSING)
        if value is _MISSING:
            self.found.dynamic.add(f"`{'.'.join(chain)}`, which its module makes up")
        else:
            self._follow_value(value, name, scope)

    def _follow_library(self, module: ModuleType, attributes: tuple[str, ...]) -> None:
        """Follow a name into a library: noted by version, but for what the project has put there."""
        self.note(self.origin_of(module))
        for attribute in attributes:
            self.found.dynamic.update(hiding_members(module.__name__, [attribute]))
            value = vars(module).get(attribute, _MISSING)
            if isinstance(value, ModuleType):
                module = value
                self.note(self.origin_of(module))
                continue
            if module is os and attribute in _ENVIRONMENT:
                self.found.reads_environment = True
            elif value is not _MISSING and self._is_of_project(value):
                self._follow_value(value, attribute, vars(module))
            return

    def _is_of_project(self, value: Any) -> bool:
        named = value if isinstance(value, (type, FunctionType)) else type(value)
        module = sys.modules.get(named.__module__ or "")
        return module is not None and self.origin_of(module).kind == "project"

    def _follow_value(self, value: Any, name: str, scope: dict[str, Any]) -> None:
        if value is os.environ or value is os.getenv:
            self.found.reads_environment = True
            return
        self.bind_in(scope, name, value)
        if _is_code(value):
            self.follow(value)
            return
        file = self.file_of_scope(scope)
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
        origin = self.origin_of_name(full)
        self.note(origin)
        if origin.kind != "project":
            self._follow_into_library(full, frozenset(members) or attributes)
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

    def _follow_into_library(self, name: str, looked_up: frozenset[str]) -> None:
        module = sys.modules.get(name)
        self.found.dynamic.update(hiding_members(name, looked_up))
        if name == "os" and not _ENVIRONMENT.isdisjoint(looked_up):
            self.found.reads_environment = True
        if module is None:
            return
        for attribute in sorted(looked_up & vars(module).keys()):
            self._follow_library(module, (attribute,))

    def _follow_member(self, module: ModuleType, member: str, attributes: frozenset[str]) -> None:
        value = getattr(module, member)
        if isinstance(value, ModuleType) and self.origin_of(value).kind == "project":
            self._follow_attributes(value, attributes, member)
        else:
            self._follow_value(value, member, vars(module))

    def _follow_attributes(self, module: ModuleType, attributes: frozenset[str], name: str) -> None:
        """Follow a module that a local variable holds: whatever it has under a name that the code looks up."""
        if self.origin_of(module).kind != "project":
            self.note(self.origin_of(module))
            return
        looked_up = [attribute for attribute in attributes if attribute in vars(module)]
        if not looked_up:
            self.found.dynamic.add(f"the module `{name}` as a value")
        for attribute in sorted(looked_up):
            self._follow_member(module, attribute, attributes)

    def _add_value(self, where: str, value: Any, what: str | None) -> str | None:
        """Take in a value. One without a fingerprint is refused, unless it has no name for a message: it is told."""
        if isinstance(value, str):
            self.found.texts.add(value)
        if _is_code(value):
            self.follow(value)
            return None
        try:
            found = fingerprint(value)
        except Unfingerprintable as error:
            if what is not None:
                self.refuse(what, str(error))
            return str(error)
        known = self.found.constants.get(where)
        if known is not None and known.digest != found.digest:
            found = both(known, found)
        self.found.constants[where] = found
        for thing in found.code:
            self.follow(thing)
        return None


def _file_of(function: FunctionType) -> str | None:
    """Give the file of a function; that of its module for one that was generated, as a dataclass's `__init__`."""
    if not function.__code__.co_filename.startswith("<"):
        return function.__code__.co_filename
    return getattr(sys.modules.get(function.__module__ or ""), "__file__", None)


@functools.lru_cache(maxsize=512)
def _compiled(annotation: str) -> types.CodeType:
    try:
        return compile(annotation, "<annotation>", "eval")
    except SyntaxError:
        return compile("None", "<annotation>", "eval")


def _is_code(value: Any) -> bool:
    return isinstance(value, (FunctionType, type, ModuleType, Step, Pipeline))
