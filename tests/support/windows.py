"""Rows, layouts and a store of windows for the tests of monitoring: no server, the real rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from noria.monitoring.entities import Cutting, MonitorSection, Window
from noria.monitoring.reference import Reference
from noria.monitoring.windows.entities import HistoryPoint, WindowCounts
from noria.monitoring.windows.folding import Folded, Folding
from noria.monitoring.windows.layout import Layout, lay_out
from noria.registry.entities import Origin, ServableVersion, Signature, Task, TensorSpec
from noria.serving.captured_blocks import blocks_of_rows
from noria.serving.predictions import CapturedRow, Prediction

BEGIN = datetime(2030, 1, 7, tzinfo=UTC)
"""A Monday."""

SIGNATURE = Signature(
    inputs=[
        TensorSpec(name="x", datatype="FP64", shape=[-1]),
        TensorSpec(name="region", datatype="BYTES", shape=[-1]),
    ],
    outputs=[TensorSpec(name="predictions", datatype="INT64", shape=[-1])],
)


def version_of(signature: Signature = SIGNATURE, number: int = 1) -> ServableVersion:
    return ServableVersion(
        id=f"v{number}",
        project="default",
        model="prices",
        version=number,
        digest=f"blake3:{number}",
        format="none",
        task=Task.CLASSIFICATION,
        signature=signature,
        classes=None,
        holdout=None,
        metrics={},
        origin=Origin(),
        message="",
        author="test",
        created_at=BEGIN,
        updated_at=BEGIN,
    )


def reference_of(n: int = 400, *, seed: int = 0, number: int = 1, predictions: bool = True) -> Reference:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    inputs = {"x": x, "region": np.array(["north", "south", "east"])[np.arange(n) % 3]}
    return Reference(
        version=version_of(number=number),
        columns=inputs,
        golden=inputs,
        predictions=(x > 0).astype(int) if predictions else None,
        baseline=None,
    )


def layout_of(reference: Reference | None = None, **options: Any) -> Layout:
    return lay_out(reference or reference_of(), "prices", **options)


def row(
    position: int,
    *,
    x: Any = 0.0,
    region: Any = "north",
    at: datetime | None = None,
    version: int = 1,
    answer: Any = 0,
    error: str | None = None,
    **more: Any,
) -> CapturedRow:
    prediction = Prediction(
        id=f"p{position}",
        version=version,
        at=at or BEGIN + timedelta(seconds=position),
        inputs={"x": x, "region": region, **more},
        outputs={} if error else {"predictions": answer},
        error=error,
    )
    return CapturedRow(position=position, prediction=prediction, label=None)


def quiet(n: int, *, seed: int = 1, first: int = 1, shift: float = 0.0, **options: Any) -> list[CapturedRow]:
    """Give rows like those of the reference."""
    rng = np.random.default_rng(seed)
    xs = rng.normal(shift, size=n)
    regions = rng.choice(["north", "south", "east"], size=n)
    return [
        row(first + i, x=float(x), region=str(region), answer=int(x > 0), **options)
        for i, (x, region) in enumerate(zip(xs, regions, strict=True))
    ]


class Kept:
    """Windows and counters as the server keeps them, in memory."""

    def __init__(
        self, settings: MonitorSection, layouts: Callable[[int], Layout | None] | None = None
    ) -> None:
        self.settings = settings
        own = layout_of(segment_columns=settings.segments.get("prices", []))
        self.layouts = layouts or (lambda _: own)
        self.cutting: Cutting | None = None
        self.windows: dict[int, Window] = {}
        self.bodies: dict[tuple[int, int, str], WindowCounts] = {}
        self.points: dict[int, HistoryPoint] = {}

    def window(self, index: int) -> Window | None:
        return self.windows.get(index)

    def counts(self, index: int) -> list[WindowCounts]:
        return [each for place, each in sorted(self.bodies.items()) if place[0] == index]

    def history(self, version: int) -> list[HistoryPoint]:
        return [point for _, point in sorted(self.points.items()) if point.version == version]

    def look(self, *batches: Sequence[CapturedRow], now: datetime | None = None) -> Folded:
        """Take a look that reads these batches, and keep what it found."""
        folding = Folding(
            self.settings,
            self.cutting,
            next_index=max(self.windows, default=0) + 1,
            now=now or BEGIN + timedelta(days=1),
            layouts=self.layouts,
            stored=self,
        )
        for batch in batches:
            folding.take(blocks_of_rows(batch))
        found = folding.result()
        self.cutting = found.cutting
        self.windows |= {window.index: window for window in found.windows}
        self.bodies |= {(each.index, each.version, each.segment): each for each in found.counts}
        for point in found.history:
            self.points.setdefault(point.hour, point)
        return found
