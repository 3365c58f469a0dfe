"""What the service refused, kept beside the spool until somebody has seen it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import msgspec

from noria.core.errors import ErrorBody, NoriaError, error_from_body
from noria.core.serialisation import to_json
from noria.tracking.frames import Described, Ended, Kept, Linked, Opened, Params, Points, Record, Tags

SUFFIX = ".refused"


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Something logged that the service will not take.

    Attributes
    ----------
    what
        In words: "param `lr`".
    record
        All of it, as JSON.
    """

    project: str
    run_id: str
    what: str
    error: ErrorBody
    record: Any = None

    @classmethod
    def of(cls, project: str, run_id: str, record: Record, error: Exception) -> Self:
        """Make one of a record and what was raised."""
        body = (
            error.to_body()
            if isinstance(error, NoriaError)
            else ErrorBody(code="unexpected", message=f"{type(error).__name__}: {error}")
        )
        return cls(
            project=project,
            run_id=run_id,
            what=_words(record),
            error=body,
            record=None if isinstance(record, Opened) else msgspec.to_builtins(record),
        )

    def to_error(self) -> NoriaError:
        """Give the error to raise."""
        return error_from_body(self.error)


class RefusedFile:
    """The file of refusals beside a segment: one JSON object a line.

    Parameters
    ----------
    segment
        Path of the segment.
    """

    def __init__(self, segment: Path) -> None:
        self.path = segment.with_suffix(SUFFIX)

    def add(self, refusal: Refusal) -> None:
        """Write a refusal behind the others."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, to_json(refusal) + b"\n")
        finally:
            os.close(descriptor)

    def read(self) -> Iterator[Refusal]:
        """Read them all; a line that was cut off is left out."""
        for line in self.path.read_bytes().splitlines():
            try:
                yield msgspec.json.decode(line, type=Refusal)
            except msgspec.DecodeError:
                continue

    def remove(self) -> None:
        """Forget them."""
        self.path.unlink(missing_ok=True)


def refused_in(folder: Path) -> list[RefusedFile]:
    """List the files of refusals, oldest run first."""
    return [RefusedFile(path) for path in sorted(folder.glob(f"*{SUFFIX}"))]


def _words(record: Record) -> str:
    match record:
        case Points():
            kind, names = "points of", list(record.keys)
        case Params():
            kind, names = "param", list(record.params)
        case Tags():
            kind, names = "tag", list(record.tags)
        case Linked():
            kind, names = "link to", [record.ref]
        case Kept():
            kind, names = "artifact", [record.path]
        case Described():
            return "description of the code"
        case Ended():
            return f"end as `{record.status}`"
        case Opened():
            return "the whole run"
    return f"{kind} " + ", ".join(f"`{name}`" for name in names[:10])
