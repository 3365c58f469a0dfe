"""Read what was captured of requests, so that another version can be asked about them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from noria.core.errors import Corrupt
from noria.serving.modelserver.joint import is_joint, read_joint
from noria.serving.modelserver.records import Origin, entry_of, origin_of
from noria.serving.tensor_data import TEXTS, Layout, TensorForm, texts_at


class KeptRequests(NamedTuple):
    """Requests that one version answered at one time, each of as many rows.

    Attributes
    ----------
    place
        Project and endpoint.
    version
        That answered.
    at_us
        When, in microseconds since 1970.
    rows_each
        Of one request.
    inputs
        Of all of them, one behind the other: arrays of shape (n_rows, ...).
    """

    place: tuple[str, str]
    version: int
    revision: int
    ids: Sequence[str]
    at_us: int
    rows_each: int
    inputs: dict[str, NDArray[Any]]

    @property
    def n_rows(self) -> int:
        """Rows of all of them."""
        return len(self.ids) * self.rows_each

    def chosen(self, places: Sequence[int]) -> KeptRequests:
        """Give some of them, by their places among all."""
        if len(places) == len(self.ids):
            return self
        firsts = np.array(places, dtype=np.int64)[:, np.newaxis] * self.rows_each
        rows = (firsts + np.arange(self.rows_each)).ravel()
        inputs = {name: array[rows] for name, array in self.inputs.items()}
        return self._replace(ids=[self.ids[place] for place in places], inputs=inputs)

    def parts(self, max_rows: int) -> list[KeptRequests]:
        """Cut them into parts of so many rows; a request is never cut."""
        n = max(1, max_rows // self.rows_each)
        if len(self.ids) <= n:
            return [self]
        places = range(len(self.ids))
        return [self.chosen(places[start : start + n]) for start in range(0, len(self.ids), n)]


def read_again(payload: bytes) -> KeptRequests | None:
    """Give the requests of a record; None when the record holds no answers, or arrays of a rarer kind.

    Raises
    ------
    Corrupt
        If it is no record.
    """
    origin = origin_of(payload)
    if origin is None or origin.role:
        return None
    if is_joint(payload):
        joint = read_joint(payload)
        inputs = _inputs_of_all(origin.layout, joint.data, len(joint.ids))
        return _kept(origin, joint.ids, joint.at_us, 1, inputs)
    found = entry_of(payload)
    if found is None:
        return None
    entry = found[1]
    inputs = _inputs_of(entry.layout, entry.data, entry.n_rows)
    return _kept(origin, [entry.id], entry.at_us, entry.n_rows, inputs)


def _kept(
    origin: Origin, ids: Sequence[str], at_us: int, rows_each: int, inputs: dict[str, NDArray[Any]]
) -> KeptRequests:
    place = (origin.project, origin.endpoint)
    return KeptRequests(place, origin.version, origin.revision, ids, at_us, rows_each, inputs)


def _inputs_of(layout: bytes, data: bytes, n_rows: int) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    offset = 0
    for form in _layout_of(layout).inputs:
        shape = (n_rows, *form.shape)
        if form.dtype == TEXTS:
            texts, offset = texts_at(data, offset)
            array: NDArray[Any] = np.array(texts, dtype=object)
        else:
            array = np.frombuffer(data, _dtype_of(form), math.prod(shape), offset)
            offset += array.nbytes
        found[form.name] = array.reshape(shape)
    return found


def _inputs_of_all(layout: bytes, data: bytes, n: int) -> dict[str, NDArray[Any]]:
    """Give the inputs of requests of one row each, whose data follow one another: there are no texts among them."""
    whole = np.frombuffer(data, dtype=np.uint8).reshape(n, -1)
    found: dict[str, NDArray[Any]] = {}
    offset = 0
    for form in _layout_of(layout).inputs:
        end = offset + _dtype_of(form).itemsize * math.prod(form.shape)
        array: NDArray[Any] = np.ndarray((n, *form.shape), _dtype_of(form), whole[:, offset:end].tobytes())
        found[form.name], offset = array, end
    return found


def _dtype_of(form: TensorForm) -> np.dtype[Any]:
    return np.dtype(f"<{form.dtype}")


@lru_cache(maxsize=256)
def _layout_of(data: bytes) -> Layout:
    try:
        return msgspec.msgpack.decode(data, type=Layout)
    except msgspec.DecodeError as error:
        raise Corrupt(f"A layout cannot be read: {error}") from error
