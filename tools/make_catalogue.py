#!/usr/bin/env python3
"""Bring the catalogues of translations up to date with the texts of templates and modules.

Run it after a text of a page was added or changed. It tells which texts wait for a translation; write those into
`src/noria/core/web/locales/<language>/LC_MESSAGES/noria.po`. With `--check` it changes nothing, and fails where
something is missing or left over.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from noria.core.web.languages import Language
from support.catalogues import catalogue_path, gather, messages, read_catalogue, update


def main() -> int:
    """Update or check each catalogue; give the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="change nothing; fail where something is to do")
    checks = parser.parse_args().check
    waiting = 0
    for language in Language:
        if language is not Language.ENGLISH:
            if not checks:
                update(language)
            waiting += _tell(language)
    return 1 if waiting and checks else 0


def _tell(language: Language) -> int:
    known = read_catalogue(language)
    wanted = {message.id for message in messages(gather())}
    found = {message.id: message for message in messages(known)}
    missing = [text for text in wanted if text not in found or not _is_whole(found[text].string)]
    left_over = [text for text in found if text not in wanted]
    for text in sorted(missing, key=str):
        print(f"{language.value}: no translation of {text!r}")
    for text in sorted(left_over, key=str):
        print(f"{language.value}: nobody says {text!r} any more")
    if missing:
        print(f"write them into {catalogue_path(language)}")
    return len(missing) + len(left_over)


def _is_whole(translation: object) -> bool:
    forms = translation if isinstance(translation, tuple | list) else (translation,)
    return all(forms)


if __name__ == "__main__":
    raise SystemExit(main())
