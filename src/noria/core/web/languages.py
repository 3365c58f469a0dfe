"""The languages that pages speak, and the catalogues with their texts.

English texts are the keys. The other languages' catalogues are gettext's `locales/<language>/LC_MESSAGES/noria.po`,
read as they are; nothing has to be compiled before a change can be seen.
"""

from __future__ import annotations

import enum
import functools
import gettext
import importlib.resources
import io


class Language(enum.StrEnum):
    """A language that every text of ours exists in."""

    ENGLISH = "en"
    SPANISH = "es"

    @property
    def own_name(self) -> str:
        """What its speakers call it."""
        return _OWN_NAMES[self]


_OWN_NAMES = {Language.ENGLISH: "English", Language.SPANISH: "Español"}


def mark(text: str) -> str:
    """Give a text as it is, and have it gathered for the catalogues: templates translate it where they show it."""
    return text


def choose_language(asked: str | None, accepted: str | None) -> Language:
    """Choose the language of an answer.

    Parameters
    ----------
    asked
        What the address says (`?lang=es`); counts if it is a language of ours.
    accepted
        The header `Accept-Language`.

    Examples
    --------
    >>> choose_language(None, "ca;q=0.5, es-MX, en;q=0.8").value
    'es'
    >>> choose_language("en", "es").value, choose_language("xx", None).value
    ('en', 'en')
    """
    known = {language.value: language for language in Language}
    if asked in known:
        return known[asked]
    ranked = sorted(_preferences(accepted or ""), key=lambda pair: -pair[1])
    return next((known[tag] for tag, weight in ranked if tag in known and weight > 0), Language.ENGLISH)


def _preferences(header: str) -> list[tuple[str, float]]:
    found = []
    for part in header[:500].split(","):
        tag, _, parameter = part.strip().partition(";")
        found.append((tag.strip().partition("-")[0].lower(), _quality(parameter)))
    return found


def _quality(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


@functools.cache
def translations(language: Language) -> gettext.NullTranslations:
    """Give the catalogue of a language."""
    if language is Language.ENGLISH:
        return gettext.NullTranslations()
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    place = importlib.resources.files(__package__) / "locales" / language.value / "LC_MESSAGES" / "noria.po"
    compiled = io.BytesIO()
    with place.open("rb") as source:
        write_mo(compiled, read_po(source, locale=language.value))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
