"""Beginnings of what went into a trace and came out."""

from __future__ import annotations

from typing import Any

import pytest

from noria.tracking.traces.previews import PREVIEW_CHARS, preview


def message(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


@pytest.mark.parametrize(
    ("value", "role", "expected"),
    [
        (None, "user", None),
        ("hello", "user", '"hello"'),
        ({"ü": 1}, "user", '{"ü": 1}'),
        ({"messages": [message("user", "a"), message("user", "b"), message("system", "c")]}, "user", "b"),
        ({"messages": [message("system", "only")]}, "user", "only"),
        ({"request": {"messages": [message("user", "inside")]}}, "user", "inside"),
        ({"choices": [{"message": message("assistant", "choice")}]}, "assistant", "choice"),
        ({"choices": [{"text": "old"}]}, "assistant", '{"choices": [{"text": "old"}]}'),
        ({"input": [message("user", [{"type": "text", "text": "part"}])]}, "user", "part"),
        ({"output": [message("assistant", [{"type": "output_text", "text": "o"}])]}, "assistant", "o"),
        ({"messages": [message("user", ["bare"])]}, "user", "bare"),
        ({"messages": []}, "user", '{"messages": []}'),
        ({"messages": ["text"]}, "user", '{"messages": ["text"]}'),
    ],
)
def test_the_last_message_of_a_chat_or_json(value: Any, role: str, expected: str | None) -> None:
    """A preview is what a person would want to read in a list."""
    assert preview(value, role=role) == expected


def test_a_picture_has_no_text() -> None:
    """Then the whole is shown."""
    sent = {"messages": [message("user", [{"type": "image_url", "image_url": {"url": "data:…"}}])]}

    assert preview(sent, role="user") == (
        '{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:…"}}]}]}'
    )


def test_long_texts_are_cut() -> None:
    """With dots in place of the rest."""
    found = preview("x" * 5000, role="user")

    assert found is not None
    assert len(found) == PREVIEW_CHARS
    assert found.endswith("x...")
