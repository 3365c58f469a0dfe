"""Records of several requests in one: what they have in common once, ids and times in columns, the data behind.

Requests of one row that were answered in one turn of the event loop differ in their ids, times and numbers alone. To
write such a record takes a fraction of what a record for each would take, and so does reading it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from noria.core.errors import Corrupt

MARK = 0xC1
"""First byte of a packed record; no msgpack begins so."""

FORM = 2

_HEAD = struct.Struct("<BBqIII")
_ID_BYTES = 32
_LATENCY = "q"


class Joint(NamedTuple):
    """Requests of one row each.

    Attributes
    ----------
    origin
        Bytes of what they have in common.
    at_us
        When they were answered, in microseconds since 1970.
    data
        Bytes of their arrays, request by request, each as long as the others.
    """

    origin: bytes
    at_us: int
    ids: Sequence[str]
    latencies_us: Sequence[int]
    data: bytes

    def parts(self) -> list[bytes]:
        """Give the data of each request."""
        size = len(self.data) // len(self.ids)
        return [self.data[size * place : size * (place + 1)] for place in range(len(self.ids))]

    def chosen(self, places: Sequence[int]) -> Joint:
        """Give some of the requests, by their places among all."""
        parts = self.parts()
        return self._replace(
            ids=[self.ids[place] for place in places],
            latencies_us=[self.latencies_us[place] for place in places],
            data=b"".join(parts[place] for place in places),
        )


def write_joint(joint: Joint) -> bytes:
    """Give the bytes that a spool keeps."""
    n = len(joint.ids)
    head = _HEAD.pack(MARK, FORM, joint.at_us, n, len(joint.origin), len(joint.data))
    latencies = struct.pack(f"<{n}{_LATENCY}", *joint.latencies_us)
    return b"".join((head, joint.origin, "".join(joint.ids).encode(), latencies, joint.data))


def read_joint(payload: bytes) -> Joint:
    """Read a record back.

    Raises
    ------
    Corrupt
        If it is cut off.
    """
    try:
        _, _, at_us, n, n_origin, n_data = _HEAD.unpack_from(payload)
        ids_at = _HEAD.size + n_origin
        times_at = ids_at + _ID_BYTES * n
        ids = payload[ids_at:times_at].decode("ascii")
        latencies = struct.unpack_from(f"<{n}{_LATENCY}", payload, times_at)
    except (struct.error, UnicodeDecodeError) as error:
        raise Corrupt(f"A record of {len(payload)} bytes is cut off") from error
    data = payload[times_at + struct.calcsize(f"<{n}{_LATENCY}") :]
    if not n or len(data) != n_data or n_data % n:
        raise Corrupt(f"A record of {n} requests has data of {len(data)} bytes")
    names = [ids[start : start + _ID_BYTES] for start in range(0, _ID_BYTES * n, _ID_BYTES)]
    return Joint(payload[_HEAD.size : ids_at], at_us, names, latencies, data)


def origin_bytes(payload: bytes) -> bytes:
    """Give what the requests of a record have in common."""
    return payload[_HEAD.size : _HEAD.size + int(_HEAD.unpack_from(payload)[4])]


def is_joint(payload: bytes) -> bool:
    """Tell whether a record holds several requests."""
    return payload[:2] == bytes((MARK, FORM))


def n_requests(payload: bytes) -> int:
    """Tell how many requests a record holds."""
    return int(_HEAD.unpack_from(payload)[3]) if is_joint(payload) and len(payload) >= _HEAD.size else 1
