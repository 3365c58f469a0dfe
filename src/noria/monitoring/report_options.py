"""What the commands that make reports share: options, the language of a file, and writing it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from noria.core.web.languages import Language

HtmlOption = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Write one HTML file as well.", show_default=False),
]
LanguageOption = Annotated[str, typer.Option("--lang", metavar="en|es", help="Language of the HTML file.")]
AllFlag = Annotated[bool, typer.Option("--all", help="Print every column, not the thirty that differ most.")]


def chosen_language(lang: str) -> Language:
    """Give the language of a two-letter code.

    Raises
    ------
    Invalid
        If no text of ours exists in it.
    """
    from noria.core.errors import Invalid
    from noria.core.web.languages import Language

    try:
        return Language(lang)
    except ValueError:
        known = ", ".join(f"`{language.value}`" for language in Language)
        raise Invalid(f"There is no report in `{lang}`", hint=f"Languages: {known}") from None


def write_text(path: Path, text: str) -> None:
    """Write a file.

    Raises
    ------
    Invalid
        If that is not possible; the message says why.
    """
    from noria.core.errors import Invalid

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Invalid(f"`{path}` cannot be written: {error.strerror}") from error
