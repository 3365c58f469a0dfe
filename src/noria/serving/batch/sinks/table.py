"""Predictions in a table of Noria: each run is one version of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from noria.core.workspace import Workspace
from noria.data.client import dataset
from noria.data.delta.errors import extra_missing
from noria.serving.batch.slot_entities import Slot


class TableSink:
    """A dataset that is a Delta table.

    Parameters
    ----------
    name
        Of the dataset; made by the first run.

    Raises
    ------
    ConfigInvalid
        If the packages for tables are not installed.
    """

    def __init__(self, workspace: Workspace, name: str) -> None:
        # Asked before a row is predicted rather than when all of them are to be written.
        try:
            import deltalake  # noqa: F401
        except ImportError as error:
            raise extra_missing(error) from error
        self._workspace = workspace
        self.name = name

    def write(self, run_id: str, chunks: Sequence[Path], *, append: bool) -> str:
        """Make the next version; the log of the table knows a run that it has already."""
        handle = dataset(self.name, workspace=self._workspace)
        rows = pl.scan_parquet(list(chunks), glob=False)
        message, once = f"batch run {run_id}", f"batch:{run_id}"
        if append:
            return handle.append(rows, message=message, once=once).ref
        return handle.overwrite(rows, evolve=True, message=message, once=once).ref

    def point(self, slot: Slot) -> None:
        """Leave it to the server, which moves the name with the switch."""
