"""English that a page in another language shows: whole sentences by their small words, and labels by the catalogue."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from playwright.sync_api import Page

from noria.core.web.languages import Language, translations
from support.catalogues import messages, read_catalogue

SMALL_WORDS: Final = re.compile(
    r"\b(?:the|of|is|was|were|are|and|with|that|this|it|have|by|on|for|from|which|than|there|to|at|be|its|their|not|"
    r"what|when|how|where|every|none|into|as|or|an|all|some|been)\b",
    re.IGNORECASE,
)
"""Words of which an English sentence has one, and which no Spanish one has."""

_OPERATORS: Final = re.compile(r"\b(?:AND|OR|NOT|IN|IS)\b")
"""Of the language of filters, which is one for all readers."""

_TEXTS: Final = """() => {
  const skipped = 'script, style, code, pre, kbd, samp, textarea, .markdown, [hreflang], [translate=no], svg title';
  const found = [];
  const walk = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const text = node.data.replace(/\\s+/g, ' ').trim();
    if (text && !node.parentElement.closest(skipped)) found.push(text);
  }
  const said = ['title', 'aria-label', 'placeholder', 'alt', 'data-done', 'data-lost', 'data-slow'];
  document.querySelectorAll(said.map((name) => `[${name}]`).join()).forEach((each) => {
    if (each.closest(skipped)) return;
    said.forEach((name) => {
      const text = (each.getAttribute(name) || '').replace(/\\s+/g, ' ').trim();
      if (text) found.push(text);
    });
  });
  return [...new Set(found)];
}"""


def english_in(
    page: Page, language: Language, *, names: Collection[str] = (), users: Collection[str] = ()
) -> list[str]:
    """Give what a page says in English though it is to speak another language.

    Parameters
    ----------
    names
        That users gave to things, of metrics for instance, and which are words of ours as well.
    users
        Texts that users wrote: what holds one of them, or is a part of one, is theirs.
    """
    labels = _labels(language)
    return [
        text
        for text in page.evaluate(_TEXTS)
        if (SMALL_WORDS.search(_OPERATORS.sub("", text)) or text in labels)
        and text not in names
        and not any(said in text or text in said for said in users)
    ]


def _labels(language: Language) -> frozenset[str]:
    """Give the English texts of the catalogue that are others in the language."""
    told = translations(language).gettext
    texts = (message.id for message in messages(read_catalogue(language)))
    singles = (text if isinstance(text, str) else text[0] for text in texts)
    return frozenset(text for text in singles if "%(" not in text and told(text) != text)
