"""What no template may hold: text of its own, untrusted markup, styles, scripts and addresses."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import nodes

from noria.core.web.languages import Language
from noria.core.web.rendering import environment
from support.catalogues import ROOT, templates

ALLOWED_WORDS = {
    *("J", "JSON", "Jensen", "Noria", "PSI", "Shannon", "UTC", "Wh", "ms", "n", "p", "v"),
    *("MAE", "MASE", "RMSSE"),
}
"""Names and signs that are the same in every language."""
N_LITERALS = {"_": 1, "gettext": 1, "ngettext": 2}
"""How many of a translating function's arguments are taken for markup."""
IN_CODE = re.compile(r"<(code|kbd)\b[^>]*>[^<]*</\1>")

pytestmark = pytest.mark.parametrize("path", templates(), ids=lambda path: str(path.relative_to(ROOT)))


class Outside(HTMLParser):
    """Collects the text between tags, and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(f"{tag}@{name}", value) for name, value in attrs]


def source(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def outside(path: Path) -> Outside:
    """Read a template with what Jinja fills in taken out."""
    text = re.sub(r"\{#.*?#\}", "", source(path), flags=re.DOTALL)
    text = re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "\N{OBJECT REPLACEMENT CHARACTER}", text, flags=re.DOTALL)
    parsed = Outside()
    parsed.feed(IN_CODE.sub("", text))
    return parsed


def test_every_text_goes_through_the_catalogues(path: Path) -> None:
    """Between tags, and in attributes that are read to people, there are no words but names."""
    parsed = outside(path)
    read_out = [
        value or ""
        for name, value in parsed.attributes
        if re.search("@(title|alt|aria-label|placeholder)$", name)
    ]
    words = {word for text in (*parsed.texts, *read_out) for word in re.findall(r"[^\W\d_]+", text)}

    assert words <= ALLOWED_WORDS


def test_only_literals_are_taken_for_markup(path: Path) -> None:
    """`_` and `ngettext` show their first argument unescaped, so it is always written in the template."""
    parsed = environment(Language.ENGLISH).parse(source(path))
    shown_as_they_are = [
        argument
        for call in parsed.find_all(nodes.Call)
        if isinstance(call.node, nodes.Name) and call.node.name in N_LITERALS
        for argument in call.args[: N_LITERALS[call.node.name]]
    ]

    assert all(isinstance(argument, nodes.Const) for argument in shown_as_they_are)
    assert not list(parsed.find_all(nodes.MarkSafe))
    assert "|safe" not in source(path).replace(" ", "")
    assert "autoescape" not in source(path)


def test_styles_and_scripts_are_files(path: Path) -> None:
    """Nothing needs `unsafe-inline`: no style, no handler and no script stands in a page."""
    parsed = outside(path)

    assert not [name for name, _ in parsed.attributes if re.search("@(style|on[a-z]+)$", name)]
    assert not re.search(r"<style|<script(?![^>]*\bsrc=)|javascript:", source(path))


def test_addresses_come_from_one_module(path: Path) -> None:
    """A link is what `urls` made, or a place in the same page."""
    links = [value for name, value in outside(path).attributes if re.search("@(href|src|action)$", name)]

    assert all(value and value[0] in "#\N{OBJECT REPLACEMENT CHARACTER}" for value in links)
