"""Real data sets that figures are reported on; nothing was tuned on them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import polars as pl
from episodes import Source
from numpy.typing import NDArray


def sources(data: Path) -> list[Source]:
    """Read them."""
    return [
        *_victoria(data),
        *_spain(data),
        *_france(data),
        _rankings(data),
        _mnist(data),
        *_london(data),
        *_taxi(data),
        *_machine(data),
        _italy(data),
        _motions(data),
    ]


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


def _london(data: Path) -> list[Source]:
    """Give what households take in the next half hour, and whether it is more than usual."""
    folder = data / "electricity_london"
    every = pl.read_csv(folder / "halfhourly_2013.csv.gz").with_columns(at=_moment("timestamp"))
    weather = pl.read_csv(folder / "weather_hourly.csv.gz", null_values="NULL")
    weather = weather.select("temperature", "humidity", "windSpeed", at=_moment("time")).unique("at")
    homes = pl.read_csv(folder / "households.csv").select(
        household="LCLid", tariff="stdorToU", group="Acorn_grouped"
    )
    kwh, house = pl.col("kwh"), "household"
    frame = (
        every.sort(house, "at")
        .with_columns(
            half=kwh.shift(1).over(house), day=kwh.shift(48).over(house), next=kwh.shift(-1).over(house)
        )
        .with_columns(hour=pl.col("at").dt.hour().cast(pl.Float64), known=pl.col("at").dt.truncate("1h"))
        .join(weather, left_on="known", right_on="at")
        .join(homes, on=house)
        .drop_nulls()
        .sort("at", house)
        .drop("at", "known", "timestamp", house)
    )
    cut = float(frame["next"].median() or 0.0)  # type: ignore[arg-type]
    above = frame.with_columns(above=(pl.col("next") > cut).cast(pl.Int64)).drop("next")
    return [
        Source(name="london", task="regression", metric="mae", target="next", frame=frame),
        Source(name="london", task="regression", metric="rmse", target="next", frame=frame, ordered=True),
        Source(name="london-above", task="classification", metric="roc_auc", target="above", frame=above),
    ]


def _taxi(data: Path) -> list[Source]:
    """Give how many taxi rides New York begins in half an hour, and whether more than a week before."""
    frame = pl.read_csv(data / "nab/realKnownCause__nyc_taxi.csv.gz").with_columns(at=_moment("timestamp"))
    rides = pl.col("value").cast(pl.Float64)
    frame = frame.select(
        rides=rides,
        half=rides.shift(1),
        hour=rides.shift(2),
        day=rides.shift(48),
        week=rides.shift(336),
        clock=pl.col("at").dt.hour().cast(pl.Float64),
        weekday=pl.col("at").dt.weekday().cast(pl.String),
    ).drop_nulls()
    more = frame.with_columns(more=(pl.col("rides") > pl.col("week")).cast(pl.Int64)).drop("rides")
    return [
        Source(name="taxi", task="regression", metric="mae", target="rides", frame=frame),
        Source(name="taxi", task="regression", metric="mae", target="rides", frame=frame, ordered=True),
        Source(name="taxi-more", task="classification", metric="accuracy", target="more", frame=more),
    ]


def _machine(data: Path) -> list[Source]:
    """Give the temperature of a machine in an hour; it failed twice."""
    file = data / "nab/realKnownCause__machine_temperature_system_failure.csv.gz"
    now = pl.col("value")
    frame = pl.read_csv(file).select(
        ahead=now.shift(-12),
        now=now,
        before=now.shift(12),
        earlier=now.shift(24),
        day=now.shift(288),
        spread=now.rolling_std(36),
        clock=_moment("timestamp").dt.hour().cast(pl.Float64),
    )
    frame = frame.drop_nulls()
    return [
        Source(name="machine", task="regression", metric="rmse", target="ahead", frame=frame),
        Source(name="machine", task="regression", metric="mae", target="ahead", frame=frame, ordered=True),
    ]


def _italy(data: Path) -> Source:
    """Give demand of an hour from the three before it, in units of each day's spread."""
    days = [
        values
        for part in ("TRAIN", "TEST")
        for values, _ in _series(data / f"ucr/ItalyPowerDemand_{part}.ts.gz")
    ]
    table = np.vstack(days)
    rows = [
        np.column_stack([table[:, at - 3 : at + 1], np.full(len(table), float(at))]) for at in range(3, 24)
    ]
    names = ["three", "two", "one", "demand", "clock"]
    frame = pl.DataFrame(np.vstack(rows), schema=names)
    return Source(name="italy", task="regression", metric="rmse", target="demand", frame=frame)


def _motions(data: Path) -> Source:
    """Give what a person does from a second of an accelerometer and a gyroscope at the wrist."""
    names = [f"{kind}_{axis}" for kind in ("acceleration", "turn") for axis in "xyz"]
    rows, labels = [], []
    for part in ("TRAIN", "TEST"):
        for values, label in _series(data / f"ucr/BasicMotions_{part}.ts.gz"):
            seconds = np.lib.stride_tricks.sliding_window_view(values, 10, axis=1)
            rows.append(np.hstack([seconds.mean(axis=2).T, seconds.std(axis=2).T]))
            labels += [label] * len(rows[-1])
    frame = pl.DataFrame(np.vstack(rows), schema=[*names, *(f"{name}_spread" for name in names)])
    return Source(
        name="motions",
        task="classification",
        metric="accuracy",
        target="motion",
        frame=frame.with_columns(motion=pl.Series(labels)),
        model="forest",
    )


def _moment(column: str) -> pl.Expr:
    return pl.col(column).str.to_datetime("%Y-%m-%d %H:%M:%S")


def _series(file: Path) -> list[tuple[NDArray[np.float64], str]]:
    """Read a file of the time series archive: values of shape (n_dimensions, length), and the class, of each case."""
    with gzip.open(file, "rt") as lines:
        cases = lines.read().partition("@data")[2].split()
    parts = [case.split(":") for case in cases]
    return [
        (np.array([[float(x) for x in each.split(",")] for each in dims]), label) for *dims, label in parts
    ]
