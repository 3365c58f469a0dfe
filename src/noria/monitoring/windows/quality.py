"""Quality of labelled answers by segment, and of versions beside the one that answers most. Pure.

A version has a score on held-out rows, and is compared with that. A segment has none of its own, and may be harder than
the rest: so it is compared with what it scored over its first labels, less the error of so few.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from noria.monitoring.entities import AlertKind, NewAlert, ScoredRow, SegmentQuality
from noria.monitoring.label_windows import DropRule
from noria.monitoring.quality import Baseline, quality_alert, start_detector, take_in
from noria.monitoring.sentences import BELOW_FIRST, LEARNED_ERRORS, WHERE

LEARNED_FROM: Final = 200
"""Labels of a segment that its reference is learned from; before that it is watched by nothing."""


def followed(
    before: SegmentQuality,
    rows: Sequence[ScoredRow],
    held_out: Baseline | None,
    rule: DropRule,
    *,
    labels_per_false_alarm: int,
) -> SegmentQuality:
    """Take in the newly labelled rows of a version or segment, oldest first.

    Parameters
    ----------
    held_out
        The version's score on held-out rows; None for a segment, which learns its own.
    rule, labels_per_false_alarm
        Of everything that is followed together: of each the error is its share.
    """
    rows = list(rows)
    if held_out is None:
        before, rows = _learned(before, rows)
        baseline = learned_baseline(before)
    else:
        baseline = held_out
    if baseline is None or not rows:
        return before
    detector = before.detector or start_detector(
        baseline, margin=rule.margin, labels_per_false_alarm=labels_per_false_alarm
    )
    moved, report = take_in(detector, before.report, rows, baseline, rule)
    return msgspec.structs.replace(before, detector=moved, report=report)


def learned_baseline(quality: SegmentQuality) -> Baseline | None:
    """Give what a segment is compared with; None while too few labels came."""
    n = quality.n_learned
    if n < LEARNED_FROM:
        return None
    mean = quality.total / n
    # A spread of nothing is not believed: a score of all labels right may be chance.
    variance = max(quality.squares / n - mean**2, 1 / n)
    return Baseline(score=max(0.0, mean - LEARNED_ERRORS * math.sqrt(variance / n)), n=n)


def lacks(quality: SegmentQuality) -> str | None:
    """Say what a segment lacks to be watched."""
    if quality.report is not None or not quality.segment:
        return None
    return f"{quality.n_learned} of {LEARNED_FROM} labels that its own reference is learned from"


def segment_alert(quality: SegmentQuality, *, measure: str, last_position: int) -> NewAlert | None:
    """Raise an alert when the quality of a segment dropped below what it was."""
    if quality.detector is None or quality.report is None or not quality.report.recent:
        return None
    found = quality_alert(
        quality.detector,
        quality.report,
        version=quality.version,
        measure=measure,
        last_position=max(last_position, quality.report.recent[-1].position),
        said=BELOW_FIRST,
    )
    if found is None or found.kind is not AlertKind.QUALITY:
        return None
    sentence = WHERE % {"segment": quality.segment, "text": found.sentence}
    return msgspec.structs.replace(found, segment=quality.segment, sentence=sentence)


def _learned(before: SegmentQuality, rows: Sequence[ScoredRow]) -> tuple[SegmentQuality, list[ScoredRow]]:
    n = max(0, LEARNED_FROM - before.n_learned)
    scores = [row.score for row in rows[:n]]
    learned = msgspec.structs.replace(
        before,
        n_learned=before.n_learned + len(scores),
        total=before.total + math.fsum(scores),
        squares=before.squares + math.fsum(score**2 for score in scores),
    )
    return learned, list(rows[n:])
