"""Read what was captured of a request, so that another version can be asked about it."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from noria.core.errors import Corrupt
from noria.serving.modelserver.records import entry_of
from noria.serving.tensor_data import TEXTS, Layout, texts_at


class KeptRequest(NamedTuple):
    """A request that was answered.

    Attributes
    ----------
    place
        Project and endpoint.
    version
        That answered.
    at_us
        When, in microseconds since 1970.
    """

    place: tuple[str, str]
    version: int
    revision: int
    id: str
    at_us: int
    n_rows: int
    inputs: dict[str, NDArray[Any]]


def read_again(payload: bytes) -> KeptRequest | None:
    """Give the request of a record; None when the record holds no answer, or arrays of a rarer kind.

    Raises
    ------
    Corrupt
        If it is no record.
    """
    found = entry_of(payload)
    if found is None:
        return None
    origin, entry = found
    if origin.role:
        return None
    return KeptRequest(
        (origin.project, origin.endpoint),
        origin.version,
        origin.revision,
        entry.id,
        entry.at_us,
        entry.n_rows,
        _inputs_of(entry.layout, entry.data, entry.n_rows),
    )


def _inputs_of(layout: bytes, data: bytes, n_rows: int) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    offset = 0
    for form in _layout_of(layout).inputs:
        shape = (n_rows, *form.shape)
        if form.dtype == TEXTS:
            texts, offset = texts_at(data, offset)
            array: NDArray[Any] = np.array(texts, dtype=object)
        else:
            array = np.frombuffer(data, np.dtype(f"<{form.dtype}"), math.prod(shape), offset)
            offset += array.nbytes
        found[form.name] = array.reshape(shape)
    return found


@lru_cache(maxsize=256)
def _layout_of(data: bytes) -> Layout:
    try:
        return msgspec.msgpack.decode(data, type=Layout)
    except msgspec.DecodeError as error:
        raise Corrupt(f"A layout cannot be read: {error}") from error
