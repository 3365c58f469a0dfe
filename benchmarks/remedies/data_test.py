"""Real data sets that figures are reported on; nothing was tuned on them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import polars as pl
from episodes import Source


def sources(data: Path) -> list[Source]:
    """Read them."""
    return [*_victoria(data), *_spain(data), _mnist(data)]


def _victoria(data: Path) -> list[Source]:
    frame = pl.read_csv(data / "electricity_victoria/vic_elec.csv.gz")
    at = pl.col("time_local").str.slice(0, 19).str.to_datetime()
    demand = pl.col("demand_mwh")
    frame = frame.with_columns(
        hour=at.dt.hour().cast(pl.Float64),
        weekday=at.dt.weekday().cast(pl.String),
        lag_day=demand.shift(48),
        lag_half=demand.shift(24),
    ).drop("time_utc", "time_local")
    frame = frame.with_columns(pl.col("holiday").cast(pl.String)).drop_nulls()
    high = frame.with_columns(high=(demand > demand.shift(48)).cast(pl.Int64)).drop("demand_mwh").drop_nulls()
    return [
        Source(
            name="victoria", task="regression", metric="rmse", target="demand_mwh", frame=frame, ordered=False
        ),
        Source(
            name="victoria", task="regression", metric="mae", target="demand_mwh", frame=frame, ordered=True
        ),
        Source(
            name="victoria-up",
            task="classification",
            metric="roc_auc",
            target="high",
            frame=high,
            ordered=False,
        ),
    ]


def _spain(data: Path) -> list[Source]:
    frame = pl.read_csv(data / "electricity_spain/generation_price_hourly.csv.gz").drop_nulls()
    frame = frame.with_columns(hour=pl.col("date").str.slice(11, 2).cast(pl.Float64)).drop("date")
    frame = frame.with_columns(pl.col(c).cast(pl.Float64) for c in frame.columns)
    cut = float(np.median(frame["price_actual"].to_numpy()))
    dear = frame.with_columns(
        dear=pl.when(pl.col("price_actual") > cut).then(pl.lit("dear")).otherwise(pl.lit("cheap"))
    )
    return [
        Source(
            name="spain", task="regression", metric="mae", target="price_actual", frame=frame, ordered=False
        ),
        Source(
            name="spain-dear",
            task="classification",
            metric="accuracy",
            target="dear",
            frame=dear.drop("price_actual"),
            ordered=False,
        ),
    ]


def _mnist(data: Path) -> Source:
    with (
        gzip.open(data / "mnist/t10k-images-idx3-ubyte.gz") as images,
        gzip.open(data / "mnist/t10k-labels-idx1-ubyte.gz") as labels,
    ):
        pixels = np.frombuffer(images.read(), np.uint8, offset=16).reshape(-1, 28, 28).astype(float)
        digits = np.frombuffer(labels.read(), np.uint8, offset=8)
    small = pixels.reshape(-1, 7, 4, 7, 4).mean(axis=(2, 4)).reshape(-1, 49)
    frame = pl.DataFrame(small, schema=[f"cell{i}" for i in range(49)])
    keep = [c for c in frame.columns if frame[c].n_unique() > 200]
    return Source(
        name="mnist",
        task="classification",
        metric="accuracy",
        target="digit",
        frame=frame[keep].with_columns(pl.Series("digit", [f"d{d}" for d in digits])),
        ordered=False,
        model="neighbours",
    )
