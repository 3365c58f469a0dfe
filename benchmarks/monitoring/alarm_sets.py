"""Data sets by which nothing about alarms was chosen: the settings were fixed before these were looked at.

Load of twelve households in London (how much in the next half hour?), MNIST (is the digit 5 or more? by the means
of 49 blocks), and taxis in New York (passengers in half an hour).
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Rows(NamedTuple):
    """A data set in the order of time: inputs, and what a model is to say."""

    name: str
    x: Floats
    y: NDArray[Any]
    is_classes: bool


def disjoint_sets(folder: Path) -> Iterator[Rows]:
    """Read the data sets."""
    yield _london(folder / "electricity_london")
    yield _mnist(folder / "mnist")
    yield _taxis(folder / "nab")


def _london(folder: Path) -> Rows:
    frame = pl.read_csv(folder / "halfhourly_2013.csv.gz").sort("timestamp", "household")
    at = pl.col("timestamp").str.to_datetime("%Y-%m-%d %H:%M:%S")
    frame = frame.with_columns(
        household=pl.col("household").rank("dense"),
        before=pl.col("kwh").shift(1).over("household"),
        hour=at.dt.hour() + at.dt.minute() / 60,
        weekday=at.dt.weekday(),
        month=at.dt.month(),
    ).drop_nulls()
    columns = ["household", "before", "hour", "weekday", "month"]
    x = frame.select(pl.col(columns).cast(pl.Float64)).to_numpy()
    return Rows("electricity_london", x, frame["kwh"].to_numpy().astype(float), is_classes=False)


def _mnist(folder: Path) -> Rows:
    images = np.concatenate(
        [_bytes(folder / f"{part}-images-idx3-ubyte.gz", 16) for part in ("train", "t10k")]
    ).reshape(-1, 7, 4, 7, 4)
    digits = np.concatenate(
        [_bytes(folder / f"{part}-labels-idx1-ubyte.gz", 8) for part in ("train", "t10k")]
    )
    x = images.mean(axis=(2, 4)).reshape(len(images), 49)
    return Rows("mnist", x, (digits >= 5).astype(np.int64), is_classes=True)


def _bytes(path: Path, n_head: int) -> NDArray[np.uint8]:
    return np.frombuffer(gzip.decompress(path.read_bytes()), dtype=np.uint8, offset=n_head)


def _taxis(folder: Path) -> Rows:
    frame = pl.read_csv(folder / "realKnownCause__nyc_taxi.csv.gz")
    at = pl.col("timestamp").str.to_datetime("%Y-%m-%d %H:%M:%S")
    frame = frame.with_columns(
        before=pl.col("value").shift(1),
        hour=at.dt.hour() + at.dt.minute() / 60,
        weekday=at.dt.weekday(),
        month=at.dt.month(),
    ).drop_nulls()
    x = frame.select(pl.col("before", "hour", "weekday", "month").cast(pl.Float64)).to_numpy()
    return Rows("nyc_taxi", x, frame["value"].to_numpy().astype(float), is_classes=False)
