"""An endpoint whose rows a batch run predicts by the hour, of what a scheduled pipeline made of raw data."""

from __future__ import annotations

import contextlib
import importlib
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn.linear_model import LogisticRegression

from noria.core.clock import ManualClock
from noria.data.client import dataset
from noria.pipelines.schedules.course import look
from noria.pipelines.schedules.entities import Aside, NewSchedules, ScheduleSection
from noria.pipelines.schedules.service import Schedules
from noria.pipelines.snapshots import open_snapshot, take_snapshot
from noria.registry.client import register
from noria.serving.batch.client import predict
from noria.serving.captures import Captures
from noria.serving.predictions import LabelBatch, NewLabel
from support.decisions import PROJECT, Incident

HOUR_S = 3600.0
N_ROWS = 120
SCHEDULE = "features"

FLOW = """
    import noria
    import polars as pl

    @noria.step(cache=False)
    def load() -> pl.DataFrame:
        return noria.dataset("raw").polars()

    @noria.step
    def scaled(rows: pl.DataFrame) -> pl.DataFrame:
        return rows.select("id", (pl.col("{column}") / {divisor}).alias("income"), "age")

    @noria.step
    def tidy(rows: pl.DataFrame) -> pl.DataFrame:
        return rows.with_columns(pl.col("age").clip(18, 99)){more}

    @noria.step(cache=False)
    def publish(rows: pl.DataFrame) -> str:
        {effect}
        return noria.dataset("customers").add(rows).ref

    @noria.pipeline
    def features(hour: str = "") -> str:
        return publish(tidy(scaled(load())))
"""


@dataclass(slots=True)
class ScheduledIncident(Incident):
    """The world of an hourly feature pipeline."""

    hour: int = 0
    column: str = "cents"
    """What raw rows call the income."""
    key: tuple[str, ...] = ("id",)
    """What names the rows of a batch."""

    def begin(self) -> None:
        """Register the model, put it behind the endpoint, and apply the schedule."""
        rows, y = people(400, seed=99)
        x = np.column_stack([rows["cents"].to_numpy() / 100, rows["age"].to_numpy()])
        fitted = LogisticRegression(max_iter=2000).fit(x[:300], y[:300])
        held = ({"x": x[300:]}, y[300:])
        register(fitted, "buyers", x={"x": x[:300]}, y=y[:300], holdout=held, workspace=self.workspace)
        self.deploy("buyers")
        self.apply()

    def apply(
        self,
        *,
        divisor: str = "100",
        column: str = "cents",
        more: str = "",
        effect: str = "pass",
        aside: Aside = Aside.CONFINED,
    ) -> None:
        """Bind the schedule to the pipeline as it is now."""
        text = FLOW.format(divisor=divisor, column=column, more=more, effect=effect)
        (self.folder / "flows.py").write_text("\n".join(line[4:] for line in text.splitlines()))
        params = {"hour": "{interval_start}"}
        spec = ScheduleSection(
            name=SCHEDULE, run="flows.py:features", every_s=int(HOUR_S), params=params, aside=aside
        )
        new = NewSchedules(schedules=[spec], snapshot=take_snapshot(self.workspace, self.folder))
        self.context.service(Schedules).apply(PROJECT, new)

    def an_hour(self, *, labelled: bool = True) -> list[int]:
        """Let raw rows come, the schedule run, and a batch be predicted and labelled; give the rows' positions."""
        self.hour += 1
        raw, y = people(N_ROWS, seed=self.hour)
        raw = raw.rename({"cents": self.column})
        dataset("raw", workspace=self.workspace).add(raw)
        clock = self.context.clock
        assert isinstance(clock, ManualClock)
        clock.advance(HOUR_S)
        self.work()
        return self.predicted(y if labelled else None)

    def predicted(self, y: Any = None) -> list[int]:
        """Predict the newest rows, and label them."""
        captures = self.context.service(Captures)
        before = captures.head(PROJECT, self.endpoint).position
        with tempfile.TemporaryDirectory() as folder:
            run = predict(
                "buyers@1",
                "customers",
                f"{folder}/scores.parquet",
                key=self.key,
                keep=() if self.key else ("id",),
                endpoint=self.endpoint,
                once=f"hour {self.hour} {before}",
                workspace=self.workspace,
            )
        if y is not None:
            labels = [
                NewLabel(prediction_id=f"{run.id}-{n}", value=v) for n, v in enumerate(np.asarray(y).tolist())
            ]
            captures.label(PROJECT, self.endpoint, LabelBatch(labels=labels))
        after = captures.head(PROJECT, self.endpoint).position
        return list(range(before + 1, after + 1))

    def work(self) -> int:
        """Do what is due, as a worker and the control loop do; give how many jobs there were."""
        look(self.context)
        done = n_jobs = super(ScheduledIncident, self).work()
        while done:
            look(self.context)
            done = super(ScheduledIncident, self).work()
            n_jobs += done
        return n_jobs

    def _call(self, entry: str, arguments: Mapping[str, Any], snapshot: str | None) -> Any:
        if snapshot is None:
            return super(ScheduledIncident, self)._call(entry, arguments, snapshot)
        module, _, function = entry.partition(":")
        with (
            tempfile.TemporaryDirectory() as folder,
            _code(open_snapshot(self.workspace, snapshot, Path(folder) / "c")),
        ):
            return getattr(importlib.import_module(module), function)(self.workspace, **arguments)


@contextlib.contextmanager
def _code(root: Path) -> Any:
    """Work in a folder of code as a process of its own would: nothing of it is imported yet, nor afterwards."""
    paths = list(sys.path)
    with contextlib.chdir(root):
        sys.modules.pop("flows", None)
        importlib.invalidate_caches()
        try:
            yield
        finally:
            sys.modules.pop("flows", None)
            sys.path[:] = paths


def people(n: int, *, seed: int) -> tuple[pl.DataFrame, Any]:
    """Draw people with an income in cents and an age, and whether they buy."""
    generator = np.random.default_rng(seed)
    income, age = generator.normal(50, 15, n), generator.uniform(18, 80, n)
    y = (income / 15 + age / 30 + generator.normal(0, 0.3, n) > 5).astype(int)
    ids = np.arange(n) + 1000 * seed
    return pl.DataFrame({"id": ids, "cents": income * 100, "age": age}), y
