"""Make the records of a worker: what requests have in common is made into bytes once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from noria.serving.modelserver.joint import MARK, Joint, write_joint
from noria.serving.modelserver.records import FORM, HEAD, MAX_ORIGINS, AnsweredRequest, Tensor
from noria.serving.tensor_data import TEXTS, TensorForm, packed_texts, tensor_form

Arrays = Mapping[str, NDArray[Any]]
Common = tuple[str, str, int, int]
"""Project, endpoint, version and revision."""

_JOINT_BYTES = 1 << 20
"""Most data of one record of several requests."""

_SHORT_BYTES = 1 << 12
"""Less is copied sooner than it is pointed at."""

_tobytes = np.ndarray.tobytes
_encoder = msgspec.msgpack.Encoder()


class CapturedRequest(NamedTuple):
    """A request with what the model made of it.

    Attributes
    ----------
    common
        Project, endpoint, version and revision.
    id
        32 hex digits.
    at_us
        When it was answered, in microseconds since 1970.
    outputs
        Empty when the model raised; `error` then says what.
    role
        Number of its role in `ROLES`.
    """

    common: Common
    id: str
    at_us: int
    latency_us: int
    n_rows: int
    inputs: Arrays
    outputs: Arrays
    error: str | None = None
    role: int = 0


_Key = tuple[Any, ...]


class Alike:
    """Requests of one row that one version answered at one time, of arrays of the same names.

    Parameters
    ----------
    key
        See `key_of`.
    """

    def __init__(self, common: Common, at_us: int, key: _Key, inputs: Arrays, outputs: Arrays) -> None:
        self.key = key
        self.common = common
        self.at_us = at_us
        self.ids: list[str] = []
        self.latencies_us: list[int] = []
        self.arrays: list[NDArray[Any]] = []
        self._inputs, self._outputs = list(inputs), list(outputs)

    def request(self, place: int) -> CapturedRequest:
        """Give one of them by itself."""
        n_inputs, n_arrays = len(self._inputs), len(self._inputs) + len(self._outputs)
        arrays = self.arrays[place * n_arrays : (place + 1) * n_arrays]
        return CapturedRequest(
            self.common,
            self.ids[place],
            self.at_us,
            self.latencies_us[place],
            1,
            dict(zip(self._inputs, arrays[:n_inputs], strict=True)),
            dict(zip(self._outputs, arrays[n_inputs:], strict=True)),
        )


def key_of(common: Common, role: int, n_rows: int, inputs: Arrays, outputs: Arrays) -> tuple[Any, ...]:
    """Give what requests have in common whose arrays have the same names."""
    return (common, role, n_rows, *inputs, len(inputs), *outputs)


class Recorder:
    """Makes the records of one worker. Called from many threads."""

    def __init__(self) -> None:
        self._made: dict[_Key, _Made] = {}

    def encode(self, request: CapturedRequest) -> bytes:
        """Give the bytes that a spool keeps."""
        return b"".join(self.parts(request))

    def parts(self, request: CapturedRequest) -> list[bytes | memoryview]:
        """Give these bytes in parts; those of arrays are not copied."""
        common, identity, at_us, latency_us, n_rows, inputs, outputs, raised, role = request
        arrays = [*inputs.values(), *outputs.values()]
        made = self._made_for(key_of(common, role, n_rows, inputs, outputs), request, arrays)
        if made.origin is None:
            return [_encoder.encode(_spelt_out(request))]
        error = b"" if raised is None else raised.encode("utf-8", "replace")
        sizes = len(made.origin), len(error)
        head = HEAD.pack(MARK, FORM, identity.encode(), at_us, latency_us, n_rows, *sizes)
        return [head, made.origin, error, *map(_bytes_of, arrays)]

    def encode_alike(self, alike: Alike) -> bytes | None:
        """Give one record of several requests; None where their arrays do not let them share one."""
        arrays, n = alike.arrays, len(alike.ids)
        first = alike.request(0)
        n_arrays = len(arrays) // n
        made = self._made_for(alike.key, first, arrays[:n_arrays])
        if made.origin is None or made.has_texts:
            return None
        if [each.shape for each in arrays] != made.shapes * n or [
            each.dtype for each in arrays
        ] != made.types * n:
            return None
        if n * sum(each.nbytes for each in arrays[:n_arrays]) > _JOINT_BYTES:
            return None
        data = b"".join(map(_tobytes, arrays))
        return write_joint(Joint(made.origin, alike.at_us, alike.ids, alike.latencies_us, data))

    def encode_rows(
        self,
        common: Common,
        at_us: int,
        ids: Sequence[str],
        latency_us: int,
        outputs: Arrays,
        role: int,
    ) -> bytes | None:
        """Give one record of what was predicted for requests of one row each; None where the arrays cannot share one.

        Parameters
        ----------
        outputs
            Of all of them, shape (n_requests, ...).
        """
        n = len(ids)
        first = {name: array[:1] for name, array in outputs.items()}
        request = CapturedRequest(common, ids[0], at_us, latency_us, 1, {}, first, None, role)
        made = self._made_for(key_of(common, role, 1, {}, first), request, list(first.values()))
        if made.origin is None or made.has_texts:
            return None
        if sum(array.nbytes for array in outputs.values()) > _JOINT_BYTES:
            return None
        rows = [np.ascontiguousarray(array).reshape(n, -1).view(np.uint8) for array in outputs.values()]
        data = np.concatenate(rows, axis=1).tobytes() if rows else b""
        return write_joint(Joint(made.origin, at_us, ids, [latency_us] * n, data))

    def _made_for(self, key: _Key, request: CapturedRequest, arrays: list[NDArray[Any]]) -> _Made:
        # Of each attribute by itself: this is run for each request, and hashing a type costs more than all the rest.
        shapes, types = [array.shape for array in arrays], [array.dtype for array in arrays]
        made = self._made.get(key)
        if made is None or made.shapes != shapes or made.types != types:
            if len(self._made) >= MAX_ORIGINS:
                self._made.clear()
            made = self._made[key] = _make(request, shapes, types)
        return made


class _Made(NamedTuple):
    """The bytes of an origin, None where the arrays cannot be kept as such, and the arrays that it is made for."""

    origin: bytes | None
    has_texts: bool
    shapes: list[tuple[int, ...]]
    types: list[np.dtype[Any]]


def _make(request: CapturedRequest, shapes: list[tuple[int, ...]], types: list[np.dtype[Any]]) -> _Made:
    forms = [_forms(request.inputs), _forms(request.outputs)]
    found = [form for each in forms for form in each]
    known = None not in found and all(shape[:1] == (request.n_rows,) for shape in shapes)
    roles = (request.role,) if request.role else ()
    origin = _encoder.encode((*request.common, _encoder.encode(forms), *roles)) if known else None
    return _Made(origin, any(form is not None and form.dtype == TEXTS for form in found), shapes, types)


def _forms(arrays: Arrays) -> list[TensorForm | None]:
    return [tensor_form(name, array.dtype.str, array.shape[1:]) for name, array in arrays.items()]


def _bytes_of(array: NDArray[Any]) -> bytes | memoryview:
    if array.dtype.kind in "OUS":
        return packed_texts([str(value) for value in array.ravel()])
    if array.nbytes < _SHORT_BYTES or not array.flags.c_contiguous:
        return array.tobytes()
    return array.reshape(-1).view(np.uint8).data


def _spelt_out(request: CapturedRequest) -> AnsweredRequest:
    project, endpoint, version, revision = request.common
    return AnsweredRequest(
        project=project,
        endpoint=endpoint,
        id=request.id,
        version=version,
        revision=revision,
        at_us=request.at_us,
        latency_us=request.latency_us,
        n_rows=request.n_rows,
        inputs=[_tensor(name, array) for name, array in request.inputs.items()],
        outputs=[_tensor(name, array) for name, array in request.outputs.items()],
        error=request.error,
        role=request.role,
    )


def _tensor(name: str, array: NDArray[Any]) -> Tensor:
    shape = list(array.shape)
    if array.dtype.kind in "OUS":
        return Tensor(name=name, dtype=TEXTS, shape=shape, data=[str(value) for value in array.ravel()])
    return Tensor(name=name, dtype=array.dtype.str, shape=shape, data=array.tobytes())
