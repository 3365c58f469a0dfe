"""What a sink is, and which one an output names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from noria.core.errors import Invalid
from noria.core.names import check_name
from noria.serving.batch.slot_entities import Slot

if TYPE_CHECKING:
    from noria.core.workspace import Workspace

_POSTGRES = ("postgresql://", "postgres://", "postgresql+psycopg://")


class Sink(Protocol):
    """Where the rows of a run go."""

    @property
    def name(self) -> str:
        """What it is on record: no password stands in it."""
        ...

    def write(self, run_id: str, chunks: Sequence[Path], *, append: bool) -> str:
        """Write the rows of a run, all or none; a run that was written already is not written again.

        Parameters
        ----------
        chunks
            Parquet files, at least one, in the order of their rows.
        append
            Put them behind the rows that are there rather than in their place.

        Returns
        -------
        str
            Reference of what holds them.

        Raises
        ------
        Unavailable
            If the sink does not answer; trying again may help.
        """
        ...

    def point(self, slot: Slot) -> None:
        """Have the stable name stand for a slot from now on; nothing for a table of Noria, whose server does it."""
        ...


def is_table(output: str) -> bool:
    """Tell whether an output is a table of Noria."""
    return "://" not in output and not output.endswith(".parquet")


def check_output(output: str) -> None:
    """Refuse what names no sink.

    Raises
    ------
    Invalid
        With what does.
    """
    if output.startswith(_POSTGRES):
        return
    if "://" in output:
        raise Invalid(
            f"`{output.partition('://')[0]}://` is no place that predictions are written to",
            hint="Name a table of Noria, a file that ends in `.parquet`, or `postgresql://…#schema.table`",
        )
    if output.endswith(".parquet"):
        return
    if "/" in output or Path(output).suffix in (".csv", ".json", ".arrow", ".tsv"):
        raise Invalid(
            f"Predictions are not written to `{output}`",
            hint="Name a file that ends in `.parquet`, a table of Noria, or `postgresql://…#schema.table`",
        )
    check_name("dataset", output)


def has_password(address: str) -> bool:
    """Tell whether an address of a database holds a password."""
    parts = urlsplit(address)
    return "://" in address and (parts.password is not None or "password=" in parts.query)


def settled_output(output: str) -> str:
    """Give an output so that it means the same in every folder."""
    check_output(output)
    return (
        str(Path(output).expanduser().absolute())
        if output.endswith(".parquet") and "://" not in output
        else output
    )


def open_sink(workspace: Workspace, output: str) -> Sink:
    """Give the sink that an output names.

    Raises
    ------
    Invalid
        If it names none.
    """
    check_output(output)
    if output.startswith(_POSTGRES):
        from noria.serving.batch.sinks.postgres import PostgresSink

        return PostgresSink(output)
    if output.endswith(".parquet"):
        from noria.serving.batch.sinks.parquet import ParquetSink

        return ParquetSink(Path(output))
    from noria.serving.batch.sinks.table import TableSink

    return TableSink(workspace, output)
