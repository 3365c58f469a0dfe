"""What stands in the spool of a run: each thing that was logged, as one small record.

Records are MessagePack inside the frames of `noria.core.frames`. The order of fields is the form on disk: new ones are
added at the end, with a default.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeAlias

import msgspec

from noria.tracking.entities import NewRun, RunSource, RunStatus


class Opened(msgspec.Struct, frozen=True, array_like=True, tag="open", kw_only=True):
    """The first record: which run this is.

    Attributes
    ----------
    new
        What to start it with; None when it goes on.
    known
        True when the service knew the run before this was written.
    process
        Number of the process that logs.
    forked
        True when the process is a child of the one that opened the run, and does not end it.
    """

    project: str
    run_id: str
    new: NewRun | None
    known: bool
    process: int
    forked: bool = False


class Points(msgspec.Struct, frozen=True, array_like=True, tag="points"):
    """Metric points, in the rows of `noria.tracking.buffer`."""

    keys: tuple[str, ...]
    rows: bytes


class Params(msgspec.Struct, frozen=True, array_like=True, tag="params"):
    """Params."""

    params: dict[str, str]


class Tags(msgspec.Struct, frozen=True, array_like=True, tag="tags"):
    """Tags; None removes one."""

    tags: dict[str, str | None]


class Linked(msgspec.Struct, frozen=True, array_like=True, tag="link"):
    """Something that the run read (`inputs`) or made (`outputs`)."""

    direction: str
    ref: str
    digest: str


class Kept(msgspec.Struct, frozen=True, array_like=True, tag="file"):
    """An artifact, with one of its bytes, the name of the file beside the spool that holds them, or its digest.

    Attributes
    ----------
    digest
        Of an object that the project holds already.
    """

    path: str
    data: bytes | None = None
    file: str | None = None
    digest: str | None = None


class Described(msgspec.Struct, frozen=True, array_like=True, tag="source"):
    """What is known by now of the code that runs."""

    source: RunSource


class Ended(msgspec.Struct, frozen=True, array_like=True, tag="end"):
    """The end of the run; now, when `at` is None."""

    status: RunStatus
    at: datetime | None


Record: TypeAlias = Opened | Points | Params | Tags | Linked | Kept | Described | Ended


def merged(records: Sequence[Record], *, max_entries: int) -> list[Record]:
    """Make one record of several params, or several tags, in a row.

    Examples
    --------
    >>> merged([Params({"a": "1"}), Params({"b": "2"}), Tags({"t": None})], max_entries=9)
    [Params(params={'a': '1', 'b': '2'}), Tags(tags={'t': None})]
    """
    result: list[Record] = []
    for record in records:
        last = result[-1] if result else None
        if isinstance(record, Params) and isinstance(last, Params) and len(last.params) < max_entries:
            last.params.update(record.params)
        elif isinstance(record, Tags) and isinstance(last, Tags) and len(last.tags) < max_entries:
            last.tags.update(record.tags)
        else:
            result.append(_own(record))
    return result


def _own(record: Record) -> Record:
    """Give a record whose entries may be added to."""
    match record:
        case Params():
            return Params(dict(record.params))
        case Tags():
            return Tags(dict(record.tags))
        case _:
            return record


_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(Record)


def encode(record: Record) -> bytes:
    """Give the bytes of a record."""
    return _encoder.encode(record)


def decode(data: bytes) -> Record:
    """Read a record.

    Raises
    ------
    msgspec.DecodeError
        If these are not the bytes of one.
    """
    found: Record = _decoder.decode(data)
    return found
