"""Users' Markdown as HTML: HTML in it stays text, and what comes out is cleaned against a short list all the same."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

MAX_LENGTH = 100_000
"""Characters that are read; what follows is left out."""

_TAGS = {
    *(
        "a",
        "blockquote",
        "br",
        "code",
        "del",
        "em",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "li",
        "ol",
        "p",
        "pre",
        "s",
    ),
    *("strong", "table", "tbody", "td", "th", "thead", "tr", "ul"),
}
_SCHEMES = {"http", "https", "mailto"}


def markdown(text: str) -> Markup:
    """Give a user's Markdown as HTML that can do nothing: no script, style, image, form or frame.

    Headings begin below those of the page, and links to other sites pass nothing on.

    Examples
    --------
    >>> str(markdown("**a** <b>x</b> [l](javascript:1)")).strip()
    '<p><strong>a</strong> &lt;b&gt;x&lt;/b&gt; [l](javascript:1)</p>'
    """
    import nh3

    html = _parser().render(text[:MAX_LENGTH])
    clean = nh3.clean(
        html,
        tags=_TAGS,
        attributes={"a": {"href"}, "ol": {"start"}},
        url_schemes=_SCHEMES,
        link_rel="noopener noreferrer nofollow",
    )
    return Markup(clean)  # noqa: S704 - cleaned in the line above


@functools.cache
def _parser() -> MarkdownIt:
    """Give the parser: CommonMark with tables, headings two levels down, no HTML, no images from elsewhere."""
    from markdown_it import MarkdownIt
    from markdown_it.rules_core import StateCore

    def lower_headings(state: StateCore) -> None:
        for token in state.tokens:
            if token.type in ("heading_open", "heading_close"):
                token.tag = f"h{min(6, int(token.tag[1]) + 2)}"

    made = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image")
    made.core.ruler.push("lower_headings", lower_headings)
    return made
