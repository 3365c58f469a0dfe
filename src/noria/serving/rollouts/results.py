"""What is kept of a step when it ends: its gates, and how both versions fared."""

from __future__ import annotations

import sqlalchemy as sa

from noria.core.context import Context
from noria.serving.counts import read_counts
from noria.serving.entities import StepResult, VersionFigures
from noria.serving.gate_rules import GateResult, Verdict
from noria.serving.predictions import StatsTable, VersionStats
from noria.serving.rollouts.progress import pair_figures
from noria.serving.rollouts.sight import StoredRollout, pairs_since
from noria.serving.rollouts.steps import answered, mirrored


def step_result(
    connection: sa.Connection,
    context: Context,
    stored: StoredRollout,
    results: list[GateResult],
    verdict: Verdict,
) -> StepResult:
    """Give the result of the present step, which ends now."""
    rollout = stored.rollout
    counted = StatsTable(items=read_counts(connection, stored.endpoint_pk, stored.step_endpoint_revision))
    new = counted.of(rollout.to_version)
    return StepResult(
        step=rollout.step,
        weight=answered(rollout, rollout.step),
        mirrored=mirrored(rollout, rollout.step),
        started_at=rollout.step_started_at,
        ended_at=context.clock.now(),
        verdict=verdict,
        n_requests=new.n_requests,
        results=results,
        new=_figures(new),
        old=None if rollout.from_version is None else _figures(counted.of(rollout.from_version)),
        pairs=pair_figures(rollout, pairs_since(connection, stored)),
    )


def _figures(stats: VersionStats) -> VersionFigures:
    return VersionFigures(
        version=stats.version,
        n_requests=stats.n_requests,
        n_errors=stats.n_errors,
        mean_latency_ms=stats.mean_latency_ms,
        p95_latency_ms=stats.latency_quantile_ms(0.95),
        p99_latency_ms=stats.latency_quantile_ms(0.99),
        n_labelled=stats.n_labelled,
        accuracy=stats.accuracy,
        mean_absolute_error=stats.abs_error_sum / stats.n_measured if stats.n_measured else None,
    )
