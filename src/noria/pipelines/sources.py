"""Syntax trees of source files: digests that ignore comments, formatting and docstrings.

What runs is the code that was imported, and a file may have been edited since. A function's tree therefore counts only
when compiling the file gives exactly the code that runs; otherwise the code itself is hashed.
"""

from __future__ import annotations

import ast
import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType

import blake3

from noria.core.config import DATABASE_FILE
from noria.core.errors import TooLarge
from noria.pipelines.hidden import Definition
from noria.pipelines.members import constants_but_docstring

MOST_FILES = 5000
"""Bound of a project's tree: beyond it the root is not a project but somebody's home folder."""

SKIPPED_FOLDERS = frozenset({"__pycache__", "node_modules", "site-packages", "dist-packages", "venv"})


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A parsed and compiled file.

    Attributes
    ----------
    tree, code
        Of the module.
    """

    tree: ast.Module = field(repr=False)
    code: CodeType = field(repr=False)
    _nodes: dict[tuple[str, int], list[Definition]] = field(repr=False)
    _codes: dict[tuple[str, int], list[CodeType]] = field(repr=False)

    def definition_of(self, code: CodeType) -> Definition | None:
        """Give the definition that was compiled to `code`; None if the file says otherwise now."""
        place = (code.co_qualname, code.co_firstlineno)
        nodes, codes = self._nodes.get(place, []), self._codes.get(place, [])
        return nodes[0] if len(nodes) == 1 and codes == [code] else None

    def classes(self, qualname: str) -> list[Definition]:
        """Give the definitions of a class; several when it is defined under conditions."""
        found = [nodes for (name, _), nodes in self._nodes.items() if name == qualname]
        return [node for nodes in found for node in nodes if isinstance(node, ast.ClassDef)]

    def class_codes(self, qualname: str) -> list[CodeType]:
        """Give the code of a class's body, for each definition of it."""
        return [code for (name, _), codes in self._codes.items() if name == qualname for code in codes]


def read_source(path: str) -> Source | None:
    """Parse a file, once for each state of it; None if it is not there or not Python."""
    try:
        state = os.stat(path)  # noqa: PTH116 - called for each function of each key
    except OSError:
        return None
    return _parsed(path, state.st_mtime_ns, state.st_size)


@functools.lru_cache(maxsize=512)
def digest_of_source(source: Source) -> str:
    """Hash the tree of a whole file."""
    return _digest(_Bare().text(source.tree))


@functools.lru_cache(maxsize=512)
def imports_at_top(source: Source) -> tuple[tuple[str, int], ...]:
    """Give the modules that are imported when a module is, with the level of relative ones; members may be some too."""
    found: list[tuple[str, int]] = []
    pending: list[ast.AST] = [*source.tree.body]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            found += [(alias.name, 0) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            found += [(base, node.level)] * bool(base)
            found += [(f"{base}.{alias.name}" if base else alias.name, node.level) for alias in node.names]
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            pending += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
            pending += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.ExceptHandler)]
    return tuple(found)


@functools.lru_cache(maxsize=512)
def calls_at_top(source: Source) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """Give the calls that stand alone at the top of a module: digest, first name, and every name in them."""
    calls = [statement.value for statement in source.tree.body if isinstance(statement, ast.Expr)]
    found = []
    for call in (call for call in calls if isinstance(call, ast.Call)):
        root = call.func
        while isinstance(root, (ast.Attribute, ast.Call)):
            root = root.value if isinstance(root, ast.Attribute) else root.func
        if isinstance(root, ast.Name):
            names = sorted({node.id for node in ast.walk(call) if isinstance(node, ast.Name)})
            found.append((_digest(_Bare().text(call)), root.id, tuple(names)))
    return tuple(found)


@functools.lru_cache(maxsize=1024)
def digest_of_definition(node: Definition, *, as_step: bool = False) -> str:
    """Hash a definition's tree.

    Parameters
    ----------
    as_step
        Leave Noria's own decorator out: its options do not change what the function gives.
    """
    bare = _Bare(as_step=node if as_step else None)
    return _digest(bare.text(node))


@functools.lru_cache(maxsize=1024)
def digest_of_code(code: CodeType, *, with_docstring: bool = True) -> str:
    """Hash compiled code, for functions whose source cannot be had."""
    parts: list[object] = [code.co_name, code.co_flags, code.co_argcount, code.co_kwonlyargcount]
    parts += [code.co_posonlyargcount, code.co_code, code.co_names, code.co_varnames, code.co_freevars]
    parts += [code.co_cellvars, code.co_exceptiontable]
    for const in code.co_consts if with_docstring else constants_but_docstring(code):
        if isinstance(const, CodeType):
            parts.append(digest_of_code(const, with_docstring=with_docstring))
        elif isinstance(const, frozenset):
            parts.append(sorted(map(repr, const)))
        else:
            parts.append(repr(const))
    return _digest(repr(parts))


def digest_of_tree(root: Path, *, with_text: bool = False) -> str:
    """Hash the trees of all Python files under a folder; comments do not matter here either.

    Parameters
    ----------
    with_text
        Let comments, docstrings and formatting matter, for code that looks at its own text.

    Raises
    ------
    TooLarge
        If there are more than `MOST_FILES`.
    """
    hasher = blake3.blake3()
    for path in python_files(root):
        digest = digest_of_file(path, with_text=with_text)
        hasher.update(f"{path.relative_to(root).as_posix()}\0{digest}\n".encode())
    return hasher.hexdigest()


def digest_of_file(path: Path, *, with_text: bool = False) -> str:
    """Hash the tree of a Python file; its bytes, if they matter or are not Python."""
    source = None if with_text else read_source(str(path))
    return digest_of_source(source) if source else _digest(path.read_bytes().hex())


def python_files(root: Path) -> list[Path]:
    """List the Python files of a project, sorted, without hidden folders and installed packages.

    Raises
    ------
    TooLarge
        If there are more than `MOST_FILES`.
    """
    found = []
    for path in _walk(root):
        found.append(path)
        if len(found) > MOST_FILES:
            raise TooLarge(
                f"`{root}` holds more than {MOST_FILES} Python files, so it is hardly one project",
                hint="Put a `noria.toml` into the folder of the project, or run from there",
            )
    return sorted(found)


def _walk(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        if DATABASE_FILE in files and folder != str(root):
            folders.clear()  # a workspace, whose hundreds of folders hold objects, and unpacked code of other days
            continue
        folders[:] = [
            name
            for name in folders
            if name not in SKIPPED_FOLDERS
            and not name.startswith(".")
            and not Path(folder, name, "pyvenv.cfg").exists()
        ]
        yield from (Path(folder, name) for name in files if name.endswith(".py"))


@functools.lru_cache(maxsize=512)
def _parsed(path: str, mtime_ns: int, size: int) -> Source | None:  # noqa: ARG001 - the state is the cache's key
    try:
        text = Path(path).read_bytes()
        tree = ast.parse(text)
        compiled = compile(tree, path, "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError):
        return None
    nodes: dict[tuple[str, int], list[Definition]] = {}
    for qualname, node in _definitions(tree, ""):
        nodes.setdefault((qualname, _first_line(node)), []).append(node)
    codes: dict[tuple[str, int], list[CodeType]] = {}
    for code in _nested(compiled):
        codes.setdefault((code.co_qualname, code.co_firstlineno), []).append(code)
    return Source(tree, compiled, nodes, codes)


def _definitions(node: ast.AST, prefix: str) -> Iterator[tuple[str, Definition]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            qualname = prefix + ("<lambda>" if isinstance(child, ast.Lambda) else child.name)
            yield qualname, child
            inner = "." if isinstance(child, ast.ClassDef) else ".<locals>."
            yield from _definitions(child, qualname + inner)
        else:
            yield from _definitions(child, prefix)


def _first_line(node: Definition) -> int:
    decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _nested(code: CodeType) -> Iterator[CodeType]:
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield const
            yield from _nested(const)


class _Bare:
    """Writes a tree as text, without places, docstrings and other bare strings."""

    def __init__(self, as_step: Definition | None = None) -> None:
        self._as_step = as_step

    def text(self, node: ast.AST) -> str:
        names = [name for name in node._fields if name not in ("kind", "type_comment", "ctx")]
        return f"{type(node).__name__}({','.join(self._value(self._kept(node, name)) for name in names)})"

    def _value(self, value: object) -> str:
        if isinstance(value, list):
            return "[" + ",".join(map(self._value, value)) + "]"
        return self.text(value) if isinstance(value, ast.AST) else repr(value)

    def _kept(self, node: ast.AST, name: str) -> object:
        value = getattr(node, name, None)
        if name == "body" and isinstance(value, list):
            kept = [statement for statement in value if not _is_bare_string(statement)]
            return kept or [ast.Pass()]
        if name == "decorator_list" and node is self._as_step:
            return [decorator for decorator in value or [] if not _is_marker(decorator)]
        return value


def _is_bare_string(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _is_marker(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    return name in ("step", "pipeline")


def _digest(text: str) -> str:
    return blake3.blake3(text.encode("utf-8", "surrogatepass")).hexdigest()
