"""Real data sets that figures are reported on; nothing was tuned on them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import polars as pl
from episodes import Source


def sources(data: Path) -> list[Source]:
    """Read them."""
    return [*_victoria(data), *_spain(data), *_france(data), _rankings(data), _mnist(data)]


def _victoria(data: Path) -> list[Source]:
    frame = pl.read_csv(data / "electricity_victoria/vic_elec.csv.gz")
    at = pl.col("time_local").str.slice(0, 19).str.to_datetime()
    demand = pl.col("demand_mwh")
    frame = frame.with_columns(
        hour=at.dt.hour().cast(pl.Float64),
        weekday=at.dt.weekday().cast(pl.String),
        lag_day=demand.shift(48),
        lag_half=demand.shift(24),
        quarter="q" + at.dt.quarter().cast(pl.String),
    ).drop("time_utc", "time_local")
    frame = frame.with_columns(pl.col("holiday").cast(pl.String)).drop_nulls()
    plain = frame.drop("quarter")
    high = plain.with_columns(high=(demand > demand.shift(48)).cast(pl.Int64)).drop("demand_mwh").drop_nulls()
    return [
        Source(name="victoria", task="regression", metric="rmse", target="demand_mwh", frame=plain),
        Source(
            name="victoria", task="regression", metric="mae", target="demand_mwh", frame=plain, ordered=True
        ),
        Source(name="victoria-up", task="classification", metric="roc_auc", target="high", frame=high),
        Source(
            name="victoria-quarter", task="classification", metric="accuracy", target="quarter", frame=frame
        ),
    ]


def _spain(data: Path) -> list[Source]:
    frame = pl.read_csv(data / "electricity_spain/generation_price_hourly.csv.gz").drop_nulls()
    frame = frame.with_columns(hour=pl.col("date").str.slice(11, 2).cast(pl.Float64)).drop("date")
    frame = frame.with_columns(pl.col(c).cast(pl.Float64) for c in frame.columns)
    cut = float(np.median(frame["price_actual"].to_numpy()))
    dear = frame.with_columns(
        dear=pl.when(pl.col("price_actual") > cut).then(pl.lit("dear")).otherwise(pl.lit("cheap"))
    ).drop("price_actual")
    return [
        Source(name="spain", task="regression", metric="mae", target="price_actual", frame=frame),
        Source(
            name="spain", task="regression", metric="mae", target="price_actual", frame=frame, ordered=True
        ),
        Source(name="spain-dear", task="classification", metric="accuracy", target="dear", frame=dear),
    ]


def _france(data: Path) -> list[Source]:
    """Whether the next hour takes more than usual, and how much: hours with minutes missing are left out."""
    frame = pl.read_csv(data / "electricity_household_france/hourly.csv.gz")
    hour = pl.col("datetime").str.slice(11, 2).cast(pl.Float64)
    frame = frame.with_columns(hour=hour, next=pl.col("Global_active_power").shift(-1)).drop("datetime")
    frame = frame.filter(pl.col("Voltage") > 13_000).drop_nulls()
    cut = float(frame["next"].median() or 0.0)  # type: ignore[arg-type]
    above = frame.with_columns(above=(pl.col("next") > cut).cast(pl.Int64)).drop("next")
    return [
        Source(name="france", task="regression", metric="mae", target="next", frame=frame),
        Source(name="france-above", task="classification", metric="roc_auc", target="above", frame=above),
        Source(
            name="france-above",
            task="classification",
            metric="roc_auc",
            target="above",
            frame=above,
            ordered=True,
        ),
    ]


def _rankings(data: Path) -> Source:
    """Scores of universities from their ranks, of which there are few rows."""
    frame = pl.read_csv(data / "rankings/cwurData.csv").drop("institution", "country", "world_rank", "year")
    frame = frame.drop("broad_impact").with_columns(pl.all().cast(pl.Float64)).drop_nulls()
    frame = frame.with_columns(score=pl.col("score").log())  # a tenth of them hold most of the range
    return Source(name="rankings", task="regression", metric="mae", target="score", frame=frame)


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
        model="neighbours",
    )
