"""How pages look: as the system has it, or as the reader chose, which a cookie keeps."""

from __future__ import annotations

import enum
from http.cookies import CookieError, SimpleCookie

from noria.core.web.languages import mark

THEME_PARAMETER = "theme"
"""Query parameter of every page that chooses a theme."""

THEME_COOKIE = "noria_theme"
_YEAR_S = 365 * 24 * 3600


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


def known_theme(name: str | None) -> Theme | None:
    """Give the theme of a name, or None where it is no theme's.

    Examples
    --------
    >>> known_theme("dark"), known_theme("pink"), known_theme(None)
    (<Theme.DARK: 'dark'>, None, None)
    """
    return next((theme for theme in Theme if theme == name), None)


def theme_of(cookies: str | None) -> Theme:
    """Read the theme from the header `Cookie`.

    Examples
    --------
    >>> theme_of("a=b; noria_theme=contrast"), theme_of("noria_theme=x"), theme_of(None)
    (<Theme.CONTRAST: 'contrast'>, <Theme.AUTO: 'auto'>, <Theme.AUTO: 'auto'>)
    """
    try:
        kept = SimpleCookie(cookies or "").get(THEME_COOKIE)
    except CookieError:
        return Theme.AUTO
    return (known_theme(kept.value) if kept else None) or Theme.AUTO


def keep_theme(theme: Theme) -> str:
    """Give the header `Set-Cookie` that keeps a theme for a year."""
    return f"{THEME_COOKIE}={theme.value}; Path=/; Max-Age={_YEAR_S}; SameSite=Lax; HttpOnly"
