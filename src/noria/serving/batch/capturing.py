"""A sample of a run's rows, captured at an endpoint as if a client had asked for them.

So batches are watched, labelled and decided about by the same means as requests. A captured row is named after its run
and its number in the input (`<run>-<row>`), and brings the columns of `--key` along, by which labels find it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from noria.core.workspace import Workspace
from noria.serving.batch.chunks import Work, chunk_path
from noria.serving.batch.columns import PREDICTION, arrays_of, needed
from noria.serving.batch.entities import BatchRun
from noria.serving.batch.rows import ArrayRows
from noria.serving.batch.service import Batches
from noria.serving.predictions import KEY, CaptureBatch, Prediction

MOST_CAPTURED = 5_000
"""Rows of a run, spread evenly over its input: as many as a decision looks at."""

_AT_ONCE = 1_000


def capture_rows(workspace: Workspace, run: BatchRun, work: Work) -> int:
    """Capture a sample of the rows that a run predicted; done again, it captures no row twice.

    Returns
    -------
    int
        How many were new.
    """
    n_kept, lot = 0, list[Prediction]()
    batches = workspace.service(Batches)
    for prediction in _predictions(workspace, run, work):
        lot.append(prediction)
        if len(lot) == _AT_ONCE:
            n_kept += batches.capture(workspace.project, run.id, CaptureBatch(predictions=lot)).accepted
            lot = []
    if lot:
        n_kept += batches.capture(workspace.project, run.id, CaptureBatch(predictions=lot)).accepted
    return n_kept


def sampled_rows(n_rows: int, most: int = MOST_CAPTURED) -> list[int]:
    """Give the numbers of at most so many rows, spread evenly, in their order.

    Examples
    --------
    >>> sampled_rows(5), sampled_rows(9, most=3), sampled_rows(0)
    ([0, 1, 2, 3, 4], [0, 4, 8], [])
    """
    if n_rows <= most:
        return list(range(n_rows))
    return np.unique(np.linspace(0, n_rows - 1, most).round().astype(np.int64)).tolist()  # type: ignore[no-any-return]


def _predictions(workspace: Workspace, run: BatchRun, work: Work) -> Iterator[Prediction]:
    wanted, at = np.array(sampled_rows(work.rows.n_rows), dtype=np.int64), workspace.clock.now()
    for chunk in range(work.n_chunks):
        start, stop = work.bounds(chunk)
        rows = wanted[(wanted >= start) & (wanted < stop)]
        if not len(rows):
            continue
        answered = pl.read_parquet(chunk_path(Path(work.folder), chunk), glob=False)[(rows - start).tolist()]
        inputs = _inputs(work, start, stop, rows)
        keys = answered.select(work.options.key).rows(named=True)
        for index, row in enumerate(rows.tolist()):
            predicted = answered[PREDICTION][index]
            if predicted is None:
                continue  # it does not fit the signature
            named = {f"{KEY}{name}": value for name, value in (keys[index] if keys else {}).items()}
            yield Prediction(
                id=f"{run.id}-{row}",
                version=run.version,
                at=at,
                inputs={name: array[index].tolist() for name, array in inputs.items()},
                outputs={"predictions": predicted, **named},
                row=row,
            )


def _inputs(work: Work, start: int, stop: int, rows: Any) -> dict[str, Any]:
    """Give what the model took of some rows of a chunk."""
    places = (rows - start).tolist()
    if isinstance(work.rows, ArrayRows):
        return {b.name: np.asarray(work.rows.arrays[b.name][start:stop])[places] for b in work.bindings}
    frame = work.rows.frame(start, stop, needed(work.bindings, work.options.copied))[places]
    return arrays_of(frame, work.bindings, work.version.signature)
