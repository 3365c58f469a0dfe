"""What windows take of rows, as arrays. Worker only: the server, which cuts no rows, needs no NumPy."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noria.core.database.schema import from_micros
from noria.monitoring.entities import Cutting, Window
from noria.monitoring.windows.cutting import bounds

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RowFacts:
    """What a window takes of rows, shape (n_rows,) each; `at_us` since 1970, `skewed` when a clock was ahead."""

    positions: Ints
    at_us: Ints
    versions: Ints
    failed: NDArray[np.bool_]
    skewed: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.positions)

    def at(self, rows: Ints | slice) -> RowFacts:
        """Give some of them."""
        return RowFacts(
            self.positions[rows], self.at_us[rows], self.versions[rows], self.failed[rows], self.skewed[rows]
        )


def indexes_by_time(cutting: Cutting, at_us: Ints) -> Ints:
    """Give the windows of moments, in microseconds since 1970; what came before the first window belongs to that."""
    assert cutting.span_s is not None  # noqa: S101 - for the type checker
    return cutting.base + np.maximum(0, (at_us // 1_000_000 - cutting.origin_s) // cutting.span_s)


def grown(window: Window | None, index: int, cutting: Cutting, rows: RowFacts) -> Window:
    """Add rows to what is known of a window; `rows` is not empty."""
    times = bounds(cutting, index)
    first_at, last_at = from_micros(int(rows.at_us.min())), from_micros(int(rows.at_us.max()))
    first, last = int(rows.positions.min()), int(rows.positions.max())
    by_version = Counter(window.n_by_version if window else {})
    by_version.update(
        dict(zip(*(a.tolist() for a in np.unique(rows.versions, return_counts=True)), strict=True))
    )
    return Window(
        index=index,
        version=max(by_version, key=lambda version: (by_version[version], version)),
        first_position=min(first, window.first_position) if window else first,
        last_position=max(last, window.last_position) if window else last,
        first_at=min(first_at, window.first_at) if window else first_at,
        last_at=max(last_at, window.last_at) if window else last_at,
        n_rows=len(rows.positions) + (window.n_rows if window else 0),
        n_errors=int(rows.failed.sum()) + (window.n_errors if window else 0),
        n_skewed=int(rows.skewed.sum()) + (window.n_skewed if window else 0),
        n_by_version=dict(sorted(by_version.items())),
        starts_at=times[0] if times else None,
        ends_at=times[1] if times else None,
        drift=None,
    )
