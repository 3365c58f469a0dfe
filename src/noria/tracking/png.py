"""Write arrays as PNG (ISO/IEC 15948), without an image library."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any

from noria.core.errors import Invalid

if TYPE_CHECKING:
    import numpy as np

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
"""Channels → colour type: grey, grey with alpha, RGB, RGBA."""
_FAST = 6


def as_png(array: Any) -> bytes:
    """Encode an image.

    Parameters
    ----------
    array : array_like, shape (height, width) or (height, width, n_channels)
        1 to 4 channels: grey, grey with alpha, RGB, RGBA. Integers from 0 to 255, floats from 0 to 1, or booleans.

    Raises
    ------
    Invalid
        If it has another shape or other values.
    """
    pixels = _as_bytes(array)
    height, width, n_channels = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[n_channels], 0, 0, 0)
    return b"".join(
        [
            _SIGNATURE,
            _chunk(b"IHDR", header),
            _chunk(b"IDAT", zlib.compress(_filtered(pixels), _FAST)),
            _chunk(b"IEND", b""),
        ]
    )


def _filtered(pixels: np.ndarray[Any, Any]) -> bytes:
    """Put filter type 2 (difference to the line above) before each line: it suits photographs and plots alike."""
    import numpy as np

    lines = pixels.reshape(pixels.shape[0], -1)
    above = np.zeros_like(lines)
    above[1:] = lines[:-1]
    marked = np.full((lines.shape[0], lines.shape[1] + 1), 2, dtype=np.uint8)
    marked[:, 1:] = lines - above
    return marked.tobytes()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _as_bytes(array: Any) -> np.ndarray[Any, Any]:  # (height, width, n_channels), uint8
    import numpy as np

    pixels: np.ndarray[Any, Any]
    try:
        pixels = np.asarray(array)
    except Exception as error:
        raise _no_image(f"a `{type(array).__name__}`") from error
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.ndim != 3 or pixels.shape[2] not in _COLOUR_TYPES or 0 in pixels.shape:
        raise _no_image(f"of the shape {tuple(np.shape(array))}")
    if pixels.dtype.kind not in "biuf":
        raise _no_image(f"of `{pixels.dtype}`")
    if pixels.dtype == bool:
        return np.where(pixels, 255, 0).astype(np.uint8)
    low, high = pixels.min(), pixels.max()
    if pixels.dtype.kind in "iu" and low >= 0 and high <= 255:
        return pixels.astype(np.uint8)
    if pixels.dtype.kind == "f" and low >= 0 and high <= 1:  # false for NaN too
        return (pixels * 255 + 0.5).astype(np.uint8)
    raise _no_image(f"of `{pixels.dtype}` with values from {low} to {high}")


def _no_image(what: str) -> Invalid:
    return Invalid(
        f"An array {what} cannot be an image",
        hint="Give (height, width) or (height, width, channels), integers from 0 to 255 or floats from 0 to 1",
    )
