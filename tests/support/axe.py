"""axe, which finds what keeps people from reading a page who cannot see, or cannot point."""

from __future__ import annotations

import functools
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RULES_OF_LOOKS = ["color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size"]
"""What depends on the theme, or on the width."""


def barriers(page: Page, rules: list[str] = RULES) -> list[str]:
    """Give what axe finds on a page that is open: the rule, and the first elements that break it.

    Parameters
    ----------
    rules
        Names of rules, or of groups of them.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(_source())
    found: dict[str, Any] = page.evaluate(
        "rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']})", rules
    )
    return [
        f"{each['id']}: {[node['html'][:120] for node in each['nodes'][:3]]}" for each in found["violations"]
    ]


@functools.cache
def _source() -> str:
    package = files("axe_playwright_python")
    script = next(path for path in package.iterdir() if path.name == "axe.min.js")
    return script.read_text(encoding="utf-8")
