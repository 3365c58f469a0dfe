"""Languages: which one an answer has, and that every text exists in each."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from noria.core.web.languages import Language, choose_language, translations
from support.catalogues import ROOT, gather, messages, modules, read_catalogue

FOREIGN = [language for language in Language if language is not Language.ENGLISH]
HOW = "run `tools/make_catalogue.py` and translate what it names"


def ids(catalogue: object) -> set[str]:
    return {str(message.id) for message in messages(catalogue)}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "accepted", "expected"),
    [
        ("es", "en", "es"),
        ("xx", "es-AR,es;q=0.9,en;q=0.8", "es"),
        (None, "fr, es;q=0.2, en;q=0.3", "en"),
        (None, "es;q=0, en", "en"),
        (None, "es;q=nonsense", "en"),
        (None, ";;;,,=", "en"),
        (None, None, "en"),
    ],
)
def test_the_reader_s_language_is_chosen(asked: str | None, accepted: str | None, expected: str) -> None:
    """What the address says counts first, then the browser's wishes in the order of their weights, then English."""
    assert choose_language(asked, accepted) == expected


@pytest.mark.parametrize("language", FOREIGN)
def test_every_text_is_in_the_catalogue(language: Language) -> None:
    """A catalogue has exactly the texts of templates and modules: none is missing, none is left over."""
    assert ids(read_catalogue(language)) == ids(gather()), HOW


@pytest.mark.parametrize("language", FOREIGN)
def test_every_text_is_translated(language: Language) -> None:
    """No translation is empty or doubtful, and each has the placeholders of its text."""
    for message in messages(read_catalogue(language)):
        translated = forms(message.string)
        originals = forms(message.id)

        assert all(translated), f"{message.id!r} has no translation; {HOW}"
        assert not message.fuzzy, message.id
        for text in translated:
            assert placeholders(text) == placeholders(originals[-1]), message.id


SHOWN = {
    "Crumb": {"text"},
    "Tab": {"words"},
    "Column": {"words", "group"},
    "Choice": {"words", "group"},
    "Section": {"words"},
    "Node": {"kind"},
    "Done": {"words"},
    "Chart": {"title", "x_name", "y_name"},
}
"""What parts show of what they are given, by the name of the class."""


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_words_of_modules_are_marked(path: Path) -> None:
    """A module hands no words to a part that the catalogues do not know: they stand in `mark`, or in `gettext`."""
    unmarked = [
        f"line {argument.value.lineno}: {argument.value.value!r}"
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
        for argument in call.keywords
        if argument.arg in SHOWN.get(call.func.id, ())
        and isinstance(argument.value, ast.Constant)
        and re.search(r"[^\W\d_]", str(argument.value.value or ""))
    ]

    assert unmarked == []


def forms(text: object) -> list[str]:
    """Give the singular and the plural of a text, or the one form that it has."""
    return [str(form or "") for form in (text if isinstance(text, tuple | list) else (text,))]


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"%\((\w+)\)s", text))


def test_a_translation_is_found() -> None:
    """The compiled catalogue gives translations, and plurals by the language's rule."""
    spanish = translations(Language.SPANISH)

    assert spanish.gettext("Evidence") == "Pruebas"
    assert spanish.ngettext("%(number)s row", "%(number)s rows", 1) == "%(number)s fila"
    assert spanish.ngettext("%(number)s row", "%(number)s rows", 2) == "%(number)s filas"
