"""What a review queue can be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from noria.core.errors import Invalid
from noria.tracking.limits import check_length
from noria.tracking.reviewing.queue_entities import NewReviewQueue, QueueType

MAX_NAME_CHARS: Final = 250
MAX_USER_CHARS: Final = 250
MAX_SCHEMA_ID_CHARS: Final = 36
MAX_ITEM_ID_CHARS: Final = 50
MAX_USERS: Final = 10
MAX_SCHEMAS: Final = 1_000
MAX_ITEMS: Final = 10_000
RESERVED: Final = "default"


def tidy_queue(new: NewReviewQueue) -> NewReviewQueue:
    """Give a queue as it is kept: names stripped, users in lower case and once.

    Raises
    ------
    Invalid
        If it cannot be a queue of its type.
    """
    users, schemas = tidy_users(new.users), tidy_schemas(new.schemas)
    if new.type is QueueType.CUSTOM:
        return msgspec.structs.replace(new, name=custom_name(new.name), users=users, schemas=schemas)
    name = tidy_user(new.name)
    _check("name", name, MAX_NAME_CHARS)
    if users not in ([], [name]):
        raise Invalid(
            "A user queue must have exactly one assigned user equal to its name; got"
            f" name={name!r} and users={users!r}."
        )
    if schemas:
        raise Invalid(
            "A user queue cannot have explicitly-attached schemas; it resolves to all of the experiment's"
            " label schemas."
        )
    return msgspec.structs.replace(new, name=name, users=[name])


def custom_name(name: str) -> str:
    """Give the name of a queue that somebody sets up, without space around it."""
    tidy = name.strip()
    _check("name", tidy, MAX_NAME_CHARS)
    if tidy.lower() == RESERVED:
        raise Invalid(f"`{tidy}` is a reserved queue name and cannot be used for a custom queue.")
    return tidy


def tidy_user(user: str) -> str:
    """Give a user as users are compared.

    Examples
    --------
    >>> tidy_user(" Ana@Example.com ")
    'ana@example.com'
    """
    return user.strip().lower()


def tidy_users(users: Sequence[str]) -> list[str]:
    """Give users, each once."""
    tidy = list(dict.fromkeys(map(tidy_user, users)))
    for user in tidy:
        _check("user", user, MAX_USER_CHARS)
    if len(tidy) > MAX_USERS:
        raise Invalid(f"A review queue can have at most {MAX_USERS} assigned users; got {len(tidy)}.")
    return tidy


def tidy_schemas(ids: Sequence[str]) -> list[str]:
    """Give ids of label schemas, each once."""
    tidy = _tidy("schema_id", ids, MAX_SCHEMA_ID_CHARS)
    if len(tidy) > MAX_SCHEMAS:
        raise Invalid(f"A review queue can ask at most {MAX_SCHEMAS} questions; got {len(tidy)}.")
    return tidy


def tidy_items(ids: Sequence[str]) -> list[str]:
    """Give ids of traces, each once."""
    if not ids:
        raise Invalid(f"`item_ids` must be a non-empty list; got {list(ids)!r}.")
    if len(ids) > MAX_ITEMS:
        raise Invalid(f"At most {MAX_ITEMS} traces are taken at once; got {len(ids)}.")
    return _tidy("item_id", ids, MAX_ITEM_ID_CHARS)


def tidy_owner(owner: str) -> str:
    """Give the owner of a queue, without space around."""
    tidy = owner.strip()
    _check("new_owner", tidy, MAX_USER_CHARS)
    return tidy


def _tidy(what: str, ids: Sequence[str], limit: int) -> list[str]:
    tidy = list(dict.fromkeys(each.strip() for each in ids))
    for each in tidy:
        _check(what, each, limit)
    return tidy


def _check(what: str, text: str, limit: int) -> None:
    if not text:
        raise Invalid(f"`{what}` must be a non-empty string; got {text!r}.")
    if len(text) > limit:
        raise Invalid(f"`{what}` must be at most {limit} characters; got {len(text)}.")
    check_length(what, text, limit)
