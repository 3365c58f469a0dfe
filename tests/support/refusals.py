"""What pages may be refused with: messages and hints of all errors that what they call can raise, read in the code.

Calls are followed by their names: to functions and classes of modules, to methods of `self`, and to those of services
that are asked for by their class. A name that a function only hands on counts as a call, too. What is called through
anything else is not found.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice, pairwise, product
from pathlib import Path
from typing import Final, NamedTuple

import noria
from noria.server.assembly import ACTIONS, PAGES

ROOT: Final = Path(noria.__file__).parent
PLACE: Final = "\0"
"""Stands in a template for what is put into it."""

ERRORS_MODULE: Final = "noria.core.errors"
_ERRORS: Final = frozenset({"NoriaError"})
_SERVICE_GIVERS: Final = frozenset({"service", "sibling", "guarded"})
_MOST_FORMS: Final = 32
_CODE: Final = re.compile(r"`[^`]*`")


class Said(NamedTuple):
    """A message or a hint.

    Attributes
    ----------
    template
        With `PLACE` for each value.
    where
        Module and line.
    """

    template: str
    where: str


@dataclass
class Module:
    """A module's functions and what its names mean."""

    name: str
    tree: ast.Module
    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    imported: dict[str, tuple[str, str]] = field(default_factory=dict)
    texts: dict[str, ast.expr] = field(default_factory=dict)


class Calls:
    """Which functions are reached from those of some modules, and what they may say."""

    def __init__(self, roots: Iterable[str]) -> None:
        self._modules: dict[str, Module | None] = {}
        self._todo: list[tuple[Module, str]] = []
        self._seen: set[tuple[str, str]] = set()
        self.said: set[Said] = set()
        for name in roots:
            module = self._module(name)
            if module is None:
                raise ValueError(f"There is no module `{name}`")
            for function in module.functions:
                self._reach(module, function)
        while self._todo:
            self._follow(*self._todo.pop())

    def _module(self, name: str) -> Module | None:
        if name not in self._modules:
            self._modules[name] = _read(name)
        return self._modules[name]

    def _reach(self, module: Module, function: str) -> None:
        if (module.name, function) not in self._seen and function in module.functions:
            self._seen.add((module.name, function))
            self._todo.append((module, function))

    def _follow(self, module: Module, function: str) -> None:
        node = module.functions[function]
        owner = function.rpartition(".")[0]
        services = self._services(module, node)
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load):
                self._reach_name(module, inner.id)
            elif isinstance(inner, ast.Attribute):
                self._reach_attribute(module, inner, owner, services)
            if isinstance(inner, ast.Call):
                self._listen(module, node, inner)

    def _reach_name(self, module: Module, name: str) -> None:
        found = self._meaning(module, name)
        if found is None:
            return
        place, own = found
        self._reach(place, own)
        self._reach(place, f"{own}.__init__")
        self._reach(place, f"{own}.__call__")

    def _reach_attribute(
        self, module: Module, node: ast.Attribute, owner: str, services: dict[str, tuple[Module, str]]
    ) -> None:
        value = node.value
        if isinstance(value, ast.Name):
            if value.id == "self" and owner:
                self._reach_method(module, owner, node.attr)
            elif value.id in services:
                self._reach_method(*services[value.id], node.attr)
            else:
                known = module.imported.get(value.id)
                if known is not None and (other := self._module(".".join(known).rstrip("."))) is not None:
                    self._reach(other, node.attr)
                elif (meant := self._meaning(module, value.id)) is not None:
                    self._reach_method(*meant, node.attr)
        elif (service := self._asked_for(module, value)) is not None:
            self._reach_method(*service, node.attr)

    def _reach_method(self, module: Module, owner: str, name: str) -> None:
        if f"{owner}.{name}" in module.functions:
            self._reach(module, f"{owner}.{name}")
        elif owner in module.classes:
            for base in module.classes[owner].bases:
                if isinstance(base, ast.Name) and (found := self._meaning(module, base.id)) is not None:
                    self._reach_method(*found, name)

    def _services(self, module: Module, node: ast.FunctionDef) -> dict[str, tuple[Module, str]]:
        """Give what local variables hold services."""
        found = {}
        for inner in ast.walk(node):
            if isinstance(inner, ast.Assign) and (service := self._asked_for(module, inner.value)):
                for target in inner.targets:
                    names = target.elts if isinstance(target, ast.Tuple) else [target]
                    found.update({each.id: service for each in names[:1] if isinstance(each, ast.Name)})
        return found

    def _asked_for(self, module: Module, node: ast.expr) -> tuple[Module, str] | None:
        """Give the class of `….service(Class)`."""
        if isinstance(node, ast.Tuple) and node.elts:
            node = node.elts[0]
        if not isinstance(node, ast.Call):
            return None
        function = node.func
        asks = (
            isinstance(function, ast.Attribute) and function.attr in _SERVICE_GIVERS and len(node.args) == 1
        )
        if asks and isinstance(node.args[0], ast.Name):
            return self._meaning(module, node.args[0].id)
        return self._meaning(module, function.id) if isinstance(function, ast.Name) else None

    def _meaning(self, module: Module, name: str, depth: int = 4) -> tuple[Module, str] | None:
        """Find where a name was made."""
        if name in module.functions or name in module.classes:
            return module, name
        if name not in module.imported or not depth:
            return None
        origin, own = module.imported[name]
        other = self._module(origin)
        return None if other is None or not own else self._meaning(other, own, depth - 1)

    def _listen(self, module: Module, function: ast.FunctionDef, call: ast.Call) -> None:
        """Note what an error says that is made here."""
        is_super = (
            isinstance(call.func, ast.Attribute)
            and call.func.attr == "__init__"
            and isinstance(call.func.value, ast.Call)
            and isinstance(call.func.value.func, ast.Name)
            and call.func.value.func.id == "super"
        )
        made = call.func.id if isinstance(call.func, ast.Name) else ""
        if not is_super and not self._is_error(module, made):
            return
        if is_super and not self._is_error(module, self._owner_of(module, function)):
            return
        given = [*call.args[:1], *(each.value for each in call.keywords if each.arg in ("message", "hint"))]
        for argument in given:
            for template in self._texts(module, function, argument):
                if _CODE.sub("", template).strip(f"{PLACE} .:'"):
                    self.said.add(Said(template, f"{module.name}:{call.lineno}"))

    def _owner_of(self, module: Module, function: ast.FunctionDef) -> str:
        return next(
            (name.rpartition(".")[0] for name, node in module.functions.items() if node is function), ""
        )

    def _is_error(self, module: Module, name: str, depth: int = 6) -> bool:
        """Tell whether a name means a class of errors of Noria's."""
        found = self._meaning(module, name) if name else None
        if found is None or not depth:
            return False
        place, own = found
        if own in _ERRORS and place.name == ERRORS_MODULE:
            return True
        bases = place.classes[own].bases if own in place.classes else []
        return any(isinstance(base, ast.Name) and self._is_error(place, base.id, depth - 1) for base in bases)

    def _texts(self, module: Module, function: ast.FunctionDef, node: ast.expr, depth: int = 3) -> list[str]:
        """Give the forms that a text may have."""
        texts = functools.partial(self._texts, module, function)
        match node:
            case ast.Constant(value=value):
                found = [value] if isinstance(value, str) else []
            case ast.JoinedStr(values=parts):
                found = _joined([texts(part, depth) or [""] for part in parts])
            case ast.FormattedValue(value=ast.Constant() | ast.IfExp() | ast.Name() as value) if depth:
                found = texts(value, depth - 1) or [PLACE]
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                found = _joined([texts(left, depth), texts(right, depth)])
            case ast.BinOp(left=left, op=ast.Mod()):
                found = [_unnamed(text) for text in texts(left, depth)]
            case ast.IfExp(body=body, orelse=other):
                found = [*texts(body, depth), *texts(other, depth)]
            case ast.BoolOp(values=values):
                found = [text for each in values for text in texts(each, depth)]
            case ast.Name(id=name) if depth:
                found = self._named(module, function, name, depth)
            case _:
                found = [PLACE]
        return found

    def _named(self, module: Module, function: ast.FunctionDef, name: str, depth: int) -> list[str]:
        values = [
            inner.value
            for inner in ast.walk(function)
            if isinstance(inner, ast.Assign)
            and any(isinstance(each, ast.Name) and each.id == name for each in inner.targets)
        ]
        if not values and name in module.texts:
            values = [module.texts[name]]
        elif not values and name in module.imported:
            origin, own = module.imported[name]
            other = self._module(origin)
            if other is not None and own in other.texts:
                return self._texts(other, function, other.texts[own], depth - 1)
        return [text for each in values for text in self._texts(module, function, each, depth - 1)] or [PLACE]


def refusals(roots: Iterable[str]) -> list[Said]:
    """Give what may be said to who reads pages: by what pages and their actions call, and some modules besides."""
    pages = dict.fromkeys(name.partition(":")[0] for name in (*PAGES, *ACTIONS))
    return sorted(Calls([*pages, *roots]).said)


def spoken(template: str) -> Iterator[str]:
    """Give what a template may say, with values of several shapes in its places."""
    parts = template.split(PLACE)
    shapes = [
        ("a name",) if before.endswith("`") and after.startswith("`") else ("7", "two words", "`a`, `b`")
        for before, after in pairwise(parts)
    ]
    for values in product(*shapes):
        yield parts[0] + "".join(value + part for value, part in zip(values, parts[1:], strict=True))


def _joined(parts: list[list[str]]) -> list[str]:
    return ["".join(form) for form in islice(product(*parts), _MOST_FORMS)]


def _unnamed(text: str) -> str:
    first, *others = text.split("%(")
    return first + "".join(PLACE + part.partition(")s")[2] for part in others)


@functools.cache
def _read(name: str) -> Module | None:
    place = ROOT.joinpath(*name.split(".")[1:])
    path = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    if not name.startswith("noria") or not path.is_file():
        return None
    module = Module(name, ast.parse(path.read_text(encoding="utf-8")))
    for node in module.tree.body:
        _note(module, node)
    for inner in ast.walk(module.tree):
        if isinstance(inner, ast.ImportFrom) and inner.module:
            module.imported.update(
                {each.asname or each.name: (inner.module, each.name) for each in inner.names}
            )
        elif isinstance(inner, ast.Import):
            module.imported.update({each.asname or each.name: (each.name, "") for each in inner.names})
    return module


def _note(module: Module, node: ast.stmt) -> None:
    match node:
        case ast.FunctionDef(name=name):
            module.functions[name] = node
        case ast.ClassDef(name=name, body=body):
            module.classes[name] = node
            methods = [inner for inner in body if isinstance(inner, ast.FunctionDef)]
            module.functions.update({f"{name}.{inner.name}": inner for inner in methods})
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            module.texts[name] = value
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            module.texts[name] = value
