"""Fold captured rows into the counters of their windows, and judge the windows that are over. Runs in a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from noria.core.database.schema import from_micros, to_micros
from noria.core.stats.counters import TableCounts, merged
from noria.core.stats.grouped_counters import count_groups
from noria.core.stats.profiles import TableProfile
from noria.monitoring.entities import Cutting, MonitorSection, Window
from noria.monitoring.windows import cutting as cuts
from noria.monitoring.windows.cutting import SKEW
from noria.monitoring.windows.entities import HistoryPoint, WindowCounts
from noria.monitoring.windows.facts import RowFacts, grown, indexes_by_time
from noria.monitoring.windows.judging import Part, judge_all
from noria.monitoring.windows.layout import Columns, Layout, new_columns
from noria.monitoring.windows.packing import PackedCounts, pack_counts, unpack_counts
from noria.monitoring.windows.segments import Segmenting
from noria.serving.captured_blocks import Block

Ints = NDArray[np.int64]

_NOTHING: Final = TableProfile(n_rows=0, columns={})
_NO_LAYOUT: Final = ""

Place = tuple[int, int, str]
"""Index of the window, version, segment."""


class Stored(Protocol):
    """What the server has."""

    def window(self, index: int) -> Window | None:
        """Give a window that was judged already."""

    def counts(self, index: int) -> list[WindowCounts]:
        """Give the counters of a window."""

    def history(self, version: int) -> list[HistoryPoint]:
        """Give past drift of a version."""


@dataclass(slots=True, kw_only=True)
class Folded:
    """What came of the rows of one look."""

    windows: list[Window]
    cutting: Cutting
    counts: list[WindowCounts]
    history: list[HistoryPoint]


class Folding:
    """Takes in rows, and gives windows and counters.

    Parameters
    ----------
    cutting
        Where the monitor stands; None before its first row.
    next_index
        Of a window, when windows begin to be cut another way.
    layouts
        Gives the layout of a version; None when its files are gone or it has no signature.
    """

    def __init__(
        self,
        settings: MonitorSection,
        cutting: Cutting | None,
        *,
        next_index: int,
        now: datetime,
        layouts: Callable[[int], Layout | None],
        stored: Stored,
    ) -> None:
        self._settings, self._now, self._layouts, self._stored = settings, now, layouts, stored
        self._over: dict[int, Window] = {}
        if cutting is not None and not cuts.is_as_set(cutting, settings):
            # What was begun another way is over, whatever it lacks.
            self._over = {window.index: window for window in cutting.open}
            next_index = max(next_index, cutting.last + 1)
            cutting = None
        self._next_index = next_index
        self._cutting = cutting
        self._open = {window.index: window for window in cutting.open} if cutting else {}
        self._counted: dict[Place, PackedCounts] = {}
        self._known = {*self._over, *self._open}
        self._new_columns: dict[int, set[str]] = {}

    @property
    def n_over(self) -> int:
        """Windows that are over by now."""
        cutting = self._cutting
        full = [w for w in self._open.values() if cutting is not None and cuts.is_over(cutting, w, self._now)]
        return len(self._over) + len(full)

    def take(self, blocks: Sequence[Block]) -> None:
        """Count rows: those of one call are in the order of their positions, behind those of the calls before."""
        if not blocks:
            return
        rows = self._facts(blocks)
        if self._cutting is None:
            first_us = int(self._counted_at(rows)[np.argmin(rows.positions)])
            self._cutting = cuts.begin(self._settings, index=self._next_index, at=from_micros(first_us))
        cutting = self._cutting
        indexes = self._indexes(cutting, rows)
        order = _order(indexes)
        in_order = rows.at(order)
        for index, start, end in _runs(indexes[order]):
            self._grow(cutting, index, in_order.at(slice(start, end)))
        by_version: dict[int, list[tuple[Block, Ints]]] = {}
        ends = np.cumsum([len(block) for block in blocks])
        for block, inside in zip(blocks, np.split(indexes, ends[:-1]), strict=True):
            by_version.setdefault(block.version, []).append((block, inside))
        for version, some in by_version.items():
            self._count(version, some)
        self._cutting = replace(
            cutting, n_rows=cutting.n_rows + len(rows), last=max(cutting.last, int(indexes.max()))
        )

    def result(self) -> Folded:
        """Judge what is over, and give everything that is to be kept."""
        cutting = self._cutting
        if cutting is not None:
            self._over |= {i: w for i, w in self._open.items() if cuts.is_over(cutting, w, self._now)}
        totals = self._totals()
        judged = judge_all(
            [self._to_judge(window, totals.get(index, {})) for index, window in sorted(self._over.items())],
            self._settings,
            self._stored.history,
        )
        if cutting is None:
            cutting = cuts.begin(self._settings, index=self._next_index, at=self._now)
        still = [window for index, window in sorted(self._open.items()) if index not in self._over]
        return Folded(
            windows=[found.window for found in judged],
            cutting=replace(cutting, open=still),
            counts=[
                WindowCounts(
                    index=index, version=version, segment=segment, body=pack_counts(totals[index][place])
                )
                for place in self._counted
                for index, version, segment in (place,)
            ],
            history=_firsts(point for found in judged for point in found.history),
        )

    def _facts(self, blocks: Sequence[Block]) -> RowFacts:
        at_us = np.concatenate([block.at_us for block in blocks])
        return RowFacts(
            positions=np.concatenate([block.positions for block in blocks]),
            at_us=at_us,
            versions=np.repeat([block.version for block in blocks], [len(block) for block in blocks]),
            failed=np.concatenate([block.failed for block in blocks]),
            skewed=at_us > to_micros(self._now + SKEW),
        )

    def _counted_at(self, rows: RowFacts) -> Ints:
        return np.where(rows.skewed, to_micros(self._now), rows.at_us)

    def _indexes(self, cutting: Cutting, rows: RowFacts) -> Ints:
        """Give the window of each row."""
        if cutting.span_s is not None:
            return indexes_by_time(cutting, self._counted_at(rows))
        places = np.empty(len(rows), dtype=np.int64)
        places[np.argsort(rows.positions)] = np.arange(len(rows))
        return cutting.base + (cutting.n_rows + places) // cutting.rows

    def _grow(self, cutting: Cutting, index: int, rows: RowFacts) -> None:
        before = self._open.get(index)
        if before is None and index not in self._known:
            # Of windows by count none gets rows once it was judged.
            before = self._stored.window(index) if self._settings.window_s is not None else None
            if before is not None:
                self._known.add(index)
        self._open[index] = grown(before, index, cutting, rows)

    def _count(self, version: int, blocks: Sequence[tuple[Block, Ints]]) -> None:
        """Count the rows of a version, each in its window."""
        layout = self._layouts(version)
        indexes = np.concatenate([inside for _, inside in blocks])
        order = _order(indexes)
        indexes = indexes[order]
        if layout is None:
            self._add(version, "", None, {}, indexes)
            return
        parts = [layout.columns(block) for block, _ in blocks]
        columns = {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0]}
        for block, inside in blocks:
            extra = new_columns(layout.signature, block)
            for index in np.unique(inside).tolist() if extra else ():
                self._new_columns.setdefault(index, set()).update(extra)
        self._add(version, "", layout, columns, indexes)
        for cut in layout.segments:
            self._count_segments(version, layout, cut, columns, indexes)

    def _count_segments(
        self, version: int, layout: Layout, cut: Segmenting, columns: Columns, indexes: Ints
    ) -> None:
        segments, names = cut.of(columns[cut.column]), cut.names
        for segment in np.unique(segments).tolist():
            inside = segments == segment
            part = {name: column[inside] for name, column in columns.items()}
            self._add(version, names[segment], layout, part, indexes[inside])

    def _add(
        self, version: int, segment: str, layout: Layout | None, columns: Columns, indexes: Ints
    ) -> None:
        """Count rows of one version and segment, which come in the order of their windows."""
        runs = list(_runs(indexes))
        profile = layout.profiles[segment] if layout is not None else _NOTHING
        counted = count_groups(profile, columns, [end - start for _, start, end in runs])
        name = layout.name if layout is not None else _NO_LAYOUT
        for (index, _, _), counts in zip(runs, counted, strict=True):
            place = index, version, segment
            packed = PackedCounts(layout=name, counts=counts)
            self._counted[place] = _together(self._counted.get(place), packed)

    def _totals(self) -> dict[int, dict[Place, PackedCounts]]:
        """Give the counters of each window: what was counted now, added to what is stored of it."""
        totals: dict[int, dict[Place, PackedCounts]] = {}
        for index in sorted({*self._over, *(place[0] for place in self._counted)}):
            stored = self._stored.counts(index) if index in self._known else []
            totals[index] = {
                (each.index, each.version, each.segment): unpack_counts(each.body) for each in stored
            }
        for place, packed in self._counted.items():
            window = totals[place[0]]
            window[place] = _together(window.get(place), packed)
        return totals

    def _to_judge(
        self, window: Window, totals: Mapping[Place, PackedCounts]
    ) -> tuple[Window, Sequence[Part]]:
        parts, lacks = [], []
        for (_, version, segment), packed in sorted(totals.items()):
            layout = self._layouts(version)
            if not segment:
                lacks += _lacks(version, layout, packed)
            fits = layout is not None and layout.name == packed.layout
            if fits and layout:
                reference, vectors = layout.profiles[segment], layout.vectors.get(segment, ())
            else:
                reference, vectors = _NOTHING, ()
            parts.append(Part(version, segment, packed.counts, reference, vectors))
        extra = sorted(self._new_columns.get(window.index, ()))
        if extra:
            named = ", ".join(f"`{name}`" for name in extra[:5])
            lacks.append(f"Rows have inputs that the model does not take, which are not looked at: {named}")
        if window.n_skewed:
            lacks.append(
                f"{window.n_skewed} rows are dated ahead of the clock, and counted as answered when they were seen"
            )
        return replace(window, lacks=lacks), parts


def _order(indexes: Ints) -> Ints | slice:
    """Give the order of windows, in which rows of one window keep theirs; as a rule they come in it."""
    if (indexes[1:] >= indexes[:-1]).all():
        return slice(None)
    return np.argsort(indexes, kind="stable")


def _runs(indexes: Ints) -> Iterator[tuple[int, int, int]]:
    """Give each number of a rising sequence, with where its run starts and ends."""
    starts = np.flatnonzero(np.diff(indexes, prepend=indexes[:1] - 1)).tolist()
    return zip(indexes[starts].tolist(), starts, [*starts[1:], len(indexes)], strict=True)


def _firsts(points: Iterable[HistoryPoint]) -> list[HistoryPoint]:
    """Leave out all but the first point of a version and hour: no other is kept."""
    found: dict[tuple[int, int], HistoryPoint] = {}
    for point in points:
        found.setdefault((point.version, point.hour), point)
    return list(found.values())


def _together(before: PackedCounts | None, now: PackedCounts) -> PackedCounts:
    if before is None:
        return now
    if before.layout == now.layout:
        if not now.counts.columns:
            return PackedCounts(
                layout=now.layout,
                counts=TableCounts(n_rows=before.counts.n_rows + now.counts.n_rows, columns={}),
            )
        return msgspec.structs.replace(now, counts=merged(before.counts, now.counts))
    # The reference changed within the window: rows stay counted, columns cannot be added.
    n_rows = before.counts.n_rows + now.counts.n_rows
    return PackedCounts(layout=MIXED, counts=TableCounts(n_rows=n_rows, columns={}))


MIXED: Final = "mixed"
"""Of counters that were laid out by more than one reference."""


def _lacks(version: int, layout: Layout | None, packed: PackedCounts) -> list[str]:
    if packed.layout == MIXED or (layout is not None and layout.name != packed.layout):
        return [f"What version {version} is compared with changed within this window"]
    if layout is None:
        return [f"The files of version {version} are gone, or it lacks its task or signature"]
    return list(layout.lacks)
