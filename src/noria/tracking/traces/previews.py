"""The beginning of what went into a trace and came out, for lists."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

PREVIEW_CHARS: Final = 1_000


def preview(value: Any, *, role: str) -> str | None:
    """Give the text of the last message of a chat, or the value as JSON; None when there is no value.

    Parameters
    ----------
    role
        Whose message is meant: `user` or `assistant`. The last message when nobody has that role.

    Examples
    --------
    >>> preview({"messages": [{"role": "user", "content": "Hello"}]}, role="user")
    'Hello'
    >>> preview({"x": 1}, role="user")
    '{"x": 1}'
    """
    if value is None:
        return None
    messages = _messages(value)
    text = _content(_last(messages, role)) if messages else ""
    return cut(text or json.dumps(value, ensure_ascii=False))


def cut(text: str, limit: int = PREVIEW_CHARS) -> str:
    """Give a text of at most `limit` characters, with dots in place of what is left out."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _messages(value: Any) -> list[Mapping[str, Any]]:
    if not isinstance(value, dict):
        return []
    for key in ("messages", "choices", "input", "output"):
        found = value.get(key)
        if not isinstance(found, list) or not found:
            continue
        if key == "choices":
            found = [found[0].get("message")] if isinstance(found[0], dict) else []
            if not any(map(_is_message, found)):
                continue
        return [each for each in found if _is_message(each)]
    return _messages(value.get("request"))


def _is_message(value: Any) -> bool:
    return isinstance(value, dict) and "role" in value and "content" in value


def _last(messages: list[Mapping[str, Any]], role: str) -> Mapping[str, Any]:
    return next((each for each in reversed(messages) if each["role"] == role), messages[-1])


def _content(message: Mapping[str, Any]) -> str:
    content = message["content"]
    parts = content if isinstance(content, list) else [content]
    for part in parts:
        if isinstance(part, str):
            return part
        if isinstance(part, dict) and part.get("type") in ("text", "output_text"):
            text = part.get("text")
            return text if isinstance(text, str) else ""
    return ""
