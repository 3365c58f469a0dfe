"""What functions and classes carry beside their code: defaults, closed-over variables, attributes, members.

Two functions made by one definition have the same code and other closures, and two lambdas even the same name; a
fingerprint tells them apart by what they carry.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import sys
import types
from collections.abc import Iterator
from types import FunctionType
from typing import Any, Final

from noria.pipelines.distributions import is_library, real_place

_PLAIN: Final = (FunctionType, staticmethod, classmethod, property)
_SLOTS: Final = (
    types.MemberDescriptorType,
    types.GetSetDescriptorType,
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
)
_INNER: Final = ("fget", "fset", "fdel", "__func__", "func", "__wrapped__", "function", "dispatcher")
_BY_PYTHON: Final = frozenset(
    {
        *("__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "__slots__", "__annotations__"),
        *("__annotate__", "__annotate_func__", "__annotations_cache__", "__firstlineno__", "__type_params__"),
        *("__static_attributes__", "__abstractmethods__", "_abc_impl", "__parameters__", "__orig_bases__"),
        *(
            "__slotnames__",
            "__dataclass_params__",
            "__protocol_attrs__",
            "__non_callable_proto_members__",
            "_is_protocol",
        ),
        *("_is_runtime_protocol", "__callable_proto_members_only__", "__classcell__"),
    }
)
"""What Python writes into classes by itself: it follows from their code, or from nothing that a step can see."""

_DISPATCH: Final = frozenset({"registry", "dispatch", "register", "_clear_cache", "__wrapped__"})
_HAS_DOCSTRING: Final = 0x4000000


def values_of_function(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Give the defaults, closed-over variables and attributes of a function, by name."""
    for name, value in (("defaults", function.__defaults__), ("keywords", function.__kwdefaults__)):
        if value:
            yield name, value
    # What `functools.singledispatch` closes over is its registry, which is followed, and a cache.
    closed = () if "registry" in vars(function) else function.__closure__ or ()
    for name, cell in zip(function.__code__.co_freevars, closed, strict=False):
        try:
            yield name, cell.cell_contents
        except ValueError:
            continue  # not set yet: a function that is defined further down
    yield from attributes_of(function).items()


def attributes_of(function: FunctionType) -> dict[str, Any]:
    """Give what was set on a function, but for what `functools` notes there."""
    skipped = _DISPATCH if "registry" in vars(function) else {"__wrapped__"}
    return {name: value for name, value in vars(function).items() if name not in skipped}


def members_of(kind: type) -> Iterator[tuple[str, Any]]:
    """Give the members of a class that are more than plain functions, by name, as far as a step can see them."""
    named = kind.__members__ if issubclass(kind, enum.Enum) else None
    if named is not None:
        yield from ((name, member._value_) for name, member in named.items())
    for name, member in vars(kind).items():
        if name in _BY_PYTHON or isinstance(member, (*_PLAIN, *_SLOTS)):
            continue
        if named is not None and (_is_sunder(name) or name in named):
            continue
        if name == "__dataclass_fields__":
            yield name, [_field(item) for item in member.values()]
        elif not _is_cached_property(member):
            yield name, member


def functions_of(kind: type) -> Iterator[tuple[str, FunctionType]]:
    """Give the functions behind a class's members, by name: methods, properties, decorated methods."""
    for name, member in vars(kind).items():
        for function in functions_in(member):
            yield name, function


def functions_in(member: Any) -> Iterator[FunctionType]:
    """Give the functions behind one member of a class."""
    if isinstance(member, FunctionType):
        yield member
        return
    for name in _INNER:
        inner = inspect.getattr_static(member, name, None)
        if isinstance(inner, types.MemberDescriptorType):
            inner = getattr(member, name, None)
        if isinstance(inner, FunctionType):
            yield inner


def is_machinery(name: str, member: Any) -> bool:
    """Tell whether a member without a fingerprint is no state of the project: what a library keeps in classes."""
    dunder = name.startswith("__") and name.endswith("__")
    return dunder or (hasattr(type(member), "__get__") and _is_of_library(type(member)))


def stands_by_name(thing: Any) -> bool:
    """Tell whether a function or class is what its module has under its name."""
    found: Any = sys.modules.get(str(getattr(thing, "__module__", "")))
    for part in str(getattr(thing, "__qualname__", "<none>")).split("."):
        found = inspect.getattr_static(found, part, None)
    inner = getattr(found, "__func__", getattr(found, "function", found))
    return thing in (found, inner) if isinstance(thing, (FunctionType, type)) else found is thing


def runs_library_code(function: FunctionType) -> bool:
    """Tell whether a function's code lies in Python or an installed package, whatever module it says it is of."""
    filename = function.__code__.co_filename
    return not filename.startswith("<") and is_library(real_place(filename))


def constants_but_docstring(code: types.CodeType) -> tuple[Any, ...]:
    """Give the constants of a function's code without its docstring."""
    first = code.co_consts[:1]
    if not first or not isinstance(first[0], str) or code.co_name.startswith("<"):
        return code.co_consts
    has_docstring = sys.version_info < (3, 13) or bool(code.co_flags & _HAS_DOCSTRING)
    return code.co_consts[1:] if has_docstring else code.co_consts


def _field(item: dataclasses.Field[Any]) -> list[Any]:
    kept = (item.default, item.default_factory)
    values = [None if value is dataclasses.MISSING else [value] for value in kept]
    return [
        item.name,
        *values,
        item.init,
        item.repr,
        item.hash,
        item.compare,
        item.kw_only,
        dict(item.metadata),
    ]


def _is_sunder(name: str) -> bool:
    return name.startswith("_") and name.endswith("_")


def _is_cached_property(member: Any) -> bool:
    return type(member).__module__ == "functools" and type(member).__name__ == "cached_property"


def _is_of_library(kind: type) -> bool:
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return file is None or is_library(real_place(file))
