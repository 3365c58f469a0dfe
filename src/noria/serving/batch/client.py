"""Batch prediction from Python; the same on a folder and on a server."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from noria.core.errors import Invalid, NotFound
from noria.core.workspace import Workspace, current_workspace
from noria.registry.rules import check_consent, servable
from noria.registry.service import Models
from noria.serving.batch.child import ModelPlace
from noria.serving.batch.entities import BatchOptions, BatchRun, Duplicates, Unfit
from noria.serving.batch.processes import Crew, check_workers
from noria.serving.batch.service import Batches
from noria.serving.batch.sinks.port import settled_output
from noria.serving.batch.slot_entities import Slot

if TYPE_CHECKING:
    from noria.serving.batch.running import Wish

E = TypeVar("E", bound=StrEnum)


def predict(
    ref: str,
    input: str,  # noqa: A002 - the word of the field, and of the command's option
    output: str | None = None,
    *,
    key: Sequence[str] = (),
    keep: Sequence[str] = (),
    probabilities: bool = False,
    append: bool = False,
    duplicates: str = "keep",
    unfit: str = "refuse",
    input_url: str | None = None,
    chunk_rows: int | None = None,
    workers: int = 1,
    once: str | None = None,
    batch: str | None = None,
    slot: str | None = None,
    endpoint: str | None = None,
    retry_s: float = 60.0,
    workspace: Workspace | None = None,
    progress: Callable[[int, int], None] | None = None,
    crew: Crew | None = None,
) -> BatchRun:
    """Predict all rows of an input: exactly one output row for each, also when this is killed and done again.

    Output rows have the number of the input row (`row`, from 0), the columns of `key` and `keep`, the `prediction`
    and the `model_version`. They are written at once, when all are there. What a killed or failed run has done is
    taken when the same is asked for again.

    Parameters
    ----------
    ref
        `churn` (the newest version), `churn@3` or `churn@production`.
    input
        A dataset, a Parquet, CSV, JSON or Arrow file, or a statement of SQL with `input_url`.
    output
        A table of Noria, a Parquet file, or `postgresql://user@host/database#schema.table`. The batch's own when
        left out.
    key
        Columns that name a row.
    duplicates
        `keep` predicts rows with a key in common like all others and counts them, `refuse` writes nothing.
    unfit
        `refuse` writes nothing when a row does not fit the model's signature; `null` gives such rows no prediction.
    workers
        Processes that predict at once; 1 predicts in this one.
    once
        A word for the run, such as the day that it is for: said again after the run ended well, it does nothing.
    batch, slot
        Named batch with two slots, and the one to write to (`blue` or `green`); `output` is its stable name.
    endpoint
        An endpoint of the same model at which up to 5,000 of the rows are captured, so that its monitor and decisions
        look at them; labels find them by the columns of `key`.
    retry_s
        How long a sink that is down is tried again.
    crew
        The processes, where they were started before, as many as `workers`; who started them ends them.

    Raises
    ------
    NotFound
        If there is no such model, version or input.
    Invalid
        If the input does not fit the model; nothing is written.
    Unavailable
        If the sink is down for longer; the predictions are kept.

    Examples
    --------
    >>> import noria, polars as pl, tempfile
    >>> from sklearn.linear_model import LinearRegression
    >>> folder = tempfile.TemporaryDirectory()
    >>> ws = noria.open_workspace(noria.load_settings(workspace=folder.name))
    >>> x, y = [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]
    >>> version = noria.register(LinearRegression().fit(x, y), "line", x=x, y=y, workspace=ws)
    >>> rows = pl.DataFrame({"id": ["a", "b"], "x": [3.0, 4.0]})
    >>> rows.write_csv(f"{folder.name}/in.csv")
    >>> run = noria.predict("line", f"{folder.name}/in.csv", f"{folder.name}/out.parquet", key=["id"], workspace=ws)
    >>> run.n_rows, pl.read_parquet(f"{folder.name}/out.parquet")["prediction"].round(6).to_list()
    (2, [7.0, 9.0])
    >>> ws.close(); folder.cleanup()
    """
    check_workers(workers)
    ws = workspace or current_workspace()
    options = BatchOptions(
        key=tuple(key),
        keep=tuple(keep),
        probabilities=probabilities,
        append=append,
        duplicates=one_of(Duplicates, duplicates, "duplicates"),
        unfit=one_of(Unfit, unfit, "unfit"),
        endpoint=endpoint,
    )
    # They load their libraries and the model while this process does, and while it looks at the input.
    with nullcontext(crew) if crew or workers == 1 else Crew(workers, os.environ) as helpers:
        model = _fetched(ws, ref)
        if helpers is not None:
            helpers.prepare(model)
        from noria.serving.batch.running import run_batch

        wish = _wish(ws, model, input, input_url, output, options, batch, slot)
        wish = replace(wish, chunk_rows=chunk_rows, n_workers=workers, once=once, retry_s=retry_s)
        return run_batch(ws, wish, crew=helpers, progress=progress)


def _fetched(ws: Workspace, ref: str) -> ModelPlace:
    from noria.registry.client import fetch_version

    version = servable(ws.service(Models).resolve(ws.project, ref))
    check_consent(version)
    return ModelPlace(folder=str(fetch_version(ws, version)), version=version)


def _wish(
    ws: Workspace,
    model: ModelPlace,
    source: str,
    input_url: str | None,
    output: str | None,
    options: BatchOptions,
    batch: str | None,
    slot: str | None,
) -> Wish:
    from noria.serving.batch.reading import find_input
    from noria.serving.batch.running import Wish

    if (batch is None) is not (slot is None):
        raise Invalid(
            "A batch and a slot of it go together", hint="Give `--batch NAME --slot blue`, or neither"
        )
    return Wish(
        model=model,
        input=find_input(ws, source, url=input_url),
        output=settled_output(output or _output_of(ws, batch)),
        options=options,
        batch=batch,
        slot=None if slot is None else one_of(Slot, slot, "slot"),
    )


def _output_of(ws: Workspace, batch: str | None) -> str:

    hint = "Give `--output TABLE`, a file that ends in `.parquet`, or `postgresql://…#schema.table`"
    if batch is None:
        raise Invalid("Where the predictions go is missing", hint=hint)
    try:
        return ws.service(Batches).get(ws.project, batch).output
    except NotFound as error:
        raise Invalid(f"The batch `{batch}` is new, and has no output yet", hint=hint) from error


def one_of(kind: type[E], text: str, what: str) -> E:
    """Read a word that is one of few.

    Raises
    ------
    Invalid
        With the words there are.
    """
    try:
        return kind(text)
    except ValueError:
        known = ", ".join(f"`{each}`" for each in kind)
        raise Invalid(f"`{what}` cannot be `{text}`", hint=f"One of {known}") from None
