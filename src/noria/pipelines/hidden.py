"""Constructs that hide what code a step reaches; a step that contains one depends on the whole project.

- running text: `exec`, `eval`, `compile`, `runpy`
- importing by name: `__import__`, `importlib`, `pkgutil.resolve_name`, `sys.modules`, entry points
- looking up by name: `globals()`, `vars()`, `dir()`, `getattr` with a computed name, `operator.attrgetter` and
  `methodcaller`, `inspect.getmembers`, `inspect.getmodule`, `__dict__`, `__globals__`, `__builtins__`,
  `__subclasses__`, frames
- reading back objects that bring their classes along: `pickle`, `joblib`, `dill`, `cloudpickle`, `shelve`,
  `torch.load`, `read_pickle`, `allow_pickle`
- replacing: `setattr` and `delattr`, `unittest.mock`, an assignment to an attribute of a module or class, here or, of
  a library, in any module of the project that is loaded
- a module used as a value, and a name that a module makes up by `__getattr__`

They count under every name that they are imported by. Code that looks at its own text (`__doc__`, `inspect.getsource`,
frames, `__code__`) depends on the bytes of every Python file, comments included.
"""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Iterable
from types import CodeType
from typing import Any, Final

TEXT: Final = frozenset(
    {
        *("__doc__", "__code__", "getdoc", "getcomments", "getsource", "getsourcelines", "findsource"),
        *("linecache", "_getframe", "currentframe", "f_lineno", "co_firstlineno", "tb_lineno"),
    }
)
"""Those that see comments and docstrings too."""

_ATTRIBUTES: Final = TEXT | {
    *("__import__", "import_module", "reload", "entry_points", "run_path", "run_module", "exec_module"),
    *("__dict__", "__globals__", "__subclasses__", "__builtins__", "attrgetter", "methodcaller", "mock"),
    *("spec_from_file_location", "resolve_name", "getmodule", "getmembers", "getmembers_static"),
    *("f_globals", "f_locals", "read_pickle", "Unpickler", "__loader__", "__spec__", "import_string"),
}
_NAMES: Final = _ATTRIBUTES | {"exec", "eval", "compile", "globals", "vars", "dir"}
_BY_NAME: Final = frozenset({"getattr", "setattr", "delattr"})

_MEMBERS: Final = {
    "builtins": _BY_NAME | {"exec", "eval", "compile", "globals", "vars", "dir", "__import__"},
    "importlib": {"import_module", "reload"},
    "pickle": {"load", "loads"},
    "_pickle": {"load", "loads"},
    "joblib": {"load"},
    "cloudpickle": {"load", "loads"},
    "dill": {"load", "loads"},
    "torch": {"load"},
    "shelve": {"open"},
    "inspect": {"stack", "trace", "getattr_static"},
    "pkgutil": {"resolve_name"},
    "runpy": {"run_path", "run_module"},
    "operator": {"attrgetter", "methodcaller"},
    "sys": {"modules", "_getframe"},
}
"""Members of libraries, by their public place; `load` alone would say nothing."""

_MODULES_BY_MEMBER: Final = {
    member: tuple(module for module, members in _MEMBERS.items() if member in members)
    for members in _MEMBERS.values()
    for member in members
}

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef


@functools.lru_cache(maxsize=1024)
def dynamic_constructs(node: Definition) -> tuple[str, ...]:
    """List the constructs in a definition that hide what code it reaches."""
    return tuple(sorted({text for inner in ast.walk(node) for text in _dynamic(inner)}))


def dynamic_names(code: CodeType) -> tuple[str, ...]:
    """List the same for code without a source, where every mention counts."""
    hidden = _NAMES | _BY_NAME | {"modules"}
    inner = [name for const in code.co_consts if isinstance(const, CodeType) for name in dynamic_names(const)]
    return tuple(sorted({name for name in code.co_names if name in hidden}.union(inner)))


def hiding_members(module: str, members: Iterable[str]) -> set[str]:
    """Give those of a library module's members that hide code: `pickle.load`."""
    hiding = _MEMBERS.get(module)
    return {f"{module}.{member}" for member in members if member in hiding} if hiding else set()


def hiding_value(value: Any) -> str | None:
    """Name what a value is, if it is one of the functions that hide code, under whatever name it was found."""
    name = getattr(value, "__name__", None)
    if type(value).__name__ in ("attrgetter", "methodcaller") and type(value).__module__ == "operator":
        return f"operator.{type(value).__name__}"
    for module in _MODULES_BY_MEMBER.get(name, ()) if isinstance(name, str) else ():
        if getattr(sys.modules.get(module), str(name), None) is value:
            return f"{module}.{name}"
    return "sys.modules" if value is sys.modules else None


def sees_text(constructs: Iterable[str]) -> bool:
    """Tell whether one of these constructs sees comments and docstrings."""
    return any(construct.rpartition(".")[2] in TEXT for construct in constructs)


def _dynamic(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _BY_NAME:
        literal = len(node.args) > 1 and isinstance(node.args[1], ast.Constant) and node.func.id == "getattr"
        return [] if literal else [node.func.id]
    if isinstance(node, ast.Name) and node.id in _NAMES:
        return [node.id]
    if isinstance(node, ast.Attribute):
        inside_sys = isinstance(node.value, ast.Name) and node.value.id == "sys"
        return (
            [node.attr]
            if node.attr in _ATTRIBUTES
            else ["sys.modules"] * (inside_sys and node.attr == "modules")
        )
    if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
        return [] if isinstance(node.value, ast.Constant) and node.value.value is False else ["allow_pickle"]
    if isinstance(node, ast.ImportFrom):
        names = {alias.name for alias in node.names}
        return sorted(names & _ATTRIBUTES | hiding_members(node.module or "", names))
    return []
