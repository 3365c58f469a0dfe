"""A batch run from its input to its sink, in this process; recorded as it goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import polars as pl
from blake3 import blake3

from noria.core.errors import ErrorBody, Invalid, NoriaError, Unavailable
from noria.core.serialisation import to_builtins, to_json
from noria.core.workspace import Workspace
from noria.registry.entities import ServableVersion
from noria.registry.runtimes.port import load_model
from noria.serving.batch.capturing import capture_rows
from noria.serving.batch.child import ModelPlace
from noria.serving.batch.chunks import ChunkMaker, Work, chunk_path, chunk_paths, kept_chunks
from noria.serving.batch.columns import PREDICTION, bind, check_probabilities
from noria.serving.batch.entities import (
    BatchEnd,
    BatchOptions,
    BatchProgress,
    BatchRun,
    BatchStatus,
    Duplicates,
    NewBatchRun,
    chunk_rows_of,
)
from noria.serving.batch.names import point_stable
from noria.serving.batch.processes import Crew
from noria.serving.batch.reading import Input, count_duplicates, stage_input
from noria.serving.batch.service import Batches
from noria.serving.batch.sinks.port import Sink, open_sink
from noria.serving.batch.slot_entities import Slot, slot_output
from noria.serving.batch.stage import clear_stage, drop_older, forget_stages, held_stage, stage_root

TELL_EVERY_S = 2.0
_INPUT_HOLDS_S = 86_400.0
"""An answer of a database that was read longer ago than this is asked for anew."""

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 15.0

Progress = Callable[[int, int], None]
"""Told how many rows are done, of how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be done.

    Attributes
    ----------
    output
        Where rows go; with a slot, the stable name.
    retry_s
        How long a sink that is down is tried again.
    """

    model: ModelPlace
    input: Input
    output: str
    options: BatchOptions
    chunk_rows: int | None = None
    n_workers: int = 1
    once: str | None = None
    batch: str | None = None
    slot: Slot | None = None
    retry_s: float = 60.0

    @property
    def version(self) -> ServableVersion:
        """Which predicts."""
        return self.model.version

    @property
    def place(self) -> str:
        """Where rows go in the end."""
        return self.output if self.slot is None else slot_output(self.output, self.slot)


def run_batch(
    workspace: Workspace, wish: Wish, *, crew: Crew | None = None, progress: Progress | None = None
) -> BatchRun:
    """Predict all rows of an input, and write them to their sink once.

    An unfinished run of the same rows to the same place is gone on with.

    Parameters
    ----------
    crew
        Makes the chunks; this process does when it is left out.

    Raises
    ------
    Locked
        If another process is at the same run.
    NoriaError
        What the input, the model or the sink is refused for; the run is kept as failed, and can be gone on with.
    """
    if wish.options.probabilities:
        check_probabilities(wish.version)
    sink = open_sink(workspace, wish.place)
    batches = workspace.service(Batches)
    root = stage_root(workspace.settings)
    forget_stages(root)
    begun = batches.begin(workspace.project, _described(wish, sink))
    if begun.status is BatchStatus.SUCCEEDED:
        return begun  # the word in `once` was said before
    with held_stage(root, begun.id) as folder:
        run = batches.attempt(workspace.project, begun.id)
        try:
            ended = _Attempt(workspace, wish, run, folder, sink, crew, progress).make()
        except BaseException as error:
            body = error.to_body() if isinstance(error, NoriaError) else _interrupted(error)
            batches.finish(workspace.project, run.id, BatchEnd(attempt=run.attempt, error=body))
            raise
        done = batches.finish(workspace.project, run.id, ended)
        clear_stage(folder)
    if wish.batch is not None:
        point_stable(workspace, wish.batch, wish.output)
    return done


def _described(wish: Wish, sink: Sink) -> NewBatchRun:
    # An option that is left out says nothing, so that a run that was begun before there was one is the same run.
    options = {name: value for name, value in to_builtins(wish.options).items() if value is not None}
    given = {
        "version": wish.version.digest,
        "ref": wish.version.ref,
        "input": wish.input.name,
        "digest": wish.input.digest,
        "output": sink.name,
        "options": options,
        "batch": wish.batch,
        "once": wish.once,
    }
    return NewBatchRun(
        model=wish.version.model,
        version=wish.version.version,
        identity=blake3(to_json(given)).hexdigest(),
        input=wish.input.name,
        input_digest=wish.input.digest,
        output=sink.name,
        options=wish.options,
        once=wish.once,
        batch=wish.batch,
        slot=wish.slot,
    )


class _Attempt:
    """One attempt at a run."""

    def __init__(
        self,
        workspace: Workspace,
        wish: Wish,
        run: BatchRun,
        folder: Path,
        sink: Sink,
        crew: Crew | None,
        progress: Progress | None,
    ) -> None:
        self._workspace = workspace
        self._wish = wish
        self._run = run
        self._folder = folder
        self._sink = sink
        self._crew = crew
        self._progress = progress
        self._told_at = workspace.clock.monotonic()
        self._state = BatchProgress(attempt=run.attempt, n_workers=wish.n_workers)

    def make(self) -> BatchEnd:
        """Predict what is not kept yet, and write all of it."""
        work, n_duplicates = self._prepared()
        kept = kept_chunks(work)
        self._state = BatchProgress(
            attempt=self._run.attempt,
            n_rows=work.rows.n_rows,
            n_done=sum(stop - start for start, stop in map(work.bounds, kept)),
            n_duplicates=n_duplicates,
            chunk_rows=work.chunk_rows,
            n_workers=self._wish.n_workers,
        )
        self._tell(0, always=True)
        began = self._workspace.clock.monotonic()
        self._predict(work, sorted(set(range(work.n_chunks)) - kept))
        predict_s = self._workspace.clock.monotonic() - began
        self._tell(0, always=True)
        written = self._written(work)
        if work.options.endpoint is not None:
            capture_rows(self._workspace, self._run, work)
        return BatchEnd(
            attempt=self._run.attempt,
            n_rows=work.rows.n_rows,
            n_unfit=_n_unfit(work),
            predict_s=predict_s,
            written=written,
        )

    def _prepared(self) -> tuple[Work, int | None]:
        wish = self._wish
        if wish.input.digest is None and wish.once is None:
            drop_older(self._folder, _INPUT_HOLDS_S)
        rows, schema = stage_input(self._workspace, wish.input, self._folder)
        bindings = bind(wish.version.signature, schema, wish.options.copied)
        n_duplicates = self._duplicates(rows) if wish.options.key else None
        asked = self._run.chunk_rows or wish.chunk_rows
        width = 16 * sum(_width(schema[name]) for binding in bindings for name in binding.columns)
        work = Work(
            folder=str(self._folder),
            version=wish.version,
            rows=rows,
            bindings=bindings,
            options=wish.options,
            chunk_rows=chunk_rows_of(asked, width, rows.n_rows, wish.n_workers),
        )
        return work, n_duplicates

    def _duplicates(self, rows: object) -> int:
        options = self._wish.options
        n_duplicates, shown = count_duplicates(rows, options.key)  # type: ignore[arg-type]
        if n_duplicates and options.duplicates is Duplicates.REFUSE:
            listed = "; ".join(", ".join(f"{k} = {v}" for k, v in each.items()) for each in shown)
            raise Invalid(
                f"{n_duplicates} rows of the input have a key that an earlier row has: {listed}",
                hint="Take them out, or leave `--duplicates refuse` out: `row` tells their predictions apart",
            )
        return n_duplicates

    def _predict(self, work: Work, chunks: list[int]) -> None:
        if not chunks:
            return
        if self._crew is None:
            maker = ChunkMaker(work, load_model(Path(self._wish.model.folder), work.version, fast=True))
            engine: str | None = maker.engine
            for chunk in chunks:
                self._tell(maker.make(chunk))
        else:
            engine = self._crew.make(self._wish.model, work, chunks, self._tell)
        self._change(engine=engine)

    def _written(self, work: Work) -> str:
        """Write to the sink; one that does not answer is tried again for a while, and takes nothing twice."""
        clock, pause_s = self._workspace.clock, _FIRST_PAUSE_S
        until = clock.monotonic() + self._wish.retry_s
        while True:
            try:
                return self._sink.write(self._run.id, chunk_paths(work), append=self._wish.options.append)
            except Unavailable as error:
                if clock.monotonic() + pause_s > until:
                    error.hint = "The predictions are kept: run the same again, and only the rest is done"
                    raise
                clock.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _change(self, **values: object) -> None:
        self._state = msgspec.structs.replace(self._state, **values)

    def _tell(self, n_rows: int, *, always: bool = False) -> None:
        """Take note of rows that were made; now and then the workspace hears of it."""
        self._change(n_done=self._state.n_done + n_rows)
        if self._progress is not None:
            self._progress(self._state.n_done, self._state.n_rows or 0)
        now = self._workspace.clock.monotonic()
        if always or now - self._told_at >= TELL_EVERY_S:
            self._told_at = now
            self._workspace.service(Batches).note(self._workspace.project, self._run.id, self._state)


def _width(kind: pl.DataType) -> int:
    return kind.shape[0] if isinstance(kind, pl.Array) else 1


def _n_unfit(work: Work) -> int:
    nulls = pl.scan_parquet([chunk_path(Path(work.folder), n) for n in range(work.n_chunks)], glob=False)
    return int(nulls.select(pl.col(PREDICTION).is_null().sum()).collect().item())


def _interrupted(error: BaseException) -> ErrorBody:
    told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return ErrorBody(
        code="failed", message=f"The run was broken off: {told}", hint="Run the same again to go on"
    )
