"""Limits on what an issue may say, with errors that name the value and the limit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from noria.core.errors import Invalid
from noria.tracking.issue_entities import IssueChange, NewIssue
from noria.tracking.limits import check_instant, check_length
from noria.tracking.traces.limits import MAX_TEXT_CHARS, check_count

ID_PREFIX: Final = "iss-"
MAX_NAME_CHARS: Final = 250
MAX_PERSON_CHARS: Final = 255
MAX_CATEGORY_CHARS: Final = 250
MAX_METADATA_KEY_CHARS: Final = 250
MAX_METADATA_CHARS: Final = 65_536
MAX_LISTED: Final = 100

_ID: Final = re.compile(r"iss-[A-Za-z0-9_-]{1,32}")


def check_new(new: NewIssue) -> None:
    """Refuse an issue of which anything passes a limit.

    Raises
    ------
    Invalid
        If the id has another form, or a text is empty that must not be.
    TooLarge
        If a text is too long, or a list.
    """
    if new.id is not None and not _ID.fullmatch(new.id):
        raise Invalid(
            f"`{new.id[:100]}` cannot be the id of an issue",
            hint="Use `iss-` and 1 to 32 letters, digits, `_` or `-`",
        )
    _check_texts(new.name, new.description)
    check_length("creator of the issue", new.created_by or "", MAX_PERSON_CHARS)
    check_instant("moment of an issue", new.last_seen_at)
    check_count("root causes", new.root_causes, MAX_LISTED)
    for cause in new.root_causes:
        check_length("root cause of the issue", cause, MAX_TEXT_CHARS)
    _check_categories(new.categories)
    check_metadata(new.metadata)


def check_change(change: IssueChange) -> None:
    """Refuse a change of which anything passes a limit. Raises what `check_new` does."""
    _check_texts(change.name, change.description)
    check_length("name of who changes the issue", change.updated_by or "", MAX_PERSON_CHARS)
    check_instant("moment of an issue", change.last_seen_at)
    _check_categories(change.categories or ())
    check_metadata(change.metadata)
    both = change.metadata.keys() & set(change.forgotten_metadata)
    if both:
        raise Invalid(f"The entry `{min(both)[:100]}` cannot be set and removed at once")


def check_metadata(metadata: Mapping[str, str]) -> None:
    """Refuse entries of which there are too many, or of which one is too long."""
    check_count("entries of metadata", metadata, MAX_LISTED)
    for key, value in metadata.items():
        if not key:
            raise Invalid("An entry of an issue's metadata needs a key")
        check_length("key of an issue's metadata", key, MAX_METADATA_KEY_CHARS)
        check_length(f"entry `{key[:100]}` of the issue's metadata", value, MAX_METADATA_CHARS)


def _check_texts(name: str | None, description: str | None) -> None:
    for kind, text, limit in (
        ("name", name, MAX_NAME_CHARS),
        ("description", description, MAX_TEXT_CHARS),
    ):
        if text == "":
            raise Invalid(f"An issue needs a {kind}", hint="Say in a few words what is wrong")
        check_length(f"{kind} of the issue", text or "", limit)


def _check_categories(categories: Iterable[str]) -> None:
    listed = list(categories)
    check_count("categories", listed, MAX_LISTED)
    for category in listed:
        check_length("category of the issue", category, MAX_CATEGORY_CHARS)
