"""Both slots of a batch held against the truth when it arrives: paired by row, with an always-valid interval.

Each row that both versions predicted and whose truth is known gives one number, by how much the candidate is better on
it. Their mean is the gain. Gains of accuracy lie between -1 and 1, and have the empirical-Bernstein interval of
`noria.core.stats.sequential_means`; gains of absolute errors have no bounds, and the asymptotic one of
`noria.core.stats.sequential_ratios`. Both hold at all times together, so one may compare after each day's truth and
stop when it is decided. Rows that depend on one another are averaged in blocks first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import polars as pl

from noria.core.errors import Conflict, Invalid
from noria.core.stats.sequential_means import Sums, mean_interval
from noria.core.stats.sequential_ratios import unbounded_mean
from noria.core.workspace import Workspace, current_workspace
from noria.data.client import dataset
from noria.registry.entities import Task
from noria.registry.rules import servable
from noria.registry.service import Models
from noria.serving.batch.columns import PREDICTION, ROW
from noria.serving.batch.entities import Batch, BatchRun, Recorded
from noria.serving.batch.names import point_stable
from noria.serving.batch.reading import find_input, read_all
from noria.serving.batch.service import Batches
from noria.serving.batch.sinks.port import is_table
from noria.serving.batch.slot_entities import (
    Comparison,
    Filled,
    Metric,
    NewComparison,
    Slot,
    Verdict,
    slot_output,
)

METHODS = {
    Metric.ACCURACY: "paired empirical-Bernstein confidence sequence",
    Metric.MAE: "paired asymptotic confidence sequence",
}
_LIVE, _CANDIDATE, _TRUTH, _BLOCK = "\0live", "\0candidate", "\0truth", "\0block"


def compare_batch(
    workspace: Workspace,
    name: str,
    truth: str,
    label: str,
    *,
    block: str | None = None,
    alpha: float = 0.05,
    output: str | None = None,
    input_url: str | None = None,
) -> Recorded:
    """Hold both slots of a batch against the truth, record what was found, and switch if the batch's rule says so.

    Parameters
    ----------
    truth
        A dataset, a file or a statement of SQL with the key of rows and their true value.
    label
        Column of the true value.
    block
        Column of the truth whose equal values mark rows that depend on one another, such as a day or a customer.
    alpha
        Chance that the interval misses the true gain at any time at all.
    output
        Stable name with a password that is not on record.

    Raises
    ------
    Conflict
        If a slot holds nothing yet, or the slots are of different inputs.
    Invalid
        If a key stands for several rows, or no row has its truth.
    """
    batches = workspace.service(Batches)
    batch = batches.get(workspace.project, name)
    live, candidate = (_run_of(workspace, batch, slot) for slot in (batch.live, batch.live.other))
    _check_same(live, candidate)
    key = list(live.options.key) or [ROW]
    known = _truth(workspace, truth, input_url, key, label, block)
    pairs = known.join(_held(workspace, batch, batch.live, key, _LIVE, output), on=key, how="inner")
    pairs = pairs.join(
        _held(workspace, batch, batch.live.other, key, _CANDIDATE, output), on=key, how="inner"
    )
    comparison = _compared(workspace, batch, (live, candidate), pairs.drop_nulls(), alpha=alpha, truth=truth)
    recorded = batches.compared(workspace.project, name, NewComparison(comparison=comparison))
    if recorded.switched:
        point_stable(workspace, name, output)
    return recorded


def compare_here(name: str, truth: str, label: str, **more: Any) -> Recorded:
    """Do as `compare_batch` in the workspace that is worked in."""
    return compare_batch(current_workspace(), name, truth, label, **more)


def _run_of(workspace: Workspace, batch: Batch, slot: Slot) -> BatchRun:
    filled = batch.slots.get(slot)
    if filled is None:
        raise Conflict(
            f"Nothing was written to the slot {slot} of `{batch.name}` yet",
            hint=f"Run a version into it: `noria predict {batch.model}@… --batch {batch.name} --slot {slot}`",
        )
    return workspace.service(Batches).run(workspace.project, filled.run_id)


def _check_same(live: BatchRun, candidate: BatchRun) -> None:
    if live.options.key != candidate.options.key:
        raise Conflict("The slots name their rows by different keys", hint="Run both with the same `--key`")
    if live.input_digest != candidate.input_digest or live.input != candidate.input:
        raise Conflict(
            f"The slots hold predictions of different inputs: {_input(live)} and {_input(candidate)}",
            hint="Run both versions on the same input",
        )


def _input(run: BatchRun) -> str:
    return f"`{run.input}`" + (f" ({run.input_digest[:20]}…)" if run.input_digest else "")


def _truth(
    workspace: Workspace, truth: str, url: str | None, key: list[str], label: str, block: str | None
) -> pl.DataFrame:
    found = read_all(workspace, find_input(workspace, truth, url=url))
    schema = found.collect_schema()
    for column in [*key, label, *([block] if block else [])]:
        if column not in schema:
            raise Invalid(
                f"The truth `{truth}` has no column `{column}`", hint=f"Its columns: {', '.join(schema)}"
            )
    columns = [*key, pl.col(label).alias(_TRUTH)]
    columns += [pl.col(block).alias(_BLOCK)] if block else []
    frame = found.select(columns).drop_nulls().collect()
    _check_unique(frame, key, f"the truth `{truth}`")
    return frame


def _held(
    workspace: Workspace, batch: Batch, slot: Slot, key: list[str], name: str, output: str | None
) -> pl.DataFrame:
    filled: Filled = batch.slots[slot]
    columns = [*key, PREDICTION]
    if is_table(batch.output):
        frame = dataset(filled.written, workspace=workspace).polars(columns=columns)
    elif "://" in batch.output:
        from noria.serving.batch.sinks.postgres import PostgresSink

        frame = PostgresSink(slot_output(output or batch.output, slot)).read(columns)
    else:
        frame = pl.read_parquet(filled.written, columns=columns, glob=False)
    _check_unique(frame, key, f"the slot {slot}")
    return frame.rename({PREDICTION: name})


def _check_unique(frame: pl.DataFrame, key: list[str], what: str) -> None:
    n_more = frame.height - frame.select(pl.struct(key).n_unique()).item() if frame.height else 0
    if n_more:
        raise Invalid(
            f"{n_more} rows of {what} have a key that an earlier one has: {', '.join(key)}",
            hint="Name rows by columns that are one row each with `--key`",
        )


def _compared(
    workspace: Workspace,
    batch: Batch,
    runs: tuple[BatchRun, BatchRun],
    pairs: pl.DataFrame,
    *,
    alpha: float,
    truth: str,
) -> Comparison:
    if not 0 < alpha < 1:
        raise Invalid(f"`alpha` cannot be {alpha}", hint="Give a number between 0 and 1, such as 0.05")
    if not pairs.height:
        raise Invalid(
            f"No row of `{batch.name}` has its truth in `{truth}`", hint="Do the keys have the same form?"
        )
    live, candidate = runs
    version = servable(workspace.service(Models).version(workspace.project, live.model, live.version))
    metric = Metric.ACCURACY if version.task is Task.CLASSIFICATION else Metric.MAE
    scored = scores(pairs, metric)
    means = [float(scored.get_column(column).mean() or 0.0) for column in (_LIVE, _CANDIDATE)]  # type: ignore[arg-type]
    gains = gains_of(scored, metric)
    gain, low, high = gain_interval(gains, metric, alpha)
    return Comparison(
        metric=metric,
        live=batch.live,
        live_run=live.id,
        candidate_run=candidate.id,
        live_version=live.version,
        candidate_version=candidate.version,
        n_pairs=pairs.height,
        n_blocks=len(gains),
        n_without_truth=(live.n_rows or 0) - pairs.height,
        live_value=means[0],
        candidate_value=means[1],
        gain=gain,
        gain_low=low,
        gain_high=high,
        level=1 - alpha,
        method=METHODS[metric],
        verdict=verdict_of(low, high),
        truth=truth,
    )


def scores(pairs: pl.DataFrame, metric: Metric) -> pl.DataFrame:
    """Give the score of each row for both versions: 1 or 0 for a label, or the absolute error."""
    if metric is Metric.MAE:
        truth = pl.col(_TRUTH).cast(pl.Float64)
        found = [(pl.col(name).cast(pl.Float64) - truth).abs() for name in (_LIVE, _CANDIDATE)]
    else:
        kinds = [pairs.schema[name] for name in (_LIVE, _CANDIDATE, _TRUTH)]
        alike = pl.Float64 if all(kind.is_numeric() or kind == pl.Boolean for kind in kinds) else pl.String
        truth = pl.col(_TRUTH).cast(alike)
        found = [(pl.col(name).cast(alike) == truth).cast(pl.Float64) for name in (_LIVE, _CANDIDATE)]
    kept = [_BLOCK] if _BLOCK in pairs.columns else []
    return pairs.select(*found, *kept)


def gains_of(scored: pl.DataFrame, metric: Metric) -> list[float]:
    """Give by how much the candidate is better: on each row, or on average of each block."""
    sign = 1.0 if metric.larger_is_better else -1.0
    gain = (sign * (pl.col(_CANDIDATE) - pl.col(_LIVE))).alias("gain")
    if _BLOCK in scored.columns:
        found = scored.group_by(_BLOCK, maintain_order=True).agg(gain.mean())
    else:
        found = scored.select(gain)
    gains: list[float] = found.get_column("gain").to_list()
    return gains


def gain_interval(
    gains: Sequence[float], metric: Metric, alpha: float
) -> tuple[float, float | None, float | None]:
    """Give the mean gain with its always-valid interval; None for a bound that nothing is known of yet."""
    sums = Sums(float(len(gains)), math.fsum(gains), math.fsum(gain * gain for gain in gains))
    if metric is Metric.ACCURACY:
        low, high = mean_interval(sums, alpha, low=-1.0, high=1.0)
    else:
        low, high = unbounded_mean(sums, alpha)
    return sums.mean, _finite(low), _finite(high)


def verdict_of(low: float | None, high: float | None) -> Verdict:
    """Tell what an interval of a gain says."""
    if low is not None and low > 0:
        return Verdict.BETTER
    return Verdict.WORSE if high is not None and high < 0 else Verdict.UNDECIDED


def _finite(value: float) -> Any:
    return value if math.isfinite(value) else None
