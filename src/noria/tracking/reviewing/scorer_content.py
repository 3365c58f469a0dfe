"""What can be known of a scorer without running it."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from noria.core.errors import Invalid

_DATA: Final = ("instructions_judge_pydantic_data", "builtin_scorer_pydantic_data")
_NESTED: Final = "memory_augmented_judge_data"
_FOREIGN: Final = "third_party_scorer_data"
_GATEWAY: Final = re.compile(r"gateway:/+(.+)", re.DOTALL)


def read_content(content: str) -> dict[str, Any]:
    """Read the text of a scorer.

    Raises
    ------
    Invalid
        If it is no JSON object, or names a model by something that is no name.
    """
    try:
        found = msgspec.json.decode(content)
    except (msgspec.DecodeError, ValueError) as error:
        raise Invalid("A scorer must be valid JSON", hint="Pass what its library wrote") from error
    if not isinstance(found, dict):
        raise Invalid("A scorer must be a JSON object", hint="Pass what its library wrote")
    model = _named(found)
    if model is not None and not isinstance(model, str):
        raise Invalid(f"Scorer model must be a string, got {type(model).__name__}.")
    if model is not None and not model.strip():
        raise Invalid("Scorer model cannot be empty or contain only whitespace.")
    return found


def model_of(content: dict[str, Any]) -> str | None:
    """Give the language model that a scorer asks, or None if it asks none.

    Examples
    --------
    >>> model_of({"instructions_judge_pydantic_data": {"model": "openai:/small"}})
    'openai:/small'
    """
    named = _named(content)
    return named if isinstance(named, str) else None


def gateway_of(model: str | None) -> str | None:
    """Give the name of the gateway's endpoint that a model stands for, or None if it is no such one.

    Examples
    --------
    >>> gateway_of("gateway:/chat"), gateway_of("openai:/small")
    ('chat', None)
    """
    found = _GATEWAY.fullmatch(model or "")
    return None if found is None else found[1]


def _named(content: dict[str, Any]) -> Any:
    for name in _DATA:
        if isinstance(content.get(name), dict) and content[name]:
            return content[name].get("model")
    nested = content.get(_NESTED)
    if isinstance(nested, dict) and nested:
        base = nested.get("base_judge")
        return _named(base) if isinstance(base, dict) else None
    foreign = content.get(_FOREIGN)
    return foreign.get("model") if isinstance(foreign, dict) else None
