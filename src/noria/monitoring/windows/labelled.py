"""Part labelled answers by version and segment, and follow the quality of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from noria.monitoring.entities import ScoredRow, SegmentQuality
from noria.monitoring.label_windows import DropRule
from noria.monitoring.quality import Baseline, score
from noria.monitoring.reference import Reference
from noria.monitoring.windows.layout import Layout, stacked
from noria.monitoring.windows.quality import followed
from noria.monitoring.windows.segments import all_names
from noria.serving.predictions import CapturedRow

Key = tuple[int, str]
"""Version, and segment; empty for all its answers."""


@dataclass(slots=True)
class Parted:
    """Labelled answers by version and segment.

    Attributes
    ----------
    held_out
        Of versions that have a score on held-out rows: what all their answers are compared with.
    n_streams
        How many segments there can be: their errors add up.
    """

    rows: dict[Key, list[ScoredRow]] = field(default_factory=dict)
    held_out: dict[int, Baseline] = field(default_factory=dict)
    n_streams: int = 1


def scored(task: str, baseline: Baseline, version: int, rows: Sequence[CapturedRow]) -> list[ScoredRow]:
    """Score answers with trusted labels of a version; what it failed to answer has no score."""
    return [
        ScoredRow(
            row.position, score(task, row.prediction.outputs.get("predictions"), row.label.value, baseline)
        )
        for row in rows
        if row.label is not None and is_scored(row, version)
    ]


def is_scored(row: CapturedRow, version: int) -> bool:
    """Tell whether the label of a row says something about a version."""
    is_trusted = row.label is not None and row.label.is_trusted
    return is_trusted and row.prediction.version == version and row.prediction.error is None


def parted_labels(
    rows: Sequence[CapturedRow],
    main: int,
    reference: Callable[[int], Reference | None],
    layout: Callable[[int], Layout | None],
) -> Parted:
    """Part newly labelled rows: those of `main` by segment, those of other versions by version."""
    found = Parted()
    for version in sorted({row.prediction.version for row in rows} | {main}):
        known, laid_out = reference(version), layout(version)
        if known is None or known.baseline is None:
            continue
        mine = [row for row in rows if is_scored(row, version)]
        scores = scored(known.task, known.baseline, version, mine)
        if version != main:
            found.held_out[version] = known.baseline
            found.rows[version, ""] = scores
        elif laid_out is not None and laid_out.segments:
            found.n_streams = len(all_names(laid_out.segments))
            columns = stacked(laid_out.signature, [row.prediction for row in mine])
            for cut in laid_out.segments:
                for place, each in zip(cut.of(columns[cut.column]).tolist(), scores, strict=True):
                    found.rows.setdefault((version, cut.names[place]), []).append(each)
    return found


def follow_all(
    known: Sequence[SegmentQuality], parted: Parted, rule: DropRule, labels_per_false_alarm: int
) -> list[SegmentQuality]:
    """Take in what was parted; only what got labels is given.

    Each segment has its share of the false alarms that are allowed to all of them together.
    """
    before = {(each.version, each.segment): each for each in known}
    shared = msgspec.structs.replace(rule, level=rule.level / parted.n_streams)
    return [
        followed(
            before.get(key, SegmentQuality(version=key[0], segment=key[1])),
            rows,
            None if key[1] else parted.held_out[key[0]],
            shared,
            labels_per_false_alarm=labels_per_false_alarm * parted.n_streams,
        )
        for key, rows in sorted(parted.rows.items())
        if rows
    ]
