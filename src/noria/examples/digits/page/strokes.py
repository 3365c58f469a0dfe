"""Turn what was drawn into an image like those that the model was trained on.

A drawing is a few lines; a scan has been cut out, scaled, thickened and blurred. What is drawn goes the same way here,
or else the model is asked about images of a kind that it never saw.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float64]
Points = NDArray[np.float64]

SMALL, LARGE = 8, 28
"""Pixels along a side, of scikit-learn's scans and of MNIST's."""

_FINE = 4
"""Points along a pixel's side at which a small image is looked at: the scans were 32 by 32 before."""

_SMALL_BOX = (20.0 / _FINE, 32.0 / _FINE)
_SMALL_INK = 0.305
_LARGE_BOX = (20.0, 20.0)
_LARGE_PEN = 1.3
_AT_ONCE = 256


def draw(strokes: list[list[tuple[float, float]]], side: int) -> Pixels:
    """Draw strokes as an image.

    Scans of 8 by 8 fill their height, and the pen is as wide as covers the share of the image that ink covers in
    scikit-learn's scans (0.305). Images of 28 by 28 are made as MNIST's are: fitted into 20 by 20, the centre of mass
    in the middle.

    Parameters
    ----------
    strokes
        Each a line through points (right, down), in any unit; a single point is a dot.
    side
        `SMALL` or `LARGE`.

    Returns
    -------
    Pixels
        Shape (side * side,), row by row, from 0 (paper) to 1 (ink).
    """
    lines = [np.asarray(stroke, dtype=np.float64).reshape(-1, 2) for stroke in strokes if stroke]
    return (_small(lines) if side == SMALL else _large(lines)).ravel()


def _small(lines: list[Points]) -> Pixels:
    fitted = _fit(lines, SMALL, _SMALL_BOX, inset=0.5)
    far = _distances(fitted, SMALL, _FINE)
    thin, wide = 0.2, 2.0
    for _ in range(12):
        pen = (thin + wide) / 2
        if _ink(far, pen, _FINE).mean() < _SMALL_INK:
            thin = pen
        else:
            wide = pen
    return _ink(far, thin, _FINE)


def _large(lines: list[Points]) -> Pixels:
    fitted = _fit(lines, LARGE, _LARGE_BOX, inset=_LARGE_PEN)
    image = _ink(_distances(fitted, LARGE, 2), _LARGE_PEN, 2)
    places = np.arange(LARGE) + 0.5
    mass = max(image.sum(), 1e-9)
    centre = np.array([(image.sum(0) * places).sum(), (image.sum(1) * places).sum()]) / mass
    moved = [line + (LARGE / 2 - centre) for line in fitted]
    return _ink(_distances(moved, LARGE, 2), _LARGE_PEN, 2)


def _fit(lines: list[Points], side: int, box: tuple[float, float], *, inset: float) -> list[Points]:
    """Scale a drawing into the middle of an image, its shape kept; `inset` leaves room for the pen."""
    together = np.concatenate(lines)
    low, high = together.min(0), together.max(0)
    room = np.asarray(box) - 2 * inset
    scale = float((room / np.maximum(high - low, 1e-6)).min())
    scale = min(scale, 1e6)
    return [(line - (low + high) / 2) * scale + side / 2 for line in lines]


def _distances(lines: list[Points], side: int, fine: int) -> Pixels:
    """Give how far each point of a fine grid is from the nearest line, in pixels; shape (side*fine, side*fine)."""
    at = (np.arange(side * fine) + 0.5) / fine
    grid = np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 1, 2)
    nearest = np.full(len(grid), np.inf)
    for line in lines:
        begins, ends = (line, line) if len(line) == 1 else (line[:-1], line[1:])
        for first in range(0, len(begins), _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            nearest = np.minimum(nearest, _to_segments(grid, begins[part], ends[part]))
    return nearest.reshape(side * fine, side * fine)


def _to_segments(grid: Pixels, begins: Points, ends: Points) -> Pixels:
    along = ends - begins
    length2 = np.maximum((along**2).sum(-1), 1e-12)
    place = np.clip(((grid - begins) * along).sum(-1) / length2, 0.0, 1.0)
    gap = grid - begins - place[..., None] * along
    return np.asarray(np.sqrt((gap**2).sum(-1).min(1)))


def _ink(distances: Pixels, pen: float, fine: int) -> Pixels:
    """Give the share of each pixel that a pen of this radius covers, its edge softened by a point of the grid."""
    covered = np.clip((pen - distances) * fine + 0.5, 0.0, 1.0)
    side = len(distances) // fine
    return np.asarray(covered.reshape(side, fine, side, fine).mean((1, 3)))
