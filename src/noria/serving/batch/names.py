"""The stable name of a batch outside the workspace: a link or a view that follows what is live."""

from __future__ import annotations

from noria.core.errors import Invalid
from noria.core.workspace import Workspace
from noria.serving.batch.entities import Batch, Pointed
from noria.serving.batch.service import Batches
from noria.serving.batch.sinks.port import is_table, open_sink


def point_stable(workspace: Workspace, name: str, output: str | None = None) -> Batch:
    """Have the stable name of a batch lead to its live slot; does nothing where it does, and for tables of Noria.

    Parameters
    ----------
    output
        The stable name, with a password that is not on record; as it is on record when left out.

    Raises
    ------
    Unavailable
        If the database of the name does not answer.
    """
    batches = workspace.service(Batches)
    batch = batches.get(workspace.project, name)
    while not is_table(batch.output) and batch.live in batch.slots and batch.pointed is not batch.live:
        sink = open_sink(workspace, output or batch.output)
        if sink.name != batch.output:
            raise Invalid(
                f"The stable name of `{name}` is `{batch.output}`, not `{sink.name}`",
                hint="Give the same address, with a password where it needs one",
            )
        sink.point(batch.live)
        # It may have been switched back meanwhile: looked at again until both agree.
        batches.pointed(workspace.project, name, Pointed(slot=batch.live))
        batch = batches.get(workspace.project, name)
    return batch
