"""Why a lock is incomplete: sentences that stand in the lock in English, and are found again to be translated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from noria.core.web.languages import mark

UNRECORDED: Final = mark(
    "no run recorded what was installed, nor did the registration: register it with `noria.register()`"
)
NOT_RELEASED: Final = mark("the run did not record a released version of `%(name)s`")
NO_RESOLVER: Final = mark("uv, which resolves it, was not installed")
TOO_SLOW: Final = mark("no index of distributions answered in time")
OUT_OF_REACH: Final = mark("no index of distributions could be reached")
ABSENT: Final = mark("`%(name)s` is in no index that could be reached")
APART: Final = mark("the recorded versions do not go together on all platforms")
NO_HASHES: Final = mark("the index gave files without SHA-256")
OTHER_VERSION: Final = mark("the run recorded another `%(name)s` than any index has")
NO_FILE: Final = mark("no file of `%(name)s` was found")

_ALL: Final = (
    *(UNRECORDED, NOT_RELEASED, NO_RESOLVER, TOO_SLOW, OUT_OF_REACH),
    *(ABSENT, APART, NO_HASHES, OTHER_VERSION, NO_FILE),
)
_PLACE = re.compile(r"%\(name\)s")


def words_of(reason: str) -> tuple[str, Mapping[str, str]]:
    """Give the sentence of a reason as the catalogues know it, and what stands in its places.

    Of a reason that this release does not know, the text itself.

    Examples
    --------
    >>> words_of("no file of `numpy==2.1` was found")
    ('no file of `%(name)s` was found', {'name': 'numpy==2.1'})
    """
    for sentence in _ALL:
        pattern = "(?P<name>.+)".join(re.escape(part) for part in _PLACE.split(sentence))
        if found := re.fullmatch(pattern, reason):
            return sentence, found.groupdict()
    return reason, {}
