"""The forms in which outputs are stored, by type.

=======================================  ===============  =======================================
value                                    codec            stored as
=======================================  ===============  =======================================
None, bool, int, float, str, list, dict  json             JSON
bytes                                    bytes            themselves
NumPy array, NumPy number                npy, number      `.npy`, without pickles
Polars frame, Polars series              parquet, series  Parquet
the same, from 32 MiB on                 arrow            Arrow IPC, which is mapped (see `mapped`)
pandas frame of plain columns            pandas           Parquet, where PyArrow is installed
Arrow table                              arrow-table      Arrow IPC
ONNX model                               onnx             itself
LightGBM, XGBoost booster                lightgbm, …      the library's own form
scikit-learn estimator                   skops            skops, if it trusts all types inside
lists, tuples, sets and dicts of these   tree             a folder: a file a part, and `value.json`
path to a file, path to a folder         file, folder     a folder
everything else                          pickle           pickle, reused only by its writer
=======================================  ===============  =======================================

A codec for another type is added with `noria.register_codec`. What cannot even be pickled is refused.
"""

from __future__ import annotations

import io
import json
import pickle
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from noria.core.errors import Forbidden, Invalid, NotFound
from noria.pipelines.distributions import is_packaged
from noria.pipelines.forms import LIBRARY_CODECS, Codec

_SCALARS = (type(None), bool, int, float, str)


class OutputNotStorable(Invalid):
    """A step returned something that has no stored form."""

    code = "output_not_storable"

    def __init__(self, value: object, because: str, *, mend: str) -> None:
        super().__init__(f"A `{type(value).__qualname__}` cannot be stored: {because}", hint=mend)


class PickleRefused(Forbidden):
    """A stored value is a pickle that somebody else wrote: reading it back could run any code."""

    code = "pickle_refused"

    def __init__(self) -> None:
        super().__init__(
            "A stored value is a pickle of somebody else, which is never read back",
            hint="Run the step with `--force`, or give its type a form with `noria.register_codec`",
        )


class CodecUnknown(NotFound):
    """A stored value names a codec that this process does not have."""

    code = "codec_unknown"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"There is no codec `{name}` here",
            hint="Import the module that registers it before the pipeline runs",
        )


class Encoded(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of a value that is stored in one piece.

    Attributes
    ----------
    portable
        False if decoding can run code.
    code
        `module:name` of the project's functions and classes that the bytes refer to.
    """

    codec: str
    data: bytes
    portable: bool = True
    code: tuple[str, ...] = ()


_registered: dict[str, Codec] = {}


def register_codec(codec: Codec) -> None:
    """Add a stored form, which is asked before the built-in ones.

    Examples
    --------
    >>> register_codec(Codec(
    ...     name="complex", takes=lambda value: type(value) is complex,
    ...     encode=lambda value: repr(value).encode(), decode=lambda data: complex(data.decode())))
    >>> decode("complex", encode(3 + 4j).data)
    (3+4j)
    """
    _registered[codec.name] = codec


def encode(value: Any) -> Encoded:
    """Encode a value in one piece.

    Raises
    ------
    OutputNotStorable
        If it has no stored form.
    """
    found = find_codec(value)
    if found is not None:
        return Encoded(codec=found.name, data=found.encode(value))
    return _encode_estimator(value) or _encode_pickle(value)


def decode(codec: str, data: bytes, *, unpickle: bool = False) -> Any:
    """Turn bytes back into a value.

    Parameters
    ----------
    unpickle
        Whether a pickle may be read: only bytes that this very user wrote.

    Raises
    ------
    PickleRefused
        If it is a pickle, and may not be.
    CodecUnknown
        If a registered codec is not registered here.
    """
    found = _registered.get(codec) or _BUILT_IN.get(codec)
    if found is None:
        raise CodecUnknown(codec)
    if codec == "pickle" and not unpickle:
        raise PickleRefused
    return found.decode(data)


def find_codec(value: Any) -> Codec | None:
    """Give the codec that stores a value as plain data, or None."""
    for codec in (*_registered.values(), *_CHOSEN):
        if codec.takes(value):
            return codec
    return None


def is_registered(value: Any) -> bool:
    """Tell whether a codec that was registered takes a value: it comes before all others."""
    return any(codec.takes(value) for codec in _registered.values())


def is_plain(value: Any) -> bool:
    """Tell whether JSON gives a value back exactly: no tuples, no keys but texts, no subclasses."""
    kind = type(value)
    if kind in _SCALARS:
        return True
    if kind is list:
        return all(map(is_plain, value))
    return kind is dict and all(type(key) is str for key in value) and all(map(is_plain, value.values()))


def _encode_json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def _takes_array(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    if numpy is None or not (type(value) is numpy.ndarray or isinstance(value, numpy.generic)):
        return False
    return not value.dtype.hasobject and value.dtype.kind != "T"


def _encode_array(value: Any) -> bytes:
    import numpy as np

    target = io.BytesIO()
    np.save(target, value, allow_pickle=False)
    return target.getvalue()


def _decode_array(data: bytes) -> Any:
    import numpy as np

    return np.load(io.BytesIO(data), allow_pickle=False)


def _is_number(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.generic) and _takes_array(value)


def _is_frame(value: Any) -> bool:
    polars = sys.modules.get("polars")
    return polars is not None and type(value) is polars.DataFrame and polars.Object not in value.dtypes


def _is_series(value: Any) -> bool:
    polars = sys.modules.get("polars")
    return polars is not None and type(value) is polars.Series and value.dtype != polars.Object


def _encode_frame(frame: Any) -> bytes:
    target = io.BytesIO()
    frame.write_parquet(target)
    return target.getvalue()


def _decode_frame(data: bytes) -> Any:
    import polars as pl

    return pl.read_parquet(io.BytesIO(data))


def _decode_ipc(data: bytes) -> Any:
    import polars as pl

    return pl.read_ipc(io.BytesIO(data))


def _encode_estimator(value: Any) -> Encoded | None:
    """Encode a scikit-learn estimator by skops; None for anything else, and if skops does not know a type inside."""
    base = sys.modules.get("sklearn.base")
    if base is None or not isinstance(value, base.BaseEstimator):
        return None
    from skops.io import dumps, get_untrusted_types

    try:
        data = dumps(value)
        unknown = get_untrusted_types(data=data)
    except Exception:  # noqa: BLE001 - skops names no errors of its own; pickle is tried next
        return None
    return None if unknown else Encoded(codec="skops", data=data)


def _decode_estimator(data: bytes) -> Any:
    from skops.io import loads

    return loads(data)


def _encode_pickle(value: Any) -> Encoded:
    if isinstance(value, Iterator):
        raise OutputNotStorable(value, "it can be read only once", mend="Return a list")
    target = io.BytesIO()
    pickler = _Pickler(target)
    try:
        pickler.dump(value)
    except Exception as error:
        kind = (
            "a lambda or a function inside a function"
            if isinstance(value, types.FunctionType)
            else str(error)
        )
        raise OutputNotStorable(
            value,
            f"it cannot be pickled ({kind})",
            mend="Return data, or add a form with `noria.register_codec`",
        ) from error
    return Encoded(codec="pickle", data=target.getvalue(), portable=False, code=tuple(sorted(pickler.code)))


class _Pickler(pickle.Pickler):
    """Notes the project's functions and classes that it refers to, since their code belongs to the value."""

    def __init__(self, target: io.BytesIO) -> None:
        super().__init__(target, protocol=5)
        self.code: set[str] = set()

    def reducer_override(self, value: Any) -> Any:
        """Look at a thing, and leave its pickling to its own way."""
        if isinstance(value, Path):
            raise OutputNotStorable(
                value,
                f"the file of `{value}` would stay behind",
                mend="Return the path as an output of its own",
            )
        named = value if isinstance(value, (type, types.FunctionType)) else type(value)
        if not is_packaged(named.__module__):
            self.code.add(f"{named.__module__}:{named.__qualname__}")
        return NotImplemented


_CHOSEN = (
    Codec(name="json", takes=is_plain, encode=_encode_json, decode=json.loads),
    Codec(name="bytes", takes=lambda value: type(value) is bytes, encode=lambda value: value, decode=bytes),
    Codec(name="number", takes=_is_number, encode=_encode_array, decode=lambda data: _decode_array(data)[()]),
    Codec(name="npy", takes=_takes_array, encode=_encode_array, decode=_decode_array),
    Codec(name="parquet", takes=_is_frame, encode=_encode_frame, decode=_decode_frame),
    Codec(
        name="series",
        takes=_is_series,
        encode=lambda series: _encode_frame(series.to_frame()),
        decode=lambda data: _decode_frame(data).to_series(),
    ),
    *LIBRARY_CODECS,
)
_BUILT_IN = {codec.name: codec for codec in _CHOSEN} | {
    "skops": Codec(name="skops", takes=lambda _: False, encode=bytes, decode=_decode_estimator),
    "arrow": Codec(name="arrow", takes=lambda _: False, encode=bytes, decode=_decode_ipc),
    "pickle": Codec(name="pickle", takes=lambda _: False, encode=bytes, decode=pickle.loads),
}
