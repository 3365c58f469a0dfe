"""The bodies that receivers take. Pure.

Slack: an incoming webhook takes `text` and `blocks` (a header of at most 150 characters, sections of at most 3,000).
Teams: a workflow's webhook takes a message with an Adaptive Card.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from noria.monitoring.alerts.entities import Told
from noria.monitoring.receivers.entities import ReceiverForm

_HEADER_CHARS = 150
_SECTION_CHARS = 2_900
_CARD_CHARS = 20_000


def body_of(form: ReceiverForm, *, subject: str, told: Told, at: datetime) -> bytes:
    """Give the body of a call.

    Parameters
    ----------
    at
        When the notice was written: the same at each attempt.
    """
    bodies = {ReceiverForm.SLACK: _slack, ReceiverForm.TEAMS: _teams}
    make = bodies.get(form)
    if make is not None:
        return msgspec.json.encode(make(subject, told))
    return msgspec.json.encode(
        {"type": f"alert.{told.kind}", "timestamp": at, "data": {"subject": subject, **_plain(told)}}
    )


def _plain(told: Told) -> dict[str, Any]:
    return msgspec.structs.asdict(told)


def _slack(subject: str, told: Told) -> dict[str, Any]:
    text = _escaped(told.text)
    return {
        "text": _escaped(subject),
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": subject[:_HEADER_CHARS]}},
            {"type": "section", "text": {"type": "mrkdwn", "text": f"```{text[:_SECTION_CHARS]}```"}},
        ],
    }


def _escaped(text: str) -> str:
    """Escape the three characters that Slack takes for its own."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _teams(subject: str, told: Told) -> dict[str, Any]:
    colour = "good" if told.kind == "resolved" else "attention"
    heading = {"type": "TextBlock", "text": subject, "wrap": True, "weight": "bolder", "color": colour}
    lines = {"type": "TextBlock", "text": told.text[:_CARD_CHARS], "wrap": True, "fontType": "monospace"}
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [heading, lines],
    }
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": card,
    }
    return {"type": "message", "attachments": [attachment]}
