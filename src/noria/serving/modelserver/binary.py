"""The protocol's extension for binary tensors: JSON first, then the bytes of the tensors that announce a size.

https://github.com/kserve/kserve/blob/master/docs/predict-api/v2/binary_extension.md
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.core.errors import Invalid
from noria.registry.signatures import InputInvalid

EXTENSION = "binary_tensor_data"
HEADER = "inference-header-content-length"
BINARY = "binary_data"
SIZE = "binary_data_size"

_LENGTH = struct.Struct("<I")


class BinaryInvalid(ValueError):
    """The bytes of a tensor are not what they should be."""


class Binary:
    """A body of JSON with bytes behind it.

    Parameters
    ----------
    n_head
        Length of the JSON.

    Raises
    ------
    Invalid
        If the body is shorter.
    """

    def __init__(self, body: bytes, n_head: int) -> None:
        if n_head > len(body):
            raise Invalid(
                f"`Inference-Header-Content-Length` says {n_head}, and the body has {len(body)} bytes",
                details={"field": HEADER},
            )
        self.head = body[:n_head]
        self._behind = memoryview(body)[n_head:]

    def split(self, tensors: Sequence[tuple[str, dict[str, Any]]]) -> dict[int, memoryview]:
        """Give the bytes of the tensors that announce some, by their place.

        Parameters
        ----------
        tensors
            Name and parameters, in the order of the request.

        Raises
        ------
        InputInvalid
            If the sizes are none, or are not those of the body.
        """
        found, start = {}, 0
        for place, (name, parameters) in enumerate(tensors):
            size = parameters.get(SIZE)
            if size is None:
                continue
            if type(size) is not int or not 0 <= size <= len(self._behind) - start:
                raise InputInvalid(
                    name[:100],
                    f"The input `{name[:100]}` announces {str(size)[:30]} bytes, and the body has "
                    f"{len(self._behind) - start} left",
                )
            found[place] = self._behind[start : start + size]
            start += size
        if start != len(self._behind):
            raise Invalid(f"{len(self._behind) - start} bytes of the body belong to no input")
        return found


def read_header(value: str) -> int:
    """Read the length of a body's JSON part.

    Raises
    ------
    Invalid
        If it is no length.
    """
    if not (value.isascii() and value.isdecimal() and len(value) < 10):
        raise Invalid("`Inference-Header-Content-Length` is no length", details={"field": HEADER})
    return int(value)


def texts_of(content: memoryview) -> list[str]:
    """Read texts, each behind its length in four bytes.

    Raises
    ------
    BinaryInvalid
        If one ends behind the end, or is not UTF-8.
    """
    found, start = [], 0
    while start < len(content):
        if start + _LENGTH.size > len(content):
            raise BinaryInvalid("ends within the length of a text")
        (size,) = _LENGTH.unpack_from(content, start)
        start += _LENGTH.size
        if size > len(content) - start:
            raise BinaryInvalid(f"announces a text of {size} bytes, and has {len(content) - start} left")
        try:
            found.append(str(content[start : start + size], "utf-8"))
        except UnicodeDecodeError as error:
            raise BinaryInvalid("holds a text that is not UTF-8") from error
        start += size
    return found


def bytes_of(array: NDArray[Any]) -> bytes:
    """Give the bytes of an array, the last axis running fastest, the lowest byte of a number first."""
    if array.dtype.kind in "OUS":
        texts = [str(value).encode("utf-8", "surrogatepass") for value in array.ravel().tolist()]
        return b"".join(part for text in texts for part in (_LENGTH.pack(len(text)), text))
    if array.dtype == np.bool_:
        return array.astype(np.uint8).tobytes()
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
