"""What a reader prefers, kept in cookies: the theme and the language. Everybody may choose, signed in or not."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from noria.core.permissions import Permission
from noria.core.web.actions import Action, Done
from noria.core.web.cookies import LANGUAGE_COOKIE, Cookie
from noria.core.web.languages import Language
from noria.core.web.pages import Visit
from noria.core.web.themes import THEME_COOKIE, Theme
from noria.core.web.urls import LANGUAGE_PARAMETER, PREFERENCES_PATH, without_parameter

KEEP_PREFERENCES = Permission(name="preferences.keep", public=True)
_LIFE = timedelta(days=365)


class Preferences(msgspec.Struct, frozen=True, kw_only=True):
    """What was chosen; `browser` leaves the language to the browser."""

    theme: Theme | None = None
    language: Language | None = None
    browser: bool = False


def keep_preferences(visit: Visit, form: Preferences) -> Done:
    """Keep what was chosen; the address no longer says another language."""
    cookies = []
    if form.theme is not None:
        cookies.append(Cookie(name=THEME_COOKIE, value=form.theme.value, life=_LIFE))
    if form.language is not None or form.browser:
        value = form.language.value if form.language is not None else ""
        cookies.append(Cookie(name=LANGUAGE_COOKIE, value=value, life=_LIFE))
    chose_language = len(cookies) > (form.theme is not None)
    to = without_parameter(visit.here, LANGUAGE_PARAMETER) if chose_language else visit.here
    return Done(to=to, cookies=tuple(cookies))


ACTIONS = (
    Action(path=PREFERENCES_PATH, needs=KEEP_PREFERENCES, fields=Preferences, handle=keep_preferences),
)
