"""Batch runs, named batches with their two slots, and the pure rules on both."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated

import msgspec

from noria.core.errors import ErrorBody, Invalid
from noria.serving.batch.slot_entities import Comparison, Filled, Rule, Slot

MAX_WORKERS = 64
MAX_CHUNK_ROWS = 100_000
"""As many rows as a signature is held to at once."""

DEFAULT_CHUNK_ROWS = 50_000
_FEWEST_SHARED = 1_000
_CHUNKS_EACH = 16
CHUNK_BYTES = 64 << 20
"""About how much input a chunk holds at most; rows that are wide make shorter chunks."""

Text = Annotated[str, msgspec.Meta(max_length=10_000)]
Once = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Count = Annotated[int, msgspec.Meta(ge=0)]


class Duplicates(enum.StrEnum):
    """What becomes of input rows that have a key in common."""

    KEEP = "keep"
    REFUSE = "refuse"


class Unfit(enum.StrEnum):
    """What becomes of an input row that does not fit the model's signature."""

    REFUSE = "refuse"
    NULL = "null"


class BatchStatus(enum.StrEnum):
    """Where a batch run stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class BatchOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What decides the output rows of a batch run.

    Attributes
    ----------
    key
        Columns that name an input row; they are copied to the output.
    keep
        Further columns to copy.
    probabilities
        Whether a classifier's probabilities are written, a column for each class.
    append
        Whether rows are put behind those that the output has, rather than in their place.
    endpoint
        Where a sample of the rows is captured, to be watched and labelled there.
    """

    key: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    probabilities: bool = False
    append: bool = False
    duplicates: Duplicates = Duplicates.KEEP
    unfit: Unfit = Unfit.REFUSE
    endpoint: str | None = None

    @property
    def copied(self) -> tuple[str, ...]:
        """Input columns that stand in the output, each once."""
        return tuple(dict.fromkeys((*self.key, *self.keep)))


class NewBatchRun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A batch run to begin, or to go on with.

    Attributes
    ----------
    identity
        Digest of all that decides the rows and where they go: an unfinished run of the same is gone on with.
    once
        A word for the run, such as the day that it is for: a second run with it is the first one.
    input, output
        As they were named, without passwords.
    input_digest
        Of the input's content; None where only reading it tells.
    batch, slot
        The named batch that it writes to, and which of its places.
    """

    model: str
    version: int
    identity: str
    input: Text
    output: Text
    options: BatchOptions
    input_digest: str | None = None
    once: Once | None = None
    batch: str | None = None
    slot: Slot | None = None


class BatchProgress(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far an attempt at a batch run has come.

    Attributes
    ----------
    n_rows
        Of the input; None while that is not known.
    n_done
        Rows that are predicted and kept.
    n_duplicates
        Input rows whose key an earlier row has; None where no key is named.
    """

    attempt: int
    n_rows: Count | None = None
    n_done: Count = 0
    n_duplicates: Count | None = None
    chunk_rows: int | None = None
    n_workers: int = 1
    engine: str | None = None


class BatchEnd(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an attempt at a batch run ended.

    Attributes
    ----------
    written
        Reference of what holds the rows: `scores@3`, a path, a table.
    n_unfit
        Rows without a prediction, since they do not fit the signature.
    predict_s
        Seconds of the attempt from the first chunk to the last.
    error
        None when it succeeded.
    """

    attempt: int
    n_rows: Count = 0
    n_unfit: Count = 0
    predict_s: float = 0.0
    written: str | None = None
    error: ErrorBody | None = None


class BatchRun(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of an input put through a version.

    Attributes
    ----------
    attempt
        How often it was begun; a later attempt takes what the ones before kept.
    updated_at
        The last sign of life.
    """

    id: str
    project: str
    model: str
    version: int
    batch: str | None
    slot: Slot | None
    status: BatchStatus
    input: str
    input_digest: str | None
    output: str
    options: BatchOptions
    once: str | None
    attempt: int
    n_rows: int | None
    n_done: int
    n_unfit: int
    n_duplicates: int | None
    chunk_rows: int | None
    n_workers: int
    engine: str | None
    predict_s: float | None
    written: str | None
    error: ErrorBody | None
    started_by: str
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None

    @property
    def ref(self) -> str:
        """`model@version`."""
        return f"{self.model}@{self.version}"

    @property
    def rows_per_s(self) -> float | None:
        """Rows a second of a run of one attempt; None where that cannot be told."""
        return self.n_done / self.predict_s if self.predict_s and self.attempt == 1 else None


class BatchRunPage(msgspec.Struct, frozen=True, kw_only=True):
    """Batch runs, newest first; `next` continues after them, or is None at the end."""

    items: list[BatchRun]
    next: str | None


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison that was recorded, and whether the rule switched by it."""

    batch: Batch
    switched: bool


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A stable name for predictions, with two slots of which one is live.

    Attributes
    ----------
    output
        The stable name: a table of Noria, a Parquet file, or a table of PostgreSQL.
    live
        The slot that consumers read under the stable name.
    pointed
        The slot that the name of a file or of a table elsewhere was last pointed to; None for a table of Noria, whose
        name moves with the switch.
    slots
        What each slot holds.
    revision
        Counts switches and runs.
    """

    id: str
    project: str
    name: str
    model: str
    output: str
    live: Slot
    pointed: Slot | None
    slots: dict[Slot, Filled]
    comparison: Comparison | None
    rule: Rule | None
    revision: int
    created_at: datetime
    switched_at: datetime | None
    switched_by: str | None
    reason: str | None


class BatchPage(msgspec.Struct, frozen=True, kw_only=True):
    """Named batches, by name."""

    items: list[Batch]


class SwitchBatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A switch of what is live.

    Attributes
    ----------
    to
        The slot to make live; the other one when left out.
    """

    to: Slot | None = None
    reason: Text = ""


class Pointed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The slot that a stable name outside the workspace was pointed to."""

    slot: Slot


def chunk_rows_of(asked: int | None, row_bytes: int, n_rows: int, n_workers: int) -> int:
    """Give how many rows a chunk holds: few enough that every process has many, where there are many rows.

    At the end of a run processes are without work for half the time of a chunk, on average.

    Examples
    --------
    >>> chunk_rows_of(None, 240, 10**6, 2), chunk_rows_of(None, 64 << 20, 10**6, 1), chunk_rows_of(100, 240, 10**6, 2)
    (31250, 1, 100)
    >>> chunk_rows_of(None, 240, 80_000, 2), chunk_rows_of(None, 240, 80_000, 1), chunk_rows_of(None, 240, 90, 2)
    (2500, 50000, 1000)
    """
    if asked is not None:
        if not 1 <= asked <= MAX_CHUNK_ROWS:
            raise Invalid(f"A chunk cannot hold {asked} rows", hint=f"Give 1 to {MAX_CHUNK_ROWS}")
        return asked
    shared = (
        DEFAULT_CHUNK_ROWS
        if n_workers == 1
        else max(_FEWEST_SHARED, -(-n_rows // (_CHUNKS_EACH * n_workers)))
    )
    return max(1, min(DEFAULT_CHUNK_ROWS, shared, CHUNK_BYTES // max(1, row_bytes)))


def bounds_of(chunk: int, chunk_rows: int, n_rows: int) -> tuple[int, int]:
    """Give the first row of a chunk, and the one behind its last.

    Examples
    --------
    >>> bounds_of(2, 10, 25)
    (20, 25)
    """
    return chunk * chunk_rows, min((chunk + 1) * chunk_rows, n_rows)
