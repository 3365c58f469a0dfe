"""Parameters of a pipeline: keyword parameters with types, given as text on a command line or as values in Python."""

from __future__ import annotations

import collections.abc
import enum
import inspect
import json
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from noria.core.errors import Invalid, near
from noria.pipelines.annotations import conforms, describe, is_union, plain

_REQUIRED = inspect.Parameter.empty
_WORDS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}
_NOTHING = ("none", "null", "")
_SEQUENCES: dict[Any, Callable[[list[Any]], Any]] = {
    list: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
    collections.abc.Sequence: list,
    collections.abc.Iterable: list,
}


class ParameterInvalid(Invalid):
    """A parameter of a pipeline is unknown, missing, or not of its type."""

    code = "parameter_invalid"


class _Unfit(Exception):
    """The text or value does not fit the type; becomes a `ParameterInvalid` that names the parameter."""


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter that a pipeline declares.

    Attributes
    ----------
    annotation
        Its type; where the author gave none, the type of the default.
    default
        `inspect.Parameter.empty` when a value must be given.
    """

    name: str
    annotation: Any
    default: Any = _REQUIRED

    @property
    def required(self) -> bool:
        """Tell whether a value must be given."""
        return self.default is _REQUIRED


def declared_parameters(function: Callable[..., Any]) -> dict[str, Parameter]:
    """Read the parameters of a pipeline function.

    Raises
    ------
    ParameterInvalid
        If it takes `*args` or `**kwargs`, or an annotation names something that does not exist.
    """
    try:
        hints = typing.get_type_hints(function)
    except NameError as error:
        raise ParameterInvalid(
            f"An annotation of `{function.__name__}` names `{error.name}`, which does not exist in its module",
            hint=f"Import `{error.name}` in `{function.__module__}`, outside of `if TYPE_CHECKING:`",
        ) from error
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            raise ParameterInvalid(
                f"The pipeline `{function.__name__}` takes `{parameter}`; every parameter needs a name of its own",
                hint="Write each parameter out: `c: float = 1.0`",
            )
        annotation = hints.get(name, _type_of_default(parameter.default))
        found[name] = Parameter(name=name, annotation=annotation, default=parameter.default)
    return found


def parse_assignments(
    pipeline: str, declared: Mapping[str, Parameter], assignments: Sequence[str]
) -> dict[str, Any]:
    """Turn `key=value` texts of a command line into values.

    Raises
    ------
    ParameterInvalid
        The message names the parameter, the value and the type.
    """
    values = {}
    for assignment in assignments:
        name, separator, text = assignment.partition("=")
        if not separator:
            raise ParameterInvalid(
                f"`{assignment}` is not a parameter with a value", hint=f"Write `-p {assignment}=VALUE`"
            )
        values[name] = parse(_declared(pipeline, declared, name), text)
    return values


def bind(pipeline: str, declared: Mapping[str, Parameter], given: Mapping[str, object]) -> dict[str, Any]:
    """Check the values that were given and fill in the defaults.

    Raises
    ------
    ParameterInvalid
        If one is unknown, missing or not of its type.
    """
    checked = {name: check(_declared(pipeline, declared, name), value) for name, value in given.items()}
    for parameter in declared.values():
        if parameter.name not in checked and parameter.required:
            raise ParameterInvalid(
                f"The pipeline `{pipeline}` needs the parameter `{parameter.name}` ({describe(parameter.annotation)})",
                hint=f"Add `-p {parameter.name}=VALUE`",
            )
    return {p.name: checked.get(p.name, p.default) for p in declared.values()}


def parse(parameter: Parameter, text: str) -> Any:
    """Read a value from text by the parameter's type.

    Lists are written `a,b,c` or as JSON, nothing as `none`, yes and no as `true`/`false`, `yes`/`no`, `on`/`off`.

    Raises
    ------
    ParameterInvalid
        If it cannot be read.

    Examples
    --------
    >>> parse(Parameter(name="grid", annotation=list[float]), "0.1,1")
    [0.1, 1.0]
    """
    try:
        return _parse(plain(parameter.annotation), text)
    except _Unfit as error:
        raise _misfit(parameter, text, error) from None


def check(parameter: Parameter, value: object) -> Any:
    """Check a value against the parameter's type, taking the JSON forms of paths, dates, enums and tuples.

    Raises
    ------
    ParameterInvalid
        If it does not fit.
    """
    try:
        return _check(plain(parameter.annotation), value)
    except _Unfit as error:
        raise _misfit(parameter, value, error) from None


def _declared(pipeline: str, declared: Mapping[str, Parameter], name: str) -> Parameter:
    if name in declared:
        return declared[name]
    close = near(name, declared)
    known = ", ".join(f"`{known}`" for known in declared) or "none"
    raise ParameterInvalid(
        f"The pipeline `{pipeline}` has no parameter `{name}`",
        hint=f"Did you mean `{close}`?" if close else f"Its parameters: {known}",
        details={"parameter": name},
    )


def _misfit(parameter: Parameter, value: object, error: _Unfit) -> ParameterInvalid:
    kind = describe(parameter.annotation)
    shown = value if isinstance(value, str) else repr(value)
    because = f": {error}" if str(error) else ""
    return ParameterInvalid(
        f"The parameter `{parameter.name}` is `{shown}`, which is not {_article(kind)}`{kind}`{because}",
        hint=f"Give `{parameter.name}` {_article(kind)}`{kind}`",
        details={"parameter": parameter.name, "type": kind},
    )


def _article(kind: str) -> str:
    if " " in kind or kind.startswith("'"):
        return "one of "
    return "an " if kind[0].lower() in "aeiou" else "a "


def _type_of_default(default: Any) -> Any:
    return str if default is _REQUIRED or default is None else type(default)


def _parse(annotation: Any, text: str) -> Any:
    annotation = plain(annotation)
    if is_union(annotation):
        return _parse_union(typing.get_args(annotation), text)
    origin = typing.get_origin(annotation) or annotation
    if origin is Literal:
        return _chosen_literal(typing.get_args(annotation), text)
    if origin in _SEQUENCES:
        return _SEQUENCES[origin](_parse_items(annotation, text))
    if origin is dict or origin is collections.abc.Mapping:
        return _check(annotation, _json(text))
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return _enum_member(annotation, text)
    return _parse_scalar(annotation, text)


def _parse_scalar(annotation: Any, text: str) -> Any:
    if annotation is bool:
        if text.strip().lower() not in _WORDS:
            raise _Unfit
        return _WORDS[text.strip().lower()]
    readers: dict[Any, Callable[[str], Any]] = {
        int: int,
        float: float,
        str: str,
        Any: str,
        Path: Path,
        datetime: datetime.fromisoformat,
        date: date.fromisoformat,
    }
    if annotation is types.NoneType and text.strip().lower() in _NOTHING:
        return None
    if annotation not in readers:
        raise _Unfit("a value of this type can only be given in Python")
    try:
        return readers[annotation](text)
    except ValueError:
        raise _Unfit from None


def _parse_union(parts: tuple[Any, ...], text: str) -> Any:
    if types.NoneType in parts and text.strip().lower() in _NOTHING:
        return None
    for part in parts:
        if plain(part) is not types.NoneType:
            try:
                return _parse(part, text)
            except _Unfit:
                continue
    raise _Unfit


def _parse_items(annotation: Any, text: str) -> list[Any]:
    stripped = text.strip()
    if stripped.startswith("["):
        return list(_check(annotation, _json(stripped)))
    texts = [part.strip() for part in stripped.split(",")] if stripped else []
    kinds = _item_types(annotation, len(texts))
    return [_parse(kind, part) for kind, part in zip(kinds, texts, strict=True)]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise _Unfit(f"it is not JSON ({error})") from None


def _check(annotation: Any, value: object) -> Any:
    annotation = plain(annotation)
    if is_union(annotation):
        return _check_union(typing.get_args(annotation), value)
    origin = typing.get_origin(annotation) or annotation
    if origin in _SEQUENCES:
        return _check_sequence(annotation, origin, value)
    if origin is dict or origin is collections.abc.Mapping:
        return _check_mapping(annotation, value)
    if isinstance(value, str) and annotation is not str and _has_text_form(annotation):
        return _parse(annotation, value)
    if annotation is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not conforms(value, annotation):
        raise _Unfit(f"it is {_article(type(value).__name__)}`{type(value).__name__}`")
    return value


def _has_text_form(annotation: Any) -> bool:
    if annotation in (Path, datetime, date):
        return True
    return isinstance(annotation, type) and issubclass(annotation, enum.Enum)


def _check_union(parts: tuple[Any, ...], value: object) -> Any:
    for part in parts:
        if conforms(value, part):
            return _check(part, value)
    for part in parts:
        try:
            return _check(part, value)
        except _Unfit:
            continue
    raise _Unfit(f"it is {_article(type(value).__name__)}`{type(value).__name__}`")


def _check_sequence(annotation: Any, origin: Any, value: object) -> Any:
    if isinstance(value, (str, bytes)) or not isinstance(value, (list, tuple, set, frozenset)):
        raise _Unfit(f"it is {_article(type(value).__name__)}`{type(value).__name__}`")
    kinds = _item_types(annotation, len(value))
    return _SEQUENCES[origin]([_check(kind, item) for kind, item in zip(kinds, value, strict=True)])


def _check_mapping(annotation: Any, value: object) -> Any:
    if not isinstance(value, collections.abc.Mapping):
        raise _Unfit(f"it is {_article(type(value).__name__)}`{type(value).__name__}`")
    key_type, value_type = typing.get_args(annotation) or (Any, Any)
    return {_check(key_type, key): _check(value_type, item) for key, item in value.items()}


def _item_types(annotation: Any, n_items: int) -> list[Any]:
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) is tuple and not (len(arguments) == 2 and arguments[1] is Ellipsis):
        if len(arguments) != n_items:
            raise _Unfit(f"it has {n_items} items")
        return list(arguments)
    return [arguments[0] if arguments else Any] * n_items


def _chosen_literal(options: tuple[Any, ...], text: str) -> Any:
    for option in options:
        if text == (str(option).lower() if isinstance(option, bool) else str(option)):
            return option
    close = near(text, [str(option) for option in options])
    raise _Unfit(f"did you mean `{close}`?" if close else "")


def _enum_member(kind: type[enum.Enum], text: str) -> enum.Enum:
    for member in kind:
        if text in (member.name, str(member.value)):
            return member
    raise _Unfit("known: " + ", ".join(f"`{member.value}`" for member in kind))
