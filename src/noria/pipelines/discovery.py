"""Which pipelines a project's files declare, read off the code without running it."""

from __future__ import annotations

import ast
from pathlib import Path

from noria.core.errors import TooLarge
from noria.pipelines.sources import python_files

_LARGEST_BYTES = 1024 * 1024


def declared_pipelines(root: Path) -> list[str]:
    """List the pipelines below a folder as `module:name`, sorted; empty when the folder is no single project."""
    try:
        files = python_files(root)
    except TooLarge:
        return []
    return sorted(target for path in files for target in _in_file(path, root))


def _in_file(path: Path, root: Path) -> list[str]:
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            return []
        text = path.read_text()
        if "pipeline" not in text:
            return []
        tree = ast.parse(text)
    except (OSError, ValueError, SyntaxError):
        return []
    parts = list(path.relative_to(root).with_suffix("").parts)
    module = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
    return [
        f"{module}:{node.name}"
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and any(map(_is_pipeline, node.decorator_list))
    ]


def _is_pipeline(decorator: ast.expr) -> bool:
    """Tell whether a decorator is `@pipeline` or `@noria.pipeline`."""
    if isinstance(decorator, ast.Attribute):
        return decorator.attr == "pipeline" and isinstance(decorator.value, ast.Name)
    return isinstance(decorator, ast.Name) and decorator.id == "pipeline"
