"""What the modules that a step's module imports change in libraries, which counts for all that it reaches.

`math.sqrt = …` anywhere in them widens the key to the whole project; a call at the top of a module, as
`numpy.random.seed(3)`, is part of the key with the values of the variables that it names.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Final

import blake3
import msgspec

from noria.pipelines.distributions import Home, real_place
from noria.pipelines.lookups import patched_by
from noria.pipelines.sources import Source, calls_at_top, imports_at_top, read_source

_PLAIN: Final = (bool, int, float, str, bytes, tuple, type(None))


_HARMLESS: Final = frozenset(
    {"logging", "warnings", "sys", "argparse", "atexit", "faulthandler", "typer", "click"}
)


class Imported(msgspec.Struct, frozen=True):
    """A module of the project that a step's module imports, itself or through others.

    Attributes
    ----------
    name
        Its path below the project's folder; its own name where it lies elsewhere.
    """

    name: str
    module: ModuleType
    source: Source
    place: Path


def imported_by(name: str, home: Home) -> list[Imported]:
    """Follow the imports at the top of modules, from a step's own one on: they are the same in every process."""
    found: dict[str, Imported] = {}
    pending = [name]
    while pending:
        module = sys.modules.get(pending.pop())
        file = getattr(module, "__file__", None)
        if module is None or not isinstance(file, str) or file in found:
            continue
        origin = home.origin(module.__name__, file)
        # To parse what the standard library and distributions have would take longer than all the rest of a key.
        source = read_source(file) if origin.kind == "project" else None
        if source is not None:
            found[file] = Imported(origin.name, module, source, Path(real_place(file)))
            pending += [one for text, level in imports_at_top(source) for one in _led(text, level, module)]
    return sorted(found.values(), key=lambda one: one.name)


def _led(text: str, level: int, module: ModuleType) -> list[str]:
    """Give the modules that an import may load: each package on the way too."""
    try:
        full = importlib.util.resolve_name("." * level + text, module.__package__ or "") if level else text
    except ImportError:
        return []
    parts = full.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts) + 1)]


def patches(modules: Sequence[Imported], home: Home) -> set[str]:
    """List the assignments to attributes of libraries in these modules."""
    return {f"{text} in {one.name}" for one in modules for text in _patches_of(one.source, one.module, home)}


def settings_of_libraries(modules: Sequence[Imported], home: Home) -> dict[str, str]:
    """Give the calls of libraries at the top of these modules: by module, a digest."""
    found = {}
    for one in modules:
        scope = vars(one.module)
        told = [
            [digest, [f"{name}={scope.get(name)!r}" for name in names if isinstance(scope.get(name), _PLAIN)]]
            for digest, root, names in calls_at_top(one.source)
            if root not in _HARMLESS and _is_of_library(scope.get(root), home)
        ]
        if told:
            found[f"{one.name}:calls"] = blake3.blake3(repr(told).encode()).hexdigest()
    return found


def _patches_of(source: Source, module: ModuleType, home: Home) -> set[str]:
    found = {
        f"an assignment to `{'.'.join(chain)}`"
        for chain in patched_by(source.code)
        if any(_is_of_library(_led_to(chain[:end], vars(module)), home) for end in (1, len(chain) - 1))
    }
    if not {"setattr", "delattr"}.isdisjoint(source.code.co_names):
        found.add("`setattr` at the top")
    return found


def _led_to(chain: tuple[str, ...], scope: dict[str, Any]) -> Any:
    value = scope.get(chain[0])
    for attribute in chain[1:]:
        value = getattr(value, "__dict__", {}).get(attribute)
    return value


def _is_of_library(value: Any, home: Home) -> bool:
    """Tell whether a value is a module, class or function of a library; other values are the project's variables."""
    if isinstance(value, ModuleType):
        return home.origin(value.__name__, getattr(value, "__file__", None)).kind != "project"
    if not isinstance(value, (type, FunctionType, BuiltinFunctionType)):
        return False
    name = value.__module__ or ""
    return home.origin(name, getattr(sys.modules.get(name), "__file__", None)).kind != "project"
