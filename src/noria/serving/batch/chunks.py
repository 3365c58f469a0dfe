"""One chunk: input rows read, put through the model, and kept in a file of the run's folder.

A chunk's file appears by one rename. So a process may be killed at any instant: what was kept is taken by the next
attempt, and what was not is made again, of the same rows and with the same numbers.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from noria.core.errors import Failed, Invalid, NoriaError
from noria.registry.entities import ServableVersion
from noria.registry.runtimes.port import LoadedModel
from noria.registry.signatures import InputInvalid, check_inputs
from noria.serving.batch.columns import (
    Binding,
    arrays_of,
    empty_outputs,
    fit_for,
    needed,
    output_frame,
    unfit_rows,
)
from noria.serving.batch.entities import BatchOptions, Unfit, bounds_of
from noria.serving.batch.rows import ArrayRows, Rows, TableRows

_PART = ".part-"
_AHEAD_BYTES = 64 << 20
"""About how much is read at once: a file gives a few rows of a group at the cost of the whole group."""


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """All that is needed to make any chunk of a run.

    Attributes
    ----------
    folder
        Where chunks are kept.
    """

    folder: str
    version: ServableVersion
    rows: Rows
    bindings: list[Binding]
    options: BatchOptions
    chunk_rows: int

    @property
    def n_chunks(self) -> int:
        """How many there are: one without rows for an input without rows."""
        return max(1, -(-self.rows.n_rows // self.chunk_rows))

    def bounds(self, chunk: int) -> tuple[int, int]:
        """Give the first row of a chunk, and the one behind its last."""
        return bounds_of(chunk, self.chunk_rows, self.rows.n_rows)


class ChunkMaker:
    """Makes chunks of a run, by a model that was loaded for it."""

    def __init__(self, work: Work, model: LoadedModel) -> None:
        self._work = work
        self._model = model
        self.engine = model.engine
        self._ahead = Ahead(work.rows, work.chunk_rows) if isinstance(work.rows, TableRows) else None

    def make(self, chunk: int) -> int:
        """Make one and give its number of rows.

        Raises
        ------
        InputInvalid
            If a row does not fit the signature, and such rows are refused.
        Failed
            If the model raises.
        """
        return self.keep(chunk, self.predicted(chunk))

    def keep(self, chunk: int, rows: pl.DataFrame) -> int:
        """Write the output rows of a chunk, and give how many they are. May be called from another thread."""
        write_chunk(Path(self._work.folder), chunk, rows)
        return rows.height

    def predicted(self, chunk: int) -> pl.DataFrame:
        """Give the output rows of a chunk; raises as `make` does."""
        work = self._work
        start, stop = work.bounds(chunk)
        inputs, copied = self._read(start, stop)
        unfit = None
        if work.options.unfit is Unfit.NULL:
            inputs, unfit = self._without_unfit(inputs)
        outputs = self._outputs(inputs, start, stop)
        return output_frame(
            outputs,
            work.version,
            rows=range(start, stop),
            copied=copied,
            probabilities=work.options.probabilities,
            unfit=unfit,
        )

    def _read(self, start: int, stop: int) -> tuple[dict[str, Any], pl.DataFrame]:
        """Give the model's inputs of some rows, and the columns that are copied."""
        work = self._work
        copied = list(work.options.copied)
        if isinstance(work.rows, ArrayRows):
            names = [binding.name for binding in work.bindings]
            found = {name: np.ascontiguousarray(work.rows.arrays[name][start:stop]) for name in names}
            return found, work.rows.frame(start, stop, copied)
        assert self._ahead is not None  # noqa: S101 - made for tables
        frame = self._ahead.frame(start, stop, needed(work.bindings, copied))
        return arrays_of(frame, work.bindings, work.version.signature), frame.select(copied)

    def _without_unfit(self, inputs: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        signature = self._work.version.signature
        unfit = unfit_rows(inputs, signature)
        if not unfit.any():
            return inputs, None
        return {spec.name: fit_for(spec, inputs[spec.name][~unfit]) for spec in signature.inputs}, unfit

    def _outputs(self, inputs: dict[str, Any], start: int, stop: int) -> dict[str, Any]:
        signature = self._work.version.signature
        if not len(next(iter(inputs.values()))):
            return empty_outputs(signature)
        try:
            checked = check_inputs(signature, inputs)
        except InputInvalid as error:
            raise InputInvalid(
                str(error.details.get("field")),
                f"{error.message}, counted from row {start} of the input",
                "Mend the rows, or give those that do not fit no prediction: `--unfit null`",
            ) from error
        try:
            return self._model.predict(checked)
        except NoriaError:
            raise
        except Exception as error:
            # All of them: every library, and every class of a project, has errors of its own.
            raise Failed(
                f"`{self._work.version.ref}` does not predict the rows {start} to {stop - 1}:"
                f" {type(error).__name__}: {error}"
            ) from error


class Ahead:
    """Rows of a table, of which those behind the asked ones are kept for the next time.

    Parameters
    ----------
    n_rows
        As many as are asked for at a time.
    max_bytes
        About how much is kept.
    """

    def __init__(self, rows: TableRows, n_rows: int, max_bytes: int = _AHEAD_BYTES) -> None:
        self._rows = rows
        self._n_rows = n_rows
        self._max_bytes = max_bytes
        self._most = n_rows
        self._start = 0
        self._kept: pl.DataFrame | None = None

    def frame(self, start: int, stop: int, columns: list[str]) -> pl.DataFrame:
        """Give some rows; always of the same columns.

        Raises
        ------
        Conflict
            If the file has changed.
        Invalid
            If it ends before `stop`.
        """
        kept = self._kept
        if kept is None or not self._start <= start <= stop <= self._start + kept.height:
            self._kept = None  # before others are read, or both were held
            kept = self._rows.frame(start, max(stop, min(start + self._most, self._rows.n_rows)), columns)
            if kept.height < stop - start:
                raise Invalid(f"The input has fewer than {stop} rows", hint="Was it cut off? Run it again")
            row_bytes = kept.estimated_size() / max(1, kept.height)
            self._most = max(1, int(self._max_bytes / max(1.0, row_bytes) / self._n_rows)) * self._n_rows
            self._start, self._kept = start, kept
        return kept.slice(start - self._start, stop - start)


def write_chunk(folder: Path, chunk: int, frame: pl.DataFrame) -> None:
    """Keep the rows of a chunk, all or none."""
    part = folder / f"{_PART}{chunk}-{os.getpid()}"
    with part.open("wb") as file:
        frame.write_parquet(file, compression="lz4", statistics=False)
        file.flush()
        os.fsync(file.fileno())
    part.rename(chunk_path(folder, chunk))


def chunk_path(folder: Path, chunk: int) -> Path:
    """Give where the rows of a chunk are kept."""
    return folder / f"chunk-{chunk:08d}.parquet"


def kept_chunks(work: Work) -> set[int]:
    """Give the chunks that are kept and whole; what is neither is taken away."""
    folder = Path(work.folder)
    for part in folder.glob(f"{_PART}*"):
        part.unlink(missing_ok=True)
    return {chunk for chunk in range(work.n_chunks) if _is_whole(work, chunk)}


def _is_whole(work: Work, chunk: int) -> bool:
    path = chunk_path(Path(work.folder), chunk)
    if not path.exists():
        return False
    start, stop = work.bounds(chunk)
    try:
        n_rows = pl.scan_parquet(path, glob=False).select(pl.len()).collect().item()
        whole = bool(n_rows == stop - start)
    except pl.exceptions.PolarsError:  # the power failed while it was written
        whole = False
    if not whole:
        path.unlink()
    return whole


def chunk_paths(work: Work) -> list[Path]:
    """Give the files of all chunks in the order of their rows."""
    return [chunk_path(Path(work.folder), chunk) for chunk in range(work.n_chunks)]
