"""Reports of forecasts and of models without a target, as text on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from noria.core.console.output import table

if TYPE_CHECKING:
    from noria.monitoring.tasks.entities import ForecastErrors, ForecastReport, UnsupervisedReport

_SHOWN: Final = 30
_HEADINGS: Final = ["rows", "MAE", "naive MAE", "relative", "MASE", "RMSSE", "pinball", "coverage"]


def forecast_parts(found: ForecastReport, *, all_rows: bool = False) -> Iterator[Any]:
    """Lay out errors by horizon and by time."""
    most = None if all_rows else _SHOWN
    yield (
        f"Forecasts: {found.n_labelled} of {found.n_rows} have a value; season of {found.season} steps, "
        + (f"scaled by {found.scale:.4g} ({found.scale_from} rows)" if found.scale else "no scale is known")
    )
    if found.overall is None:
        return
    horizons = [(each.horizon, *_row(each.errors)) for each in found.horizons[:most]]
    yield table(["steps ahead", *_HEADINGS], [*horizons, ("all", *_row(found.overall))])
    if len(found.windows) > 1:
        windows = [(each.start, each.end, *_row(each.errors)) for each in found.windows[:most]]
        yield table(["from", "to", *_HEADINGS], windows)


def unsupervised_parts(found: UnsupervisedReport) -> Iterator[Any]:
    """Lay out shares of clusters or scores, windows that differ, and distances."""
    if found.answers is not None:
        heading = "cluster" if found.answers == "clusters" else "score"
        rows = [(share.label, f"{share.reference:.1%}", f"{share.current:.1%}") for share in found.shares]
        yield table([heading, "reference", "now"], rows)
        differing = [window for window in found.windows if window.differs]
        yield f"{len(differing)} of {len(found.windows)} windows differ from the reference"
        for window in differing[:_SHOWN]:
            yield f"{window.start} to {window.end}: {window.n_rows} rows, p adjusted {window.adjusted_p_value:.2g}"
    if found.distances is not None:
        far = found.distances
        yield (
            f"Distance to the nearest reference rows: median {far.median_current:.3g} (reference "
            f"{far.median_reference:.3g}), 95% quantile {far.high_current:.3g} ({far.high_reference:.3g}); "
            f"{far.far_share:.1%} of {far.n_rows} rows are far (5% expected), p {far.p_value:.2g}"
        )


def _row(errors: ForecastErrors) -> tuple[object, ...]:
    covered = None
    if errors.coverage is not None:
        covered = f"{errors.coverage:.1%} ({errors.coverage_low:.1%} to {errors.coverage_high:.1%})"
    return (
        errors.n,
        _number(errors.mae),
        _number(errors.naive_mae),
        _number(errors.relative_mae),
        _number(errors.mase),
        _number(errors.rmsse),
        " ".join(f"{loss:.3g}" for loss in errors.pinball) or None,
        covered,
    )


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.4g}"
