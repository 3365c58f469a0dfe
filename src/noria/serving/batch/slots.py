"""What becomes of a named batch: its slots are filled and switched, each in one transaction with its event."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.core.context import Context
from noria.core.errors import Conflict, Invalid
from noria.core.ids import new_id
from noria.data.entities import NewDatasetVersion
from noria.data.service import Datasets
from noria.serving.batch.entities import Batch, BatchRun, NewBatchRun
from noria.serving.batch.events import BATCH_CREATED, BATCH_SWITCHED
from noria.serving.batch.ledger import change_batch, find_batch, load_batch, tell
from noria.serving.batch.sinks.port import is_table
from noria.serving.batch.slot_entities import Comparison, Filled, Rule, Slot, Verdict, slot_output
from noria.serving.batch.tables import batches

if TYPE_CHECKING:
    from noria.core.operations import Service


def ensure_batch(connection: sa.Connection, context: Context, project: str, new: NewBatchRun) -> int | None:
    """Give the key of the batch that a run writes to, made at its first run, whose slot is live from then on.

    Raises
    ------
    Conflict
        If the batch is of another model, or has another output.
    """
    if new.batch is None or new.slot is None:
        return None
    found = find_batch(connection, project, new.batch)
    if found is None:
        return _create(connection, context, project, new, new.batch, new.slot)
    key, batch = found
    if batch.model != new.model:
        raise Conflict(f"The batch `{new.batch}` is one of the model `{batch.model}`, not `{new.model}`")
    if slot_output(batch.output, new.slot) != new.output:
        raise Conflict(
            f"The batch `{new.batch}` has the output `{batch.output}`", hint="Give this one, or another batch"
        )
    return key


def _create(
    connection: sa.Connection, context: Context, project: str, new: NewBatchRun, name: str, slot: Slot
) -> int:
    output = _stable(new.output, slot)
    values = {
        "id": new_id(),
        "project_pk": project_pk(connection, project),
        "name": name,
        "model": new.model,
        "output": output,
        "live": str(slot),
        "slots": {},
        "revision": 0,
        "created_at": context.clock.now(),
    }
    insert = context.database.insert(batches).values(**values)
    connection.execute(insert.on_conflict_do_nothing(index_elements=["project_pk", "name"]))
    told = {"live": str(slot), "model": new.model, "output": output}
    tell(connection, context, BATCH_CREATED, project, f"batch:{name}", told)
    return load_batch(connection, project, name)[0]


def _stable(output: str, slot: Slot) -> str:
    """Give the stable name that a slot's own output was made of."""
    for mark in (f".{slot}.parquet", f".{slot}", f"_{slot}"):
        if output.endswith(mark):
            stable = output.removesuffix(mark) + (".parquet" if mark.endswith(".parquet") else "")
            if slot_output(stable, slot) == output:
                return stable
    raise Invalid(f"`{output}` is not the output of the slot {slot}")


def fill(connection: sa.Connection, service: Service, project: str, run: BatchRun) -> None:
    """Take note of what a slot holds; the rows of the live one can be read under the stable name at once."""
    if run.batch is None or run.slot is None:
        return
    key, batch = load_batch(connection, project, run.batch, lock=True)
    filled = Filled(
        version=run.version,
        run_id=run.id,
        written=str(run.written),
        n_rows=run.n_rows or 0,
        at=service.context.clock.now(),
    )
    slots = {**batch.slots, run.slot: filled}
    change_batch(connection, key, batch, slots=slots)
    if run.slot is batch.live:
        publish(connection, service, batch, filled)


def switch(
    connection: sa.Connection, service: Service, key: int, batch: Batch, to: Slot, reason: str | None
) -> None:
    """Have the stable name stand for another slot.

    Raises
    ------
    Conflict
        If nothing was written to it yet.
    """
    filled = batch.slots.get(to)
    if filled is None:
        raise Conflict(
            f"Nothing was written to the slot {to} of `{batch.name}` yet",
            hint=f"Run a version into it: `noria predict {batch.model}@… --batch {batch.name} --slot {to}`",
        )
    context = service.context
    change_batch(
        connection,
        key,
        batch,
        live=str(to),
        switched_at=context.clock.now(),
        switched_by=context.principal.name,
        reason=reason,
    )
    publish(connection, service, batch, filled)
    before = batch.slots.get(batch.live)
    told = {
        "from": str(batch.live),
        "to": str(to),
        "from_version": before and before.version,
        "to_version": filled.version,
        "run": filled.run_id,
        "written": filled.written,
        "reason": reason,
    }
    tell(connection, context, BATCH_SWITCHED, batch.project, f"batch:{batch.name}", told)


def publish(connection: sa.Connection, service: Service, batch: Batch, filled: Filled) -> None:
    """Make what a slot holds the next version of the stable table; no row is copied, since content is shared."""
    if not is_table(batch.output):
        return
    datasets = service.sibling(Datasets)
    held = datasets.resolve(batch.project, filled.written)
    new = NewDatasetVersion(
        digest=held.digest,
        kind=held.kind,
        message=f"{batch.model}@{filled.version}, batch run {filled.run_id}",
        n_files=held.n_files,
        size_bytes=held.size_bytes,
        n_rows=held.n_rows,
        profile=held.profile,
    )
    datasets.add_in(connection, batch.project, batch.output, new)


def goes_live(rule: Rule | None, comparison: Comparison) -> bool:
    """Tell whether a rule puts the candidate of a comparison live. Pure."""
    return (
        rule is not None
        and comparison.verdict is Verdict.BETTER
        and comparison.n_pairs >= rule.min_pairs
        and comparison.gain_low is not None
        and comparison.gain_low > rule.min_gain
    )
