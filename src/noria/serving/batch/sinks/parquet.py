"""Predictions in a Parquet file, which appears by one rename."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from noria.core.errors import Conflict, Invalid, StorageFull
from noria.serving.batch.slot_entities import Slot, slot_output


class ParquetSink:
    """A file.

    Parameters
    ----------
    path
        Where it lies; the name of a slot's file is made of it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.expanduser().absolute()
        self.name = str(self._path)

    def write(self, run_id: str, chunks: Sequence[Path], *, append: bool) -> str:
        """Write all rows to a file beside it, which then takes its name.

        Raises
        ------
        Invalid
            If rows are to be appended, or the folder cannot be written to.
        StorageFull
            If there is no room.
        """
        if append:
            raise Invalid(
                f"Rows cannot be put behind those of `{self._path}`",
                hint="Name a table of Noria, or leave `--append` out",
            )
        part = self._path.with_name(f".{self._path.name}.{run_id}.part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            pl.scan_parquet(list(chunks), glob=False).sink_parquet(part, maintain_order=True)
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.replace(self._path)
            _sync_folder(self._path.parent)
        except OSError as error:
            part.unlink(missing_ok=True)
            if error.errno in (28, 122):
                hint = "Make room; the predictions are kept"
                raise StorageFull(f"There is no room for `{self._path}`", hint=hint) from error
            raise Invalid(f"`{self._path}` cannot be written: {error.strerror or error}") from error
        return self.name

    def point(self, slot: Slot) -> None:
        """Make the name a link to the slot's file, in one step.

        Raises
        ------
        Conflict
            If a file that is no link has the name.
        """
        if self._path.exists() and not self._path.is_symlink():
            raise Conflict(
                f"`{self._path}` is a file of its own, which no link takes the place of",
                hint="Move it away, or give the batch another output",
            )
        link = self._path.with_name(f".{self._path.name}.{slot}.link")
        link.unlink(missing_ok=True)
        link.symlink_to(Path(slot_output(str(self._path), slot)).name)
        link.replace(self._path)
        _sync_folder(self._path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
