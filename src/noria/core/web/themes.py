"""How pages look: as the system has it, or as the reader chose, which a cookie keeps."""

from __future__ import annotations

import enum

from noria.core.web.cookies import read_cookie
from noria.core.web.languages import mark

THEME_COOKIE = "noria_theme"


class Theme(enum.StrEnum):
    """A set of colours."""

    AUTO = "auto"
    LIGHT = "light"
    DARK = "dark"
    CONTRAST = "contrast"

    @property
    def words(self) -> str:
        """Its name, to be translated."""
        return _WORDS[self]


_WORDS = {
    Theme.AUTO: mark("As the system"),
    Theme.LIGHT: mark("Light"),
    Theme.DARK: mark("Dark"),
    Theme.CONTRAST: mark("High contrast"),
}


def theme_of(cookies: str | None) -> Theme:
    """Read the theme from the header `Cookie`.

    Examples
    --------
    >>> theme_of("a=b; noria_theme=contrast"), theme_of("noria_theme=x"), theme_of(None)
    (<Theme.CONTRAST: 'contrast'>, <Theme.AUTO: 'auto'>, <Theme.AUTO: 'auto'>)
    """
    kept = read_cookie(cookies, THEME_COOKIE)
    return next((theme for theme in Theme if theme == kept), Theme.AUTO)
