"""Fold captured rows into the counters of their windows, and judge the windows that are over. Runs in a worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from noria.core.database.schema import from_micros, to_micros
from noria.core.stats.counters import TableCounter, TableCounts, merged
from noria.core.stats.profiles import TableProfile
from noria.monitoring.entities import Cutting, MonitorSection, Window
from noria.monitoring.windows import cutting as cuts
from noria.monitoring.windows.cutting import SKEW
from noria.monitoring.windows.entities import HistoryPoint, WindowCounts
from noria.monitoring.windows.facts import RowFacts, grown, indexes_by_time
from noria.monitoring.windows.judging import Judged, Part, judge
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


@dataclass(slots=True)
class _Counter:
    """Counts rows of one place; of a version without a layout it counts rows alone."""

    layout: Layout | None
    segment: str
    counter: TableCounter = field(init=False)
    n_rows: int = 0

    def __post_init__(self) -> None:
        self.counter = TableCounter(self.layout.profiles[self.segment] if self.layout else _NOTHING)

    def update(self, columns: Mapping[str, Any], n_rows: int) -> None:
        self.counter.update(columns)
        self.n_rows += n_rows

    @property
    def packed(self) -> PackedCounts:
        # A table without columns does not know how many rows it has.
        counts = TableCounts(n_rows=self.n_rows, columns=self.counter.counts.columns)
        return PackedCounts(layout=self.layout.name if self.layout else _NO_LAYOUT, counts=counts)


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
        self._counters: dict[Place, _Counter] = {}
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
        for index in np.unique(indexes).tolist():
            self._grow(cutting, index, rows.at(indexes == index))
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
        totals: dict[Place, PackedCounts] = {}
        for index in sorted({*self._over, *(place[0] for place in self._counters)}):
            totals |= self._totals(index)
        windows, history = [], []
        for index, window in sorted(self._over.items()):
            found = self._judged(window, {p: c for p, c in totals.items() if p[0] == index})
            windows.append(found.window)
            history += found.history
        if cutting is None:
            cutting = cuts.begin(self._settings, index=self._next_index, at=self._now)
        still = [window for index, window in sorted(self._open.items()) if index not in self._over]
        return Folded(
            windows=windows,
            cutting=replace(cutting, open=still),
            counts=[
                WindowCounts(
                    index=place[0], version=place[1], segment=place[2], body=pack_counts(totals[place])
                )
                for place in self._counters
            ],
            history=history,
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
        columns: Columns = {}
        if layout is not None:
            parts = [layout.columns(block) for block, _ in blocks]
            columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
            for block, inside in blocks:
                extra = new_columns(layout.signature, block)
                for index in np.unique(inside).tolist() if extra else ():
                    self._new_columns.setdefault(index, set()).update(extra)
        for index in np.unique(indexes).tolist():
            inside = indexes == index
            some = {name: column[inside] for name, column in columns.items()}
            self._counter((index, version, ""), layout).update(some, int(inside.sum()))
            for cut in layout.segments if layout is not None else ():
                self._count_segments((index, version), layout, cut, some)

    def _count_segments(
        self, place: tuple[int, int], layout: Layout | None, cut: Segmenting, columns: Columns
    ) -> None:
        segments, names = cut.of(columns[cut.column]), cut.names
        for segment in np.unique(segments).tolist():
            inside = segments == segment
            part = {name: column[inside] for name, column in columns.items()}
            self._counter((*place, names[segment]), layout).update(part, int(inside.sum()))

    def _counter(self, place: Place, layout: Layout | None) -> _Counter:
        if place not in self._counters:
            self._counters[place] = _Counter(layout, place[2])
        return self._counters[place]

    def _totals(self, index: int) -> dict[Place, PackedCounts]:
        """Add what was counted now to what is stored of a window."""
        stored = self._stored.counts(index) if index in self._known else []
        totals = {(each.index, each.version, each.segment): unpack_counts(each.body) for each in stored}
        for place, counter in self._counters.items():
            if place[0] == index:
                totals[place] = _together(totals.get(place), counter.packed)
        return totals

    def _judged(self, window: Window, totals: Mapping[Place, PackedCounts]) -> Judged:
        parts, lacks = [], []
        for (_, version, segment), packed in sorted(totals.items()):
            layout = self._layouts(version)
            if not segment:
                lacks += _lacks(version, layout, packed)
            fits = layout is not None and layout.name == packed.layout
            reference = layout.profiles[segment] if fits and layout else _NOTHING
            parts.append(Part(version, segment, packed.counts, reference))
        extra = sorted(self._new_columns.get(window.index, ()))
        if extra:
            named = ", ".join(f"`{name}`" for name in extra[:5])
            lacks.append(f"Rows have inputs that the model does not take, which are not looked at: {named}")
        if window.n_skewed:
            lacks.append(
                f"{window.n_skewed} rows are dated ahead of the clock, and counted as answered when they were seen"
            )
        return judge(replace(window, lacks=lacks), parts, self._settings, self._stored.history)


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
