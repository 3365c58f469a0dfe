"""What a form brings: decoded field by field into a Struct, and shown again as it was typed when it is wrong."""

from __future__ import annotations

import enum
import math
import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl

import msgspec

from noria.core.errors import Invalid
from noria.core.web.languages import mark
from noria.core.web.retelling import Sentence

F = TypeVar("F", bound=msgspec.Struct)

MAX_FIELDS = 5000
RESERVED = frozenset({"csrf", "here", "form", "of_form", "confirmed"})
"""Names of fields that the machinery adds to each form."""

Secret = Annotated[str, msgspec.Meta(max_length=1000, extra={"secret": True})]
"""A password: never shown again, and not kept while somebody signs in."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_BOUND = re.compile(r"of length (<=|>=) (\d+)|`(?:int|float)` (<=|>=|<|>) (-?[\d.]+)")

MISSING = mark("Fill this in")
WHOLE_NUMBER = mark("This must be a whole number")
NUMBER = mark("This must be a number")
DATE = mark("This must be a date, such as 2026-01-31")
LISTED = mark("Choose one of the list")
TOO_LONG = mark("Use at most %(bound)s characters")
TOO_SHORT = mark("Use at least %(bound)s characters")
TOO_LARGE = mark("This must be at most %(bound)s")
TOO_SMALL = mark("This must be at least %(bound)s")
HIDDEN_CHARACTER = mark("This holds a character that cannot be seen")
WRONG = mark("This does not have the right form")


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """What is wrong with a field.

    Attributes
    ----------
    words
        A sentence without a full stop that `mark` gathered, with `%(name)s` for values.
    values
        What is put in, not translated.
    """

    words: str
    values: Mapping[str, str] = field(default_factory=dict)


class FieldsRefused(Exception):
    """Some fields of a form are wrong. Handlers raise it too, for what only they can know.

    Parameters
    ----------
    errors
        By name of the field.
    """

    def __init__(self, errors: Mapping[str, FieldError]) -> None:
        super().__init__(", ".join(f"{name}: {error.words % error.values}" for name, error in errors.items()))
        self.errors = dict(errors)


class Stale(Exception):
    """Somebody else changed the thing since the form was made: nothing is written over unseen.

    Parameters
    ----------
    current
        What the fields that differ hold now, as people read it; by name of the field.
    """

    def __init__(self, current: Mapping[str, str]) -> None:
        super().__init__(f"the form is older than {', '.join(current)}")
        self.current = dict(current)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What came with a POST.

    Attributes
    ----------
    fields
        Values by name, in the order in which they came; without those of the machinery.
    csrf, here, form, confirmed
        Those of the machinery: token, address of the page, name of the form in it, and what was typed or clicked to
        confirm; empty when absent.
    """

    fields: dict[str, tuple[str, ...]]
    csrf: str = ""
    here: str = ""
    form: str = ""
    confirmed: str = ""

    def pairs(self) -> list[tuple[str, str]]:
        """Give the fields one by one."""
        return [(name, value) for name, values in self.fields.items() for value in values]


def read_form(body: bytes) -> Sent:
    r"""Take a form apart.

    Raises
    ------
    Invalid
        If it is no form, or has too many fields.

    Examples
    --------
    >>> read_form(b"csrf=t&tag=a&tag=b%0D%0Ac").fields
    {'tag': ('a', 'b\nc')}
    """
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError as error:
        raise Invalid(f"The form cannot be read: {error}", hint="Go back and send it again") from error
    found: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        found[name] = (*found.get(name, ()), value.replace("\r\n", "\n"))
    ours = {name: found.pop(name)[-1] for name in RESERVED if name in found}
    # A question in between asks with a form of its own, and says which one it asks about.
    ours["form"] = ours.get("form", "") or ours.pop("of_form", "")
    ours.pop("of_form", None)
    return Sent(fields=found, **ours)


def decode_form(type_: type[F], sent: Mapping[str, Sequence[str]]) -> F:
    """Make a Struct of the fields of a form.

    A list takes every value of its name; other fields the last one. An empty text leaves a field at its default. A
    box that is not ticked sends nothing, so a `bool` has the default False.

    Raises
    ------
    FieldsRefused
        With what is wrong, field by field.
    Invalid
        If there is a field that the Struct does not have: such a form is not ours.
    """
    fields = {each.name: each for each in msgspec.structs.fields(type_)}
    unknown = sorted(set(sent) - set(fields))
    if unknown:
        raise Invalid(f"This form has no field `{unknown[0][:100]}`", hint="Go back and send it again")
    found: dict[str, Any] = {}
    errors: dict[str, FieldError] = {}
    for name, each in fields.items():
        try:
            found |= _decode(each, sent.get(name, ()))
        except _Wrong as wrong:
            errors[name] = wrong.error
    if errors:
        raise FieldsRefused(errors)
    return type_(**found)


def secret_fields(type_: type[msgspec.Struct]) -> frozenset[str]:
    """Name the fields that hold passwords.

    Examples
    --------
    >>> class Signing(msgspec.Struct):
    ...     name: str
    ...     password: Secret
    >>> secret_fields(Signing)
    frozenset({'password'})
    """
    return frozenset(each.name for each in msgspec.structs.fields(type_) if _is_secret(each.type))


@dataclass(frozen=True, slots=True, kw_only=True)
class FormState:
    """A form that was sent and not taken, to be shown again.

    Attributes
    ----------
    action, form
        Where it was sent to, and its name there.
    values
        As they were typed, without passwords.
    errors
        What is wrong, by field.
    current
        What somebody else made of a field meanwhile, by field.
    words
        Why it was not taken, to be translated.
    message, hint
        The same from a service; None when there is none.
    """

    action: str
    form: str = ""
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    errors: Mapping[str, FieldError] = field(default_factory=dict)
    current: Mapping[str, str] = field(default_factory=dict)
    words: str = ""
    message: Sentence | None = None
    hint: Sentence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FormView:
    """One form of a page, as the macros of `_forms.html` see it.

    Attributes
    ----------
    action
        Where it goes.
    name
        Tells forms with one action apart.
    csrf, here
        Fields of the machinery.
    state
        What was typed before; None in a fresh form.
    """

    action: str
    name: str
    csrf: str
    here: str
    state: FormState | None = None

    def id(self, field: str) -> str:
        """Give the `id` of a field in the page."""
        return "-".join(part for part in ("field", self.name, field) if part)

    def value(self, field: str, default: Any = "") -> str:
        """Give what stands in a field: what was typed, or else the default."""
        typed = self._typed(field)
        return str("" if default is None else default) if typed is None else typed[-1] if typed else ""

    def has(self, field: str, value: str, default: bool = False) -> bool:
        """Tell whether a choice is chosen or a box ticked."""
        typed = self._typed(field)
        return default if typed is None else value in typed

    def error(self, field: str) -> FieldError | None:
        """Give what is wrong with a field."""
        return self.state.errors.get(field) if self.state else None

    def current(self, field: str) -> str | None:
        """Give what somebody else made of a field while this was typed."""
        return self.state.current.get(field) if self.state else None

    def is_noted(self, field: str) -> bool:
        """Tell whether there is something to say about a field."""
        return self.error(field) is not None or self.current(field) is not None

    def _typed(self, field: str) -> tuple[str, ...] | None:
        return None if self.state is None else tuple(self.state.values.get(field, ()))


class _Wrong(Exception):
    def __init__(self, words: str, **values: str) -> None:
        super().__init__(words)
        self.error = FieldError(words=words, values=values)


def _decode(each: msgspec.structs.FieldInfo, values: Sequence[str]) -> dict[str, Any]:
    if any(_CONTROL.search(value) for value in values):
        raise _Wrong(HIDDEN_CHARACTER)
    if _is_list(each.type):
        return {each.name: _convert([value for value in values if value], each.type)} if any(values) else {}
    if not values or not values[-1]:
        if each.required:
            raise _Wrong(MISSING)
        return {}
    return {each.name: _convert(values[-1], each.type)}


def _convert(value: Any, type_: Any) -> Any:
    try:
        converted = msgspec.convert(value, type_, strict=False)
    except msgspec.ValidationError as error:
        raise _wrong(str(error), type_) from error
    if isinstance(converted, float) and not math.isfinite(converted):
        raise _Wrong(NUMBER)
    if type(converted) is int and not -(1 << 63) <= converted < 1 << 63:
        raise _Wrong(WHOLE_NUMBER)
    return converted


def _wrong(message: str, type_: Any) -> _Wrong:
    bound = _BOUND.search(message)
    if bound is not None:
        sign, most = (bound[1], bound[2]) if bound[1] else (bound[3], bound[4])
        few, many = (TOO_LONG, TOO_SHORT) if bound[1] else (TOO_LARGE, TOO_SMALL)
        return _Wrong(few if sign.startswith("<") else many, bound=most.removesuffix(".0"))
    kinds = [each for each in _members(type_) if isinstance(each, type)]
    for kind, words in _KIND_WORDS:
        if any(issubclass(each, kind) for each in kinds):
            return _Wrong(words)
    is_literal = any(typing.get_origin(each) is typing.Literal for each in _members(type_))
    return _Wrong(LISTED if is_literal else WRONG)


_KIND_WORDS: tuple[tuple[type, str], ...] = (
    (enum.Enum, LISTED),
    (bool, WRONG),
    (int, WHOLE_NUMBER),
    (float, NUMBER),
    (datetime, DATE),
    (date, DATE),
)


def _members(type_: Any) -> list[Any]:
    """Give the types in a union, without annotations."""
    if typing.get_origin(type_) is Annotated:
        return _members(typing.get_args(type_)[0])
    if typing.get_origin(type_) in (typing.Union, types.UnionType):
        return [member for each in typing.get_args(type_) for member in _members(each)]
    return [type_]


def _is_list(type_: Any) -> bool:
    return any(typing.get_origin(each) in (list, tuple) for each in _members(type_))


def _is_secret(type_: Any) -> bool:
    if typing.get_origin(type_) is Annotated:
        metas = [each for each in type_.__metadata__ if isinstance(each, msgspec.Meta)]
        return any((each.extra or {}).get("secret") for each in metas)
    return any(_is_secret(each) for each in typing.get_args(type_) if typing.get_origin(each) is Annotated)
