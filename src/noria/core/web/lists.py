"""Pages that show a list which is read by key: what they have in common, and their place in it. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from noria.core.web.pages import PageContext
from noria.core.web.parts import Column, Pager


@dataclass(frozen=True, slots=True, kw_only=True)
class ListContext(PageContext):
    """What the page of a list shows besides its rows.

    Attributes
    ----------
    now
        When it was read.
    columns
        Headings.
    pager
        The place in the list.
    """

    now: datetime
    columns: tuple[Column, ...]
    pager: Pager


def keyset_pager(
    at: Callable[[str | None], str],
    *,
    here: str | int | None,
    following: str | int | None,
    n_shown: int,
    total: int | None = None,
) -> Pager:
    """Give the place of a page in a list.

    Parameters
    ----------
    at
        Gives the address of the page that begins at a key, or of the first one.
    here, following
        Keys at which this page begins and the next one; an empty one or None: this is the first, there is no next.
    total
        Rows of the whole list, where somebody counted.

    Examples
    --------
    >>> pager = keyset_pager(lambda key: f"/?after={key}" if key else "/", here="m", following=None, n_shown=3)
    >>> pager.first, pager.following, pager.is_first
    ('/', None, False)
    """
    return Pager(
        first=None if here in (None, "") else at(None),
        following=None if following in (None, "") else at(str(following)),
        n_shown=n_shown,
        total=total,
    )
