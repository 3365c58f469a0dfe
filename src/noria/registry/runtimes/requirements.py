"""What must be installed to load a model: the distributions of its library, and those that its code imports."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from noria.pipelines.distributions import distributions_with
from noria.pipelines.sources import python_files


def pinned(distributions: Iterable[str]) -> list[str]:
    """Give `name==version` of those that are installed here."""
    found = []
    for name in distributions:
        try:
            found.append(f"{name}=={version(name)}")
        except PackageNotFoundError:
            continue
    return found


def requirements_of_code(folder: Path) -> dict[str, str]:
    """Give what to install for each module that Python files import and that an installed distribution has."""
    names = sorted({name for path in python_files(folder) for name in _imported_by(path)})
    homes = {name: found[0] for name, found in distributions_with(names).items() if found}
    return {name: line for name, home in homes.items() for line in pinned([home])}


def _imported_by(path: Path) -> Iterator[str]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module]
        else:
            continue
        yield from (
            name for name in (n.partition(".")[0] for n in names) if name not in sys.stdlib_module_names
        )
