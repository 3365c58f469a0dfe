"""What the project's loaded modules change in libraries, which counts for every step.

`math.sqrt = …` anywhere in them widens the key to the whole project; a call at the top of a module, as
`numpy.random.seed(3)`, is part of the key with the values of the variables that it names.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Final

import blake3

from noria.pipelines.distributions import Home, real_place
from noria.pipelines.lookups import patched_by
from noria.pipelines.sources import Source, calls_at_top, read_source

_PLAIN: Final = (bool, int, float, str, bytes, tuple, type(None))


_HARMLESS: Final = frozenset(
    {"logging", "warnings", "sys", "argparse", "atexit", "faulthandler", "typer", "click"}
)


def patches(home: Home) -> set[str]:
    """List the assignments to attributes of libraries in the modules of the project that are loaded."""
    return {
        f"{text} in {module.__name__}"
        for module, source in _loaded_here(home)
        for text in _patches_of(source, module, home)
    }


def settings_of_libraries(home: Home) -> dict[str, str]:
    """Give the calls of libraries at the top of these modules: by module, a digest."""
    found = {}
    for module, source in _loaded_here(home):
        scope = vars(module)
        told = [
            [digest, [f"{name}={scope.get(name)!r}" for name in names if isinstance(scope.get(name), _PLAIN)]]
            for digest, root, names in calls_at_top(source)
            if root not in _HARMLESS and _is_of_library(scope.get(root), home)
        ]
        if told:
            found[f"{module.__name__}:calls"] = blake3.blake3(repr(told).encode()).hexdigest()
    return found


def _loaded_here(home: Home) -> Iterator[tuple[ModuleType, Source]]:
    for name, place in _loaded(home, len(sys.modules), next(reversed(sys.modules))):
        if not place.startswith(f"{home.tree}{os.sep}"):
            continue
        module, source = sys.modules.get(name), read_source(place)
        if module is not None and source is not None:
            yield module, source


def loaded_elsewhere(home: Home) -> list[tuple[str, Path]]:
    """Give the modules that count as the project's and lie outside of its folder, on `PYTHONPATH` or editable."""
    loaded = _loaded(home, len(sys.modules), next(reversed(sys.modules)))
    return sorted(
        (name, Path(place)) for name, place in loaded if not place.startswith(f"{home.tree}{os.sep}")
    )


@functools.lru_cache(maxsize=16)
def _loaded(home: Home, n_modules: int, latest: str) -> tuple[tuple[str, str], ...]:  # noqa: ARG001 - tell of new ones
    files = [(name, getattr(module, "__file__", None)) for name, module in list(sys.modules.items())]
    return tuple(
        (name, real_place(file))
        for name, file in files
        if isinstance(file, str) and file.endswith(".py") and home.origin(name, file).kind == "project"
    )


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
