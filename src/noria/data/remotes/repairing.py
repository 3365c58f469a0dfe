"""Objects out of a remote, for a store that lost them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from noria.core.objects.exchange import PackExchange
from noria.core.objects.local import LocalObjectStore
from noria.core.objects.packs import PackDamaged
from noria.core.objects.store import ObjectNotFound

if TYPE_CHECKING:
    from noria.core.clock import Clock
    from noria.data.remotes.places import Place

_PACK: Final = re.compile(r"packs/[0-9a-f]{2}/([0-9a-f]{64})\.pack")


def holds_packs(place: Place) -> bool:
    """Tell whether a remote was pushed to at a place."""
    return next(_packs(place), None) is not None


def opener(place: Place, scratch: Path, clock: Clock) -> Callable[[str], Iterator[bytes]]:
    """Give what opens the objects of a remote.

    A remote has no index, so its packs are brought one after the other until what is asked for is in one of them; they
    stay for the next question.

    Parameters
    ----------
    scratch
        Folder for them, with room for what the remote holds in the worst case.
    """
    store, exchange = LocalObjectStore(scratch, clock), PackExchange(scratch, clock)
    left = _packs(place)

    def open_one(digest: str) -> Iterator[bytes]:
        while not store.has(digest):
            found = next(left, None)
            if found is None:
                raise ObjectNotFound(digest, where=place.url)
            key, pack = found
            target = exchange.incoming(pack)
            # A damaged pack helps nobody; another one may have the same objects.
            with contextlib.suppress(PackDamaged):
                if place.fetch(key, target):
                    exchange.take(target, expected=pack)
        return store.open(digest)

    return open_one


def _packs(place: Place) -> Iterator[tuple[str, str]]:
    """Give keys and ids."""
    return ((key, match[1]) for key in place.keys("packs") if (match := _PACK.fullmatch(key)))
