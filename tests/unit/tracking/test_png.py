"""Arrays become PNG files that others read back as they were."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from noria.core.errors import Invalid
from noria.tracking.png import as_png

CHANCE = np.random.default_rng(7)


def read(data: bytes) -> Any:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return np.asarray(image)


@pytest.mark.parametrize("shape", [(5, 7), (1, 1), (300, 200, 3), (16, 9, 4), (4, 4, 2)])
def test_pixels_come_back(shape: tuple[int, ...]) -> None:
    """Pillow is the second opinion, for every number of channels."""
    pixels = CHANCE.integers(0, 256, shape, dtype=np.uint8)

    assert np.array_equal(read(as_png(pixels)), pixels)


def test_other_numbers_are_brought_to_bytes() -> None:
    """Floats from 0 to 1, booleans and wider integers; lists will do."""
    assert read(as_png([[0.0, 0.5, 1.0]])).tolist() == [[0, 128, 255]]
    assert read(as_png(np.array([[True, False]]))).tolist() == [[255, 0]]
    assert read(as_png(np.array([[0, 255]], dtype=np.int64))).tolist() == [[0, 255]]
    assert read(as_png(np.zeros((2, 3, 1)))).shape == (2, 3)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(3),
        np.zeros((2, 2, 5)),
        np.zeros((0, 2)),
        [[-1, 2]],
        [[256]],
        [[1.5]],
        [[np.nan]],
        [["a"]],
        object(),
        [[1], [1, 2]],
    ],
)
def test_what_is_no_image_is_refused(array: Any) -> None:
    """The error says what would be one."""
    with pytest.raises(Invalid, match="cannot be an image"):
        as_png(array)
