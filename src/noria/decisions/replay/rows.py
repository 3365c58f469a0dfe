"""Raw rows of an episode as windows, and as columns that stages can measure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from noria.decisions.replay.episode import LABEL_WINDOW, WINDOW, Episode
from noria.decisions.replay.outputs import texts

if TYPE_CHECKING:
    import polars as pl

NEVER = np.iinfo(np.int64).max
Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Rows that were answered in one window.

    Attributes
    ----------
    raw
        Without target, `window` and `label_window`.
    target
        In the form that `fit` takes; `actual` as texts or numbers, with what is known of it at `known_at`.
    known_at : ndarray, shape (n_rows,)
        Window at whose end each label is known; `NEVER` for none.
    """

    number: int
    raw: pl.DataFrame
    target: pl.Series
    actual: NDArray[Any]
    known_at: NDArray[np.int64]

    def __len__(self) -> int:
        return self.raw.height

    def labelled(self, at: int) -> NDArray[np.intp]:
        """Give the rows whose label is known at the end of a window."""
        return np.flatnonzero(self.known_at <= at)


def windows_of(episode: Episode) -> list[Window]:
    """Part the stream into windows."""
    parts = episode.stream.partition_by(WINDOW, maintain_order=True)
    return [_window(episode, part) for part in parts]


def _window(episode: Episode, part: pl.DataFrame) -> Window:
    target = part[episode.description.target].cast(
        episode.reference[episode.description.target].dtype, strict=False
    )
    actual, there = actual_of(target, classifies=episode.is_classification)
    known = part[LABEL_WINDOW].fill_null(NEVER).to_numpy().astype(np.int64)
    return Window(
        number=int(part[WINDOW][0]),
        raw=read_plainly(part.select(episode.columns), episode.reference),
        target=target,
        actual=actual,
        known_at=np.where(there, known, NEVER),
    )


def rows_of_span(reference: pl.DataFrame, window: Window, time: str | None) -> int | None:
    """Give how many training rows span as much time as a window does.

    What rows that follow one another do by themselves depends on the time between them: training rows may be a part of
    those that live ones are all of. None where no time is told, or training rows are in another order.
    """
    if time is None or time not in reference.columns:
        return None
    then = _array(reference[time], reference[time])
    now = _array(window.raw[time], reference[time])
    if then.dtype.kind != "f" or len(now) < 2 or not (np.diff(then) >= 0).all():
        return None
    step = (then[-1] - then[0]) / max(len(then) - 1, 1)
    span = (np.nanmax(now) - np.nanmin(now)) * len(now) / (len(now) - 1)
    return max(1, round(float(span / step))) if step > 0 and np.isfinite(span) and span > 0 else None


def actual_of(target: pl.Series, *, classifies: bool) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Give targets as texts or numbers, and which are there."""
    if classifies:
        there = target.is_not_null().to_numpy()
        return texts(target.to_list()), np.asarray(there)
    import polars as pl

    numbers = target.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy().astype(np.float64)
    return numbers, np.isfinite(numbers)


def columns_of(frame: pl.DataFrame, like: pl.DataFrame, names: list[str]) -> Columns:
    """Give columns as arrays of numbers (missing: NaN) or of objects (missing: None), by the kinds of `like`."""
    return {name: _array(frame[name], like[name]) for name in names if _kind(like[name]) is not None}


def is_text_of_numbers(known: pl.Series, live: pl.Series) -> bool:
    """Tell whether a column of numbers came as text."""
    import polars as pl

    return known.dtype.is_numeric() and live.dtype == pl.String


def read_plainly(raw: pl.DataFrame, reference: pl.DataFrame) -> pl.DataFrame:
    """Read columns of numbers that a recording holds as text, where every text of these rows is a plain number.

    A column that became text at some time is text in all of a recording, and before that time it was none.
    """
    import polars as pl

    changed = []
    for name in raw.columns:
        if name in reference.columns and is_text_of_numbers(reference[name], raw[name]):
            found = raw[name].cast(pl.Float64, strict=False)
            if found.null_count() == raw[name].null_count():
                changed.append(found.cast(reference[name].dtype, strict=False).alias(name))
    return raw.with_columns(changed)


def joined(parts: list[Columns]) -> Columns:
    """Put the rows of several windows behind one another."""
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _kind(column: pl.Series) -> str | None:
    dtype = column.dtype
    if dtype.is_numeric() or dtype.is_temporal() or str(dtype) == "Boolean":
        return "number"
    return None if dtype.is_nested() or str(dtype) in ("Object", "Binary", "Null") else "codes"


def _array(column: pl.Series, like: pl.Series) -> NDArray[Any]:
    import polars as pl

    if _kind(like) == "codes":
        return np.array(column.cast(pl.String, strict=False).to_list(), dtype=object)
    if column.dtype.is_temporal():
        column = column.to_physical()
    numbers = column.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy().astype(np.float64)
    return np.where(np.isfinite(numbers), numbers, np.nan)
