"""What no page may let through: markup that users write into names and texts."""

from __future__ import annotations

from html.parser import HTMLParser

import httpx

HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>{{ 7*7 }}%(n)s`<b>`"


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def assert_harmless(answer: httpx.Response) -> None:
    """Check that a page shows `HOSTILE`, and shows it as text."""
    parsed = _Tags()
    parsed.feed(answer.text)
    assert answer.status_code == 200, answer.text
    assert "onerror=alert" in answer.text
    assert "<script>alert" not in answer.text
    assert "&gt;49%" not in answer.text
    assert "b" not in parsed.tags
    assert not {name for name in parsed.attributes if name.startswith("on") or name == "style"}
