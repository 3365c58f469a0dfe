"""What tells a text or tags apart from others, so that a form is not taken which was made from older ones. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from noria.core.web.forms import Stale


def text_revision(text: str) -> str:
    """Give what tells a text apart from another.

    Examples
    --------
    >>> text_revision("a") == text_revision("a"), text_revision("a") == text_revision("b")
    (True, False)
    """
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=8).hexdigest()


def tags_revision(tags: Iterable[tuple[str, str]]) -> str:
    """Give what tells tags apart from others, in whatever order.

    Examples
    --------
    >>> tags_revision([("a", "b"), ("c", "")]) == tags_revision([("c", ""), ("a", "b")])
    True
    >>> tags_revision([("a", "bc")]) == tags_revision([("ab", "c")])
    False
    """
    return text_revision("".join(f"{len(key)}:{key}{len(value)}:{value}" for key, value in sorted(tags)))


def check_tag(tags: Iterable[tuple[str, str]], was: str, *, key: str, value: str) -> None:
    """Refuse to write over a tag that the page did not show when its form was made.

    Parameters
    ----------
    tags
        As they are now.
    was
        `tags_revision` of those that the page showed; empty where the form does not know.

    Raises
    ------
    Stale
        If the tags changed since, and this one has another value now.
    """
    known = list(tags)
    present = dict(known).get(key)
    if was and present not in (None, value) and was != tags_revision(known):
        raise Stale({"value": str(present)})


def check_untag(tags: Iterable[tuple[str, str]], was: str, *, key: str) -> None:
    """Refuse to remove a tag that has another value than the page showed.

    Parameters
    ----------
    was
        `text_revision` of the value that the page showed; empty where the form does not know.

    Raises
    ------
    Stale
        If it has another value now.
    """
    present = dict(tags).get(key)
    if was and present is not None and was != text_revision(present):
        raise Stale({"value": present})
