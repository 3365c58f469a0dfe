"""Pack many points of one metric into bytes, and unpack them.

A chunk holds three columns: steps as a first one and a stride where they have one, moments in microseconds, values as
64-bit floats. Columns are stored byte by byte (all first bytes of the numbers, all second bytes, …): neighbours differ
in their last bytes only, so that deflate finds the rest at once. About 9 bytes a point for values that cannot be
foreseen, against 24 in the open.
"""

from __future__ import annotations

import math
import struct
import sys
import zlib
from array import array
from collections.abc import Sequence
from operator import lt
from typing import Any, Final, NamedTuple

from noria.core.errors import Corrupt
from noria.tracking.sampling import BLOCK, block_extremes

Point = tuple[int, int, int, float]
"""Step, microseconds since 1970, 1 for NaN, value (0 for NaN). Compares as histories are ordered."""

MIN_OUTLINED: Final = 2 * BLOCK
"""Points of a chunk from which on it has an outline: fewer are unpacked as quickly."""

OUTLINE_HEAD_BYTES: Final = 5
OUTLINE_POINT_BYTES: Final = 24
"""An outline is so many bytes and so many for each of its points."""

N_ENDS: Final = 2
"""Points of an outline before those of its blocks: the first and the last of the chunk."""

_PLAIN, _OUTLINED = b"\x01", b"\x02"
_LENGTH = struct.Struct("<I")
_LISTED, _STRIDED = b"l", b"s"
_STRIDE = struct.Struct("<qq")
_WIDTH = 8
_TOO_LONG = 1 << 63
_LEVEL = 1  # the others take five times as long for a tenth of the size


class Columns(NamedTuple):
    """Points of one metric, column by column; NaN is a value as any other."""

    steps: list[int]
    at: list[int]
    values: list[float]


class Chunk(NamedTuple):
    """What a row of `metric_chunks` holds, in the order of its columns."""

    first_step: int
    digest: bytes
    last_step: int
    n_points: int
    data: bytes


def ordered(columns: Columns) -> Columns:
    """Put points in the order of histories, each once."""
    steps = columns.steps
    if all(map(lt, steps, steps[1:])):
        return columns
    return columns_of(sorted(set(points_of(columns))))


def points_of(columns: Columns) -> list[Point]:
    """Give the points of columns one by one."""
    steps, at, values = columns
    if not math.isnan(sum(values)):
        return list(zip(steps, at, [0] * len(steps), values, strict=True))
    return [
        (step, moment, 0, value) if value == value else (step, moment, 1, 0.0)  # noqa: PLR0124 - NaN
        for step, moment, value in zip(steps, at, values, strict=True)
    ]


def columns_of(points: Sequence[Point]) -> Columns:
    """Give points as columns."""
    if not points:
        return Columns([], [], [])
    steps, at, nans, values = zip(*points, strict=True)
    floats = (
        [math.nan if nan else value for nan, value in zip(nans, values, strict=True)] if any(nans) else values
    )
    return Columns(list(steps), list(at), list(floats))


def pack(columns: Columns) -> Chunk:
    """Pack columns that are in order, at least one point."""
    import hashlib  # with it comes OpenSSL, which a command without long metrics need not load

    steps, at, values = columns
    payload = b"".join((_packed_steps(steps), _planes(array("q", at)), _planes(array("d", values))))
    head = _OUTLINED + _outline(columns) if len(steps) >= MIN_OUTLINED else _PLAIN
    return Chunk(
        first_step=steps[0],
        digest=hashlib.blake2b(payload, digest_size=16).digest(),
        last_step=steps[-1],
        n_points=len(steps),
        data=head + zlib.compress(payload, _LEVEL),
    )


def outline(head: bytes) -> Columns | None:
    """Give the outline of a chunk of which only the beginning is there; None if it has none.

    Returns
    -------
    Columns
        The first point and the last, then by block that of the least and that of the greatest value.

    Raises
    ------
    Corrupt
        If this is no beginning of packed points.
    """
    try:
        if head[:1] == _PLAIN:
            return None
        end = _outline_end(head)
        flat = head[OUTLINE_HEAD_BYTES:end]
        width = len(flat) // 3
        columns = (flat[place * width : (place + 1) * width] for place in range(3))
        steps, at, values = (
            _in_order(array(kind, column)).tolist() for kind, column in zip("qqd", columns, strict=True)
        )
        return Columns(steps, at, values)
    except (ValueError, struct.error) as error:
        raise _corrupt(error) from error


def outline_of(columns: Columns) -> Columns:
    """Make the outline of columns that are in order."""
    steps, at, values = columns
    places = [0, len(steps) - 1]
    for pair in block_extremes(values):
        places += pair
    return Columns(
        [steps[place] for place in places],
        [at[place] for place in places],
        [values[place] for place in places],
    )


class PackedPoints:
    """A chunk of which only the values are read; steps and moments where they are asked for.

    Who wants few of many points reads a long history so in a third of the time.

    Attributes
    ----------
    values
        Of all points; NaN is one.

    Raises
    ------
    Corrupt
        If these are no packed points.
    """

    def __init__(self, data: bytes) -> None:
        try:
            payload = _payload(data)
            body = memoryview(payload)[1:]
            self._stride: tuple[int, int] | None = None
            n_columns = 3
            if payload[:1] == _STRIDED:
                self._stride = _STRIDE.unpack_from(body)
                body, n_columns = body[_STRIDE.size :], 2
            n_bytes = len(body) // n_columns
            self._steps, self._at = body[:n_bytes], body[-2 * n_bytes : -n_bytes]
            self.values = _array("d", body[-n_bytes:])
        except (ValueError, struct.error, zlib.error) as error:
            raise _corrupt(error) from error

    def step(self, place: int) -> int:
        """Give the step of a point."""
        if self._stride is not None:
            return self._stride[0] + place * self._stride[1]
        return _integer(self._steps, place)

    def at(self, place: int) -> int:
        """Give the moment of a point, in microseconds since 1970."""
        return _integer(self._at, place)


def unpack(data: bytes) -> Columns:
    """Unpack columns.

    Raises
    ------
    Corrupt
        If these are no packed points.
    """
    try:
        return _columns(_payload(data))
    except (ValueError, struct.error, zlib.error) as error:
        raise _corrupt(error) from error


def _payload(data: bytes) -> bytes:
    begin = 1 if data[:1] == _PLAIN else _outline_end(data)
    return zlib.decompress(memoryview(data)[begin:])


def _outline(columns: Columns) -> bytes:
    steps, at, values = outline_of(columns)
    numbers = (array("q", steps), array("q", at), array("d", values))
    return _LENGTH.pack(len(steps)) + b"".join(_in_order(column).tobytes() for column in numbers)


def _outline_end(data: bytes) -> int:
    if data[:1] != _OUTLINED:
        raise ValueError("it has no known version")
    (n_points,) = _LENGTH.unpack_from(data, 1)
    end = OUTLINE_HEAD_BYTES + OUTLINE_POINT_BYTES * int(n_points)
    if len(data) < end or n_points < N_ENDS:
        raise ValueError("its outline is cut off")
    return end


def _corrupt(error: Exception) -> Corrupt:
    return Corrupt(
        f"Packed points of a metric cannot be read: {error}", hint="Restore the database from a copy"
    )


def _columns(payload: bytes) -> Columns:
    body = memoryview(payload)[1:]
    if payload[:1] == _STRIDED:
        first, stride = _STRIDE.unpack_from(body)
        body = body[_STRIDE.size :]
        n_bytes = len(body) // 2
        n_points = n_bytes // _WIDTH
        steps = list(range(first, first + n_points * stride, stride))
    else:
        n_bytes = len(body) // 3
        steps = _integers(body[:n_bytes])
        body = body[n_bytes:]
    return Columns(steps, _integers(body[:n_bytes]), _floats(body[n_bytes:]))


def _packed_steps(steps: list[int]) -> bytes:
    stride = steps[1] - steps[0] if len(steps) > 1 else 1
    last = steps[0] + stride * (len(steps) - 1)
    if 0 < stride < _TOO_LONG and steps[-1] == last and steps == list(range(steps[0], last + 1, stride)):
        return _STRIDED + _STRIDE.pack(steps[0], stride)
    return _LISTED + _planes(array("q", steps))


def _in_order(numbers: array[Any]) -> array[Any]:
    """Turn numbers of this machine into those of the format, or back: the last byte of a number stands first."""
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _planes(numbers: array[int] | array[float]) -> bytes:
    flat = _in_order(numbers).tobytes()
    return b"".join([flat[place::_WIDTH] for place in range(_WIDTH)])


def _integers(planes: memoryview) -> list[int]:
    return _array("q", planes).tolist()


def _floats(planes: memoryview) -> list[float]:
    return _array("d", planes).tolist()


def _array(kind: str, planes: memoryview) -> array[Any]:
    return _in_order(array(kind, _flat(planes)))


def _integer(planes: memoryview, place: int) -> int:
    return int.from_bytes(bytes(planes[place :: len(planes) // _WIDTH]), "little", signed=True)


def _flat(planes: memoryview) -> bytes:
    flat = bytearray(len(planes))
    n_numbers = len(planes) // _WIDTH
    for place in range(_WIDTH):
        flat[place::_WIDTH] = planes[place * n_numbers : (place + 1) * n_numbers]
    return bytes(flat)
