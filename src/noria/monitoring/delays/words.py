"""The delays of labels as text on a terminal."""

from __future__ import annotations

from typing import Any

from noria.core.console.output import table
from noria.monitoring.delays.entities import AnswerQuality, DelayReport
from noria.monitoring.delays.reporting import lasting


def delay_facts(found: DelayReport) -> list[tuple[str, Any]]:
    """Give what is known of the delays as pairs."""
    if found.lacks is not None or found.median_s is None or found.high_s is None:
        return [("delay of labels", found.lacks)] if found.n_labels else []
    delays = f"half within {lasting(found.median_s)}, 95 of 100 within {lasting(found.high_s)}"
    share = found.early_expected
    told = None if share is None else f"{found.n_early} rows, of whose labels {share:.0%} are expected by now"
    rate = None if found.label_share is None else f"{found.label_share:.0%} of the rows in the end"
    return [("labels come", delays), ("labels come for", rate), ("early answers", told)]


def delay_table(found: DelayReport) -> Any:
    """Lay out answers by when they were given, newest first."""
    columns = ["from", "to", "rows", "labels", "expected by now", "quality so far", ""]
    return table(columns, [_row(each) for each in reversed(found.answers)])


def _row(each: AnswerQuality) -> tuple[object, ...]:
    quality = None if each.mean is None else f"{each.mean:.3f} ({each.low:.3f} to {each.high:.3f})"
    expected = None if each.expected is None else f"{each.expected:.0%}"
    early = "early" if each.is_early else None
    return (each.starts_at, each.ends_at, each.n_rows, each.n_labels, expected, quality, early)
