"""The pages of batches: named ones with their slots and what compared them, and batch runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from noria.core.web.drawings import Interval, scale_over
from noria.core.web.formats import clipped
from noria.core.web.languages import mark
from noria.core.web.lists import ListContext, keyset_pager
from noria.core.web.pages import Crumb, Page, Visit
from noria.core.web.parts import Column, Pager, Sign
from noria.core.web.urls import BATCH_PATH, BATCHES_PATH
from noria.serving.batch.entities import Batch, BatchRun, BatchStatus
from noria.serving.batch.permissions import READ_BATCHES
from noria.serving.batch.service import Batches
from noria.serving.batch.slot_entities import Comparison, Filled, Metric, Slot, Verdict

BATCHES_WORDS = mark("Batches")
RUNS_PER_PAGE: Final = 50
_LONG: Final = 200

RUN_SIGNS = {
    BatchStatus.RUNNING: Sign("busy", "…", mark("running")),
    BatchStatus.SUCCEEDED: Sign("good", "✓", mark("succeeded")),
    BatchStatus.FAILED: Sign("bad", "✕", mark("failed")),
}
VERDICT_SIGNS = {
    Verdict.BETTER: Sign("good", "✓", mark("the candidate is better")),
    Verdict.WORSE: Sign("bad", "✕", mark("the candidate is worse")),
    Verdict.UNDECIDED: Sign("busy", "…", mark("undecided")),
}
METRIC_WORDS = {Metric.ACCURACY: mark("Accuracy"), Metric.MAE: mark("Mean absolute error")}


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRow:
    """A slot of a named batch.

    Attributes
    ----------
    name
        `blue` or `green`.
    is_live
        Whether consumers read it under the stable name.
    version, version_url
        What predicted its rows; None for an empty slot.
    written
        What holds its rows.
    """

    name: str
    is_live: bool
    version: int | None
    version_url: str
    written: str
    n_rows: int
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonView:
    """What a comparison found.

    Attributes
    ----------
    sign, metric
        What it says, and by which figure, in words to be translated.
    place, zero
        The interval of the gain on a scale, and where no gain stands; None without an interval.
    """

    sign: Sign
    metric: str
    found: Comparison
    place: Interval | None
    zero: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRow:
    """A named batch in the list.

    Attributes
    ----------
    batch, url
        As it is on record, and its page.
    slots
        Both slots.
    sign
        What its last comparison says; None before the first.
    """

    batch: Batch
    url: str
    slots: tuple[SlotRow, ...]
    sign: Sign | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A batch run in a list.

    Attributes
    ----------
    run, sign
        As it is on record, and how it stands.
    version_url, batch_url
        Pages of its version and of its batch, if it has one.
    input, output, error
        What it read and wrote, and why it failed; clipped.
    duration_s
        From its first attempt to its end, or to its last sign of life.
    """

    run: BatchRun
    sign: Sign
    version_url: str
    batch_url: str
    input: str
    output: str
    error: str
    duration_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchesContext(ListContext):
    """What the list shows.

    Attributes
    ----------
    named_columns, batches
        Named batches, all of them.
    runs
        Batch runs, newest first.
    """

    named_columns: tuple[Column, ...]
    batches: tuple[BatchRow, ...]
    runs: tuple[RunRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchContext(ListContext):
    """What the page of a named batch shows.

    Attributes
    ----------
    batch
        As it is on record.
    slot_columns, slots
        Both slots.
    comparison
        The last one; None before the first.
    runs
        Its batch runs, newest first.
    """

    batch: Batch
    slot_columns: tuple[Column, ...]
    slots: tuple[SlotRow, ...]
    comparison: ComparisonView | None
    runs: tuple[RunRow, ...]


def batches_page(visit: Visit) -> BatchesContext:
    """List named batches and batch runs."""
    project, before = visit.parameters["project"], visit.parameters.get("before")
    service = visit.context.service(Batches)
    page = service.runs(project, limit=RUNS_PER_PAGE, before=before)
    named = () if before else tuple(_batch_row(visit, project, each) for each in service.list(project).items)
    return BatchesContext(
        live=True,
        trail=(Crumb(text=BATCHES_WORDS, is_ours=True),),
        now=visit.context.clock.now(),
        named_columns=_NAMED_COLUMNS,
        batches=named,
        columns=_RUN_COLUMNS,
        runs=tuple(_run_row(visit, project, run) for run in page.items),
        pager=_pager(visit.urls.batches(project), before, page.next, len(page.items)),
    )


def batch_page(visit: Visit) -> BatchContext:
    """Show a named batch: what each slot holds, how they compare, and its runs."""
    project, name = visit.parameters["project"], visit.parameters["batch"]
    before, service = visit.parameters.get("before"), visit.context.service(Batches)
    batch = service.get(project, name)
    page = service.runs(project, batch=name, limit=RUNS_PER_PAGE, before=before)
    return BatchContext(
        live=True,
        trail=(
            Crumb(text=BATCHES_WORDS, url=visit.urls.batches(project), is_ours=True),
            Crumb(text=name),
        ),
        now=visit.context.clock.now(),
        batch=batch,
        slot_columns=_SLOT_COLUMNS,
        slots=_slots(visit, project, batch),
        comparison=None if batch.comparison is None else comparison_view(batch.comparison),
        columns=_RUN_COLUMNS,
        runs=tuple(_run_row(visit, project, run) for run in page.items),
        pager=_pager(visit.urls.batch(project, name), before, page.next, len(page.items)),
    )


def comparison_view(found: Comparison) -> ComparisonView:
    """Give what a comparison found, its interval drawn when both ends are known."""
    place = zero = None
    if found.gain_low is not None and found.gain_high is not None:
        scale = scale_over([found.gain_low, found.gain_high, found.gain, 0.0])
        place = scale.interval(found.gain, found.gain_low, found.gain_high)
        zero = scale.place(0.0)
    return ComparisonView(
        sign=VERDICT_SIGNS[found.verdict],
        metric=METRIC_WORDS[found.metric],
        found=found,
        place=place,
        zero=zero,
    )


def _pager(address: str, before: str | None, following: str | None, n_shown: int) -> Pager:
    return keyset_pager(
        lambda key: f"{address}?before={key}" if key else address,
        here=before,
        following=following,
        n_shown=n_shown,
    )


def _batch_row(visit: Visit, project: str, batch: Batch) -> BatchRow:
    return BatchRow(
        batch=batch,
        url=visit.urls.batch(project, batch.name),
        slots=_slots(visit, project, batch),
        sign=VERDICT_SIGNS[batch.comparison.verdict] if batch.comparison else None,
    )


def _slots(visit: Visit, project: str, batch: Batch) -> tuple[SlotRow, ...]:
    return tuple(_slot_row(visit, project, batch, slot, batch.slots.get(slot)) for slot in Slot)


def _slot_row(visit: Visit, project: str, batch: Batch, slot: Slot, held: Filled | None) -> SlotRow:
    return SlotRow(
        name=slot.value,
        is_live=slot is batch.live,
        version=None if held is None else held.version,
        version_url="" if held is None else visit.urls.version(project, batch.model, held.version),
        written="" if held is None else clipped(held.written, _LONG),
        n_rows=0 if held is None else held.n_rows,
        at=None if held is None else held.at,
    )


def _run_row(visit: Visit, project: str, run: BatchRun) -> RunRow:
    ended = run.ended_at or run.updated_at
    return RunRow(
        run=run,
        sign=RUN_SIGNS[run.status],
        version_url=visit.urls.version(project, run.model, run.version),
        batch_url="" if run.batch is None else visit.urls.batch(project, run.batch),
        input=clipped(run.input, _LONG),
        output=clipped(run.written or run.output, _LONG),
        error="" if run.error is None else clipped(run.error.message, _LONG),
        duration_s=(ended - run.created_at).total_seconds(),
    )


_STATE = mark("State")
_ROWS = mark("Rows")
_VERSION = mark("Version")

_NAMED_COLUMNS = (
    Column(key="batch", words=mark("Batch")),
    Column(key="live", words=mark("Live")),
    Column(key="candidate", words=mark("Candidate")),
    Column(key="compared", words=mark("By the truth")),
    Column(key="switched", words=mark("Switched")),
)
_SLOT_COLUMNS = (
    Column(key="slot", words=mark("Slot")),
    Column(key="version", words=_VERSION),
    Column(key="rows", words=_ROWS, is_number=True),
    Column(key="held", words=mark("Held by")),
    Column(key="at", words=mark("Written")),
)
_RUN_COLUMNS = (
    Column(key="at", words=mark("When")),
    Column(key="state", words=_STATE),
    Column(key="version", words=_VERSION),
    Column(key="rows", words=_ROWS, is_number=True),
    Column(key="input", words=mark("Input")),
    Column(key="output", words=mark("Output")),
    Column(key="duration", words=mark("Duration"), is_number=True),
)

PAGES = (
    Page(
        path=BATCHES_PATH,
        needs=READ_BATCHES,
        template="noria.serving/batches.html",
        build=batches_page,
        query=("before",),
    ),
    Page(
        path=BATCH_PATH,
        needs=READ_BATCHES,
        template="noria.serving/batch.html",
        build=batch_page,
        query=("before",),
    ),
)
