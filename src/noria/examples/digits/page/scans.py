"""The images to learn from: scikit-learn's small scans, or MNIST from a folder."""

from __future__ import annotations

import gzip
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import noria
from noria.examples.digits.page.strokes import LARGE

MAX_IMAGES = 100_000
_PARTS = ("train", "t10k")
_UNSIGNED_BYTES = 0x08
_HELD_SHARE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Scans:
    """Images with their digits.

    Attributes
    ----------
    x
        Shape (n, side * side), from 0 (paper) to 1 (ink).
    y
        Shape (n,), 0 to 9.
    held
        Shape (n,); what a model is judged on and does not learn from.
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    held: NDArray[np.bool_]


def small_scans(seed: int) -> Scans:
    """Give the 1,797 scans of 8 by 8 that come with scikit-learn; a fifth of them, drawn by `seed`, is held back."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    held = np.random.default_rng(seed).permutation(len(y)) < _HELD_SHARE * len(y)
    return Scans(x=np.asarray(x / 16.0, dtype=np.float32), y=np.asarray(y, dtype=np.int64), held=held)


def read_mnist(folder: Path) -> Scans:
    """Read the four files of MNIST, packed by gzip or not; its test images are held back.

    Raises
    ------
    noria.Invalid
        If a file is missing or not what its name says.
    """
    parts = [(_images(folder, part), _labels(folder, part)) for part in _PARTS]
    for part, (images, labels) in zip(_PARTS, parts, strict=True):
        if len(images) != len(labels):
            raise noria.Invalid(f"`{folder}` has {len(images)} images and {len(labels)} labels of `{part}`")
    return Scans(
        x=np.concatenate([images for images, _ in parts]),
        y=np.concatenate([labels for _, labels in parts]),
        held=np.repeat([False, True], [len(labels) for _, labels in parts]),
    )


def _images(folder: Path, part: str) -> NDArray[np.float32]:
    raw = _read_idx(folder, f"{part}-images-idx3-ubyte", (LARGE, LARGE))
    return raw.reshape(len(raw), -1).astype(np.float32) / np.float32(255)


def _labels(folder: Path, part: str) -> NDArray[np.int64]:
    return _read_idx(folder, f"{part}-labels-idx1-ubyte", ()).astype(np.int64)


def _read_idx(folder: Path, name: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read a file of the format IDX: two zeros, the type, the number of dimensions, each dimension, then the values."""
    path = next((found for found in (folder / f"{name}.gz", folder / name) if found.is_file()), None)
    if path is None:
        raise noria.Invalid(
            f"There is no `{name}.gz` in `{folder}`",
            hint="`--data` takes a folder with the four files of MNIST",
        )
    n_dimensions = 1 + len(shape)
    most = 4 + 4 * n_dimensions + MAX_IMAGES * int(np.prod(shape, dtype=np.int64))
    opened = gzip.open(path) if path.suffix == ".gz" else path.open("rb")  # noqa: SIM115 - used just below
    try:
        with opened as source:
            raw = source.read(most + 1)
    except (OSError, EOFError) as error:
        raise noria.Invalid(f"`{path}` cannot be read: {error}") from error
    head = struct.calcsize(f">4B{n_dimensions}I")
    sizes = struct.unpack(f">4B{n_dimensions}I", raw[:head]) if len(raw) >= head else ()
    wanted = (0, 0, _UNSIGNED_BYTES, n_dimensions)
    if (
        sizes[:4] != wanted
        or sizes[5:] != shape
        or len(raw) != head + int(np.prod(sizes[4:], dtype=np.int64))
    ):
        raise noria.Invalid(f"`{path}` does not hold what its name says, or more than {MAX_IMAGES} images")
    return np.frombuffer(raw, dtype=np.uint8, offset=head).reshape(sizes[4:])
