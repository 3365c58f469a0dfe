"""The form in which arguments, answers and errors of workflows are kept: JSON, never pickle.

A record is `{"value": …}` or `{"error": ErrorBody}`, so that no answer can be mistaken for an error.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

import msgspec

from noria.core.errors import Corrupt, ErrorBody, Failed, Invalid, NoriaError, error_from_body

T = TypeVar("T")

_INT64 = range(-(2**63), 2**63)


class _Record(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    value: Any = None
    error: ErrorBody | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Record)


def require_json(value: T, what: str) -> T:
    """Give the value back if it is JSON that reads back as itself.

    Parameters
    ----------
    what
        Names the value in the message: "The answer of step `measure`".

    Raises
    ------
    Invalid
        If it is not; the message has the path to the part that is not, and its type.
    """
    fault = _fault(value, "$")
    if fault is not None:
        raise Invalid(
            f"{what} cannot be recorded: {fault}",
            hint="Use None, bool, int, finite float, str, list and dict with str keys",
        )
    return value


def encode(value: Any) -> str:
    """Encode an answer, the arguments of a workflow, or an exception.

    Raises
    ------
    Invalid
        If a value is not JSON.
    """
    if isinstance(value, BaseException):
        return _text(_Record(error=as_noria_error(value).to_body()))
    return _text(_Record(value=require_json(_plain_arguments(value), "A value of a workflow")))


def decode(text: str) -> Any:
    """Decode what `encode` made; an exception comes back as an object, not raised.

    Raises
    ------
    Corrupt
        If it is something else.
    """
    try:
        record = _decoder.decode(text)
    except msgspec.DecodeError as error:
        raise Corrupt(f"A record of the control loop cannot be read: {error}") from error
    return record.value if record.error is None else error_from_body(record.error)


def as_noria_error(error: BaseException) -> NoriaError:
    """Give the error as a record gives it back: Noria's own by its code, any other as `Failed`."""
    if isinstance(error, NoriaError):
        return error_from_body(_recordable(error.to_body()))
    kind = type(error).__name__
    text = _encodable(str(error))
    return Failed(f"{kind}: {text}" if text else kind, details={"type": kind})


def _text(record: _Record) -> str:
    return _encoder.encode(record).decode()


def _plain_arguments(value: Any) -> Any:
    # The engine hands over a call as {"args": (…), "kwargs": {…}}: the one tuple that JSON must carry.
    if isinstance(value, dict) and isinstance(value.get("args"), tuple):
        return {**value, "args": list(value["args"])}
    return value


def _recordable(body: ErrorBody) -> ErrorBody:
    """Drop details that are not JSON: an error must always be told, whoever raised it."""
    return msgspec.structs.replace(
        body,
        message=_encodable(body.message),
        hint=None if body.hint is None else _encodable(body.hint),
        details={key: value for key, value in body.details.items() if _entry_fault(key, value, "$") is None},
    )


def _encodable(text: str) -> str:
    # A file name that is not UTF-8 reaches a message with lone surrogates, which JSON cannot carry.
    return text.encode("utf-8", "backslashreplace").decode()


def _fault(value: Any, path: str) -> str | None:
    """Tell what in a value is not JSON and where, or None."""
    if type(value) is list:
        return _first(_fault(item, f"{path}[{index}]") for index, item in enumerate(value))
    if type(value) is dict:
        return _first(_entry_fault(key, item, path) for key, item in value.items())
    return _scalar_fault(value, path)


def _scalar_fault(value: Any, path: str) -> str | None:
    fault: str | None = None
    if type(value) is str:
        fault = "is a text that is not Unicode" if _encodable(value) != value else None
    elif type(value) is int:
        fault = "is an integer beyond 64 bits" if value not in _INT64 else None
    elif type(value) is float:
        fault = f"is `{value}`" if not math.isfinite(value) else None
    elif value is not None and type(value) is not bool:
        fault = f"is a `{type(value).__name__}`"
    return fault and f"`{path}` {fault}"


def _entry_fault(key: Any, value: Any, path: str) -> str | None:
    if type(key) is not str:
        return f"a key of `{path}` is a `{type(key).__name__}`"
    return _fault(value, f"{path}.{key}")


def _first(faults: Any) -> str | None:
    return next((fault for fault in faults if fault is not None), None)
