"""Read requests as MLflow's server does, whose messages are protocol buffers in JSON.

What clients send nearly always fits its struct as it is, and msgspec reads it at once. Whatever does not is read again,
field by field, by the rules of JSON for protocol buffers: numbers may be text, names of fields may be in camelCase,
enums may be numbers, null is absent, unknown fields are ignored. What is wrong even then is told in MLflow's words.
"""

from __future__ import annotations

import enum
import json
import math
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import inspect

from noria.interop.mlflow.errors import MlflowError, invalid

SEE_DOCS = " See the API docs for more information about request parameters."

_INT64 = 1 << 63
_NUMBER_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")


class WireEnum(enum.Enum):
    """An enum that travels by name, and may come as a number.

    ::

        class ViewType(WireEnum):
            ACTIVE_ONLY = "ACTIVE_ONLY", 1
    """

    number: int

    def __new__(cls, name: str, number: int) -> WireEnum:
        """Make a member of its name and number."""
        member = object.__new__(cls)
        member._value_ = name
        member.number = number
        return member


class Message(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A message of MLflow's protocol, request or response.

    A field that may be absent has a default, and a response leaves out what is at its default: give `None` for
    absent to what may be zero or empty in an answer.
    """


M = TypeVar("M", bound=Message)


class Decoder(Generic[M]):
    """Reads the requests of one endpoint.

    Parameters
    ----------
    cls
        The message. Its fields stand in the order in which MLflow's server checks them.
    required
        Fields that must be given, and not as empty text; `run_id` may be given as `run_uuid`. The default of a
        required field is None or empty text.
    """

    def __init__(self, cls: type[M], required: Sequence[str] = ()) -> None:
        self._cls = cls
        self._required = frozenset(required)
        self._in_order = tuple(name for name in cls.__struct_fields__ if name in self._required)
        self._takes_uuid = "run_uuid" in cls.__struct_fields__

    # At the first request: to look into the types of a hundred endpoints would hold up each start of the server.

    @cached_property
    def _decoder(self) -> msgspec.json.Decoder[M]:
        return msgspec.json.Decoder(self._cls)

    @cached_property
    def _fields(self) -> dict[str, inspect.Field]:
        return _fields_of(self._cls)

    @cached_property
    def _camel(self) -> tuple[bytes, ...]:
        return tuple(sorted({f'"{name}"'.encode() for name in _camel_names(self._cls)}))

    def read_body(self, body: bytes) -> M:
        """Read a JSON body; an empty one, and one that is no JSON, is taken for a message without fields."""
        if body:
            try:
                message = self._decoder.decode(body)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                return self._build(_loads(body))
            for name in self._camel:
                if name in body:
                    return self._build(_loads(body))
            return self._settled(message)
        return self._build(_loads(body))

    def read_query(self, query: Mapping[str, list[str]]) -> M:
        """Read the fields of a message from a query."""
        given: dict[str, Any] = {}
        for name, field in self._fields.items():
            if name in query:
                given[name] = _from_query(field.type, query[name])
        return self._build(given)

    def read_fields(self, fields: Mapping[str, Any]) -> M:
        """Read the fields of a message that are at hand as plain values."""
        return self._build(dict(fields))

    def _settled(self, message: M) -> M:
        if self._takes_uuid and not message.run_id:  # type: ignore[attr-defined]
            message.run_id = message.run_uuid  # type: ignore[attr-defined]
        for name in self._in_order:
            if getattr(message, name) in (None, ""):
                raise missing_parameter(name)
        return message

    def _build(self, raw: Any) -> M:
        if not isinstance(raw, dict):
            raise invalid(f"The request must be a JSON object, not {type(raw).__name__}.{SEE_DOCS}")
        raw = _snake_names(raw, self._fields)
        if self._takes_uuid and raw.get("run_id") is None and "run_uuid" in raw:
            raw["run_id"] = raw["run_uuid"]
        plain: dict[str, Any] = {}
        for name, field in self._fields.items():
            value = raw.get(name)
            if value in (None, "") and name in self._required:
                raise missing_parameter(name)
            if value is not None:
                _put(plain, name, _normal(field.type, value, name))
        return msgspec.convert(plain, self._cls)


def missing_parameter(path: str) -> MlflowError:
    """Make the error about a field that must be given."""
    return invalid(f"Missing value for required parameter '{path}'.{SEE_DOCS}")


def invalid_parameter(path: str, value: object) -> MlflowError:
    """Make the error about a field whose value is of a wrong type or out of range.

    Examples
    --------
    >>> invalid_parameter("name", 5).message[:60]
    "Invalid value 5 for parameter 'name' supplied:  Hint: Value "
    """
    hint = f" Hint: Value was of type '{type(value).__name__}'."
    return invalid(f"{invalid_value(path, value, hint)}{SEE_DOCS}")


def invalid_value(path: str, value: object, reason: str | None = None) -> str:
    """Say that a value is wrong, as MLflow does.

    Examples
    --------
    >>> invalid_value("step", 0.5, "Steps are whole.")
    "Invalid value 0.5 for parameter 'step' supplied: Steps are whole."
    """
    shown = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return f"Invalid value {shown} for parameter '{path}' supplied{'.' if reason is None else f': {reason}'}"


def _loads(body: bytes) -> Any:
    """Read JSON, once more if it is text that holds JSON."""
    try:
        raw = json.loads(body)
        if isinstance(raw, str):
            raw = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return {} if raw is None else raw


def _fields_of(cls: type[msgspec.Struct]) -> dict[str, inspect.Field]:
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)  # noqa: S101 - it was given as one
    return {field.encode_name: field for field in info.fields}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


def _camel_names(cls: type[msgspec.Struct]) -> set[str]:
    found: set[str] = set()
    for name, field in _fields_of(cls).items():
        if _camel(name) != name:
            found.add(_camel(name))
        for inner in _inner_types(field.type):
            if isinstance(inner, inspect.StructType):
                found |= _camel_names(inner.cls)
    return found


def _inner_types(node: inspect.Type) -> list[inspect.Type]:
    if isinstance(node, inspect.UnionType):
        return [found for each in node.types for found in _inner_types(each)]
    if isinstance(node, inspect.ListType):
        return _inner_types(node.item_type)
    if isinstance(node, inspect.Metadata):
        return _inner_types(node.type)
    return [node]


def _snake_names(raw: Mapping[str, Any], fields: Mapping[str, inspect.Field]) -> dict[str, Any]:
    """Give the known fields under their own names.

    Raises
    ------
    MlflowError
        If one is there under both.
    """
    known = {}
    for name in fields:
        camel = _camel(name)
        if name in raw:
            if camel != name and camel in raw:
                raise invalid(f"Request specifies both '{name}' and '{camel}'; provide only one of them.")
            known[name] = raw[name]
        elif camel in raw:
            known[name] = raw[camel]
    return known


def _from_query(node: inspect.Type, values: list[str]) -> Any:
    kinds = [type(each) for each in _kinds(node)]
    if inspect.ListType in kinds:
        return values
    if inspect.BoolType in kinds:
        text = values[0].lower()
        if text not in ("true", "false"):
            raise invalid(f"Invalid boolean value: {values[0]}, must be 'true' or 'false'.")
        return text == "true"
    return values[0]


def _kinds(node: inspect.Type) -> list[inspect.Type]:
    """Give the alternatives of a type besides null and unset."""
    if isinstance(node, inspect.Metadata):
        return _kinds(node.type)
    if isinstance(node, inspect.UnionType):
        return [kind for each in node.types for kind in _kinds(each)]
    return [] if isinstance(node, inspect.NoneType) else [node]


def _leading(kinds: list[inspect.Type]) -> inspect.Type:
    """Give the alternative that decides: a number, where a field may also hold the words for NaN and infinities."""
    return next((kind for kind in kinds if isinstance(kind, inspect.FloatType)), kinds[0])


_ABSENT = object()


def _put(plain: dict[str, Any], name: str, value: Any) -> None:
    if value is not _ABSENT:
        plain[name] = value


def _normal(node: inspect.Type, value: Any, path: str) -> Any:
    """Bring a value into the form in which its type has it, or refuse it."""
    kind = _leading(_kinds(node))
    if isinstance(kind, inspect.StructType):
        return _normal_struct(kind, value, path)
    if isinstance(kind, inspect.ListType):
        if not isinstance(value, list):
            raise invalid_parameter(path, value)
        return _normal_list(kind.item_type, value, path)
    if isinstance(kind, inspect.DictType):
        if not isinstance(value, dict):
            raise invalid_parameter(path, value)
        return {key: _normal_item(kind.value_type, each, f"{path}.{key}") for key, each in value.items()}
    if isinstance(kind, inspect.EnumType):
        return _normal_enum(kind.cls, value, path)
    scalar = _SCALARS.get(type(kind))
    if scalar is None:  # any value, as it is
        return value
    found = scalar(value)
    if found is None or not _is_in_range(kind, found):
        raise invalid_parameter(path, value)
    return found


def _normal_list(item: inspect.Type, values: list[Any], path: str) -> list[Any]:
    if isinstance(item, inspect.StrType):  # told whole, as MLflow's server does
        if not all(_text(each) is not None for each in values):
            raise invalid_parameter(path, values)
        return values
    found = [_normal_item(item, each, f"{path}[{at}]") for at, each in enumerate(values)]
    return [each for each in found if each is not _ABSENT]


def _normal_item(node: inspect.Type, value: Any, path: str) -> Any:
    if value is None and not isinstance(node, inspect.AnyType):
        raise invalid_parameter(path, value)
    return _normal(node, value, path)


def _normal_struct(kind: inspect.StructType, value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise invalid_parameter(path, value)
    fields = _fields_of(kind.cls)
    raw = _snake_names(value, fields)
    plain: dict[str, Any] = {}
    for name, field in fields.items():
        if raw.get(name) is not None:
            _put(plain, name, _normal(field.type, raw[name], f"{path}.{name}"))
        elif field.required:
            raise missing_parameter(f"{path}.{name}")
    return plain


def _normal_enum(cls: type[enum.Enum], value: Any, path: str) -> Any:
    """Give the name of a member; an unknown name is as good as none, an unknown number is refused."""
    if isinstance(value, str) and value in cls.__members__:
        return cls[value].value
    number = _integer(value)
    if number is None:
        if isinstance(value, str):
            return _ABSENT
        raise invalid_parameter(path, value)
    for member in cls:
        if getattr(member, "number", None) == number:
            return member.value
    raise invalid_parameter(path, value)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and not _LONE_SURROGATE.search(value) else None


def _integer(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if isinstance(value, str) and " " in value:
        return None
    try:
        return int(value) if not isinstance(value, float) else _whole(value)
    except ValueError:
        try:
            return _whole(float(value))
        except (ValueError, OverflowError):
            return None
    except OverflowError:
        return None


def _whole(number: float) -> int | None:
    return int(number) if number.is_integer() else None


def number_of_text(text: str) -> float | None:
    """Read a double that travels as text, or None if it is none.

    Examples
    --------
    >>> number_of_text("0.5"), number_of_text("-Infinity"), number_of_text("abc")
    (0.5, -inf, None)
    """
    if text in _NUMBER_WORDS:
        return _NUMBER_WORDS[text]
    try:
        return None if text == "nan" else float(text)
    except ValueError:
        return None


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        return number_of_text(value)
    if isinstance(value, bool):
        return float(value)
    try:
        return float(value) if isinstance(value, int) or math.isfinite(value) else None
    except (TypeError, OverflowError):
        return None


def _truth(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


_SCALARS: dict[type, Any] = {
    inspect.StrType: _text,
    inspect.IntType: _integer,
    inspect.FloatType: _number,
    inspect.BoolType: _truth,
}


def _is_in_range(kind: inspect.Type, value: Any) -> bool:
    if not isinstance(kind, inspect.IntType):
        return True
    low = -_INT64 if kind.ge is None else kind.ge
    high = _INT64 - 1 if kind.le is None else kind.le
    return bool(low <= value <= high)
