"""The texts of all pages, gathered from templates and modules, and the catalogues of their translations.

After a text was added or changed::

    tools/make_catalogue.py

brings the catalogues up to date; the new texts in them wait for their translation.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po, write_po

from noria.core.web.languages import Language

ROOT = Path(str(files("noria")))
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "mark": None}
_UNKEPT_HEADERS = tuple(
    f'"{name}'
    for name in (
        "Project-Id-Version",
        "Report-Msgid-Bugs-To",
        "POT-Creation-Date",
        "PO-Revision-Date",
        "Last-Translator",
        "Language-Team",
        "Generated-By",
    )
)
OPTIONS = {"extensions": "jinja2.ext.i18n", "trimmed": "true", "silent": "false"}


def templates() -> list[Path]:
    """List the templates of all packages."""
    return sorted(ROOT.glob("**/templates/*.html"))


def modules() -> list[Path]:
    """List the modules whose texts may reach a page."""
    return sorted(path for path in ROOT.rglob("*.py") if "noria.core.web" in path.read_text(encoding="utf-8"))


def gather() -> Catalog:
    """Gather every text of every page."""
    found = Catalog(project="noria", charset="utf-8")
    for path in (*templates(), *modules()):
        method = "jinja2.ext:babel_extract" if path.suffix == ".html" else "python"
        place = str(path.relative_to(ROOT))
        for line, message, comments, _ in extract_from_file(
            method, path, keywords=KEYWORDS, options=OPTIONS if path.suffix == ".html" else None
        ):
            found.add(message, locations=[(place, line)], auto_comments=comments)
    return found


def catalogue_path(language: Language) -> Path:
    """Give the file with the translations into a language."""
    return ROOT / "core" / "web" / "locales" / language.value / "LC_MESSAGES" / "noria.po"


def read_catalogue(language: Language) -> Catalog:
    """Read the translations into a language."""
    with catalogue_path(language).open("rb") as source:
        return read_po(source, locale=language.value)


def messages(catalogue: Catalog) -> Iterator[Message]:
    """Give the texts of a catalogue, without its header."""
    return (message for message in catalogue if message.id)


def update(language: Language) -> None:
    """Bring a catalogue up to date with the texts."""
    path = catalogue_path(language)
    known = read_catalogue(language) if path.exists() else Catalog(locale=language.value, charset="utf-8")
    known.update(gather(), no_fuzzy_matching=True)
    known.obsolete.clear()
    store(known, path)


def store(catalogue: Catalog, path: Path) -> None:
    """Write a catalogue without the header lines that say when and by whom, which git knows better."""
    catalogue.header_comment = ""
    catalogue.fuzzy = False
    written = io.BytesIO()
    write_po(written, catalogue, no_location=True, sort_output=True, width=110)
    lines = written.getvalue().decode().splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(_UNKEPT_HEADERS)]
    path.write_text("".join(kept), encoding="utf-8")
