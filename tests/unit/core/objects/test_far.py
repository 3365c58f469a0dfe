"""Objects of a server whose connection breaks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from noria.core.errors import Unavailable
from noria.core.objects.far import open_far
from noria.core.operations import Download

CONTENT = b"0123456789"


class Breaking:
    """Gives one byte of an object for each call that goes through, and breaks then."""

    def __init__(self, through: list[bool]) -> None:
        self._through = iter(through)

    def get(self, _project: str, _digest: str, *, start: int, length: int | None) -> Download:
        """Begin to give the rest of an object."""
        if not next(self._through):
            raise Unavailable("The server does not answer")
        rest = CONTENT[start:] if length is None else CONTENT[start : start + length]
        return Download(chunks=self._one(rest))

    def _one(self, rest: bytes) -> Iterator[bytes]:
        yield rest[:1]
        if len(rest) > 1:
            raise Unavailable("The connection broke")


def test_a_broken_download_pauses_longer_each_time() -> None:
    """What is left is asked for after a pause that doubles until bytes come again, and given up in the end."""
    pauses: list[float] = []
    service: Any = Breaking([True, False, False, True, True])
    found = open_far(service, "p", "d", start=1, length=3, sleep=pauses.append)
    assert b"".join(found) == CONTENT[1:4]
    assert pauses == [0.5, 1.0, 2.0, 0.5]
    pauses.clear()
    found = open_far(Breaking([True, False, False, False]), "p", "d", sleep=pauses.append)  # type: ignore[arg-type]
    assert next(found) == b"0"
    with pytest.raises(Unavailable):
        next(found)
    assert pauses == [0.5, 1.0, 2.0]
    with pytest.raises(Unavailable):
        next(open_far(Breaking([False]), "p", "d", sleep=pauses.append))  # type: ignore[arg-type]
