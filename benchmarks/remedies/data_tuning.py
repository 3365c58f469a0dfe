"""Real data sets that thresholds were tuned on."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from episodes import Source


def sources(data: Path) -> list[Source]:
    """Read them."""
    return [*_elec(data), *_bike(data), _digits()]


def _elec(data: Path) -> list[Source]:
    frame = pl.read_csv(data / "elec2/elec2.csv.gz").drop("date").with_columns(pl.col("day").cast(pl.String))
    frame = frame.with_columns(
        pl.col(c).cast(pl.Float64) for c in frame.columns if frame[c].dtype.is_numeric()
    )
    frame = frame.filter(pl.col("transfer") != pl.col("transfer").first())
    return [
        Source(
            name="elec", task="classification", metric=metric, target="class", frame=frame, ordered=ordered
        )
        for metric, ordered in (
            ("accuracy", False),
            ("log_loss", False),
            ("roc_auc", False),
            ("accuracy", True),
        )
    ]


def _bike(data: Path) -> list[Source]:
    frame = pl.read_csv(data / "bike_sharing/hour.csv.gz").drop(
        "instant", "dteday", "casual", "registered", "yr"
    )
    codes = ("season", "weathersit", "weekday")
    frame = frame.with_columns(
        pl.col(c).cast(pl.String) if c in codes else pl.col(c).cast(pl.Float64) for c in frame.columns
    )
    season = frame.drop("mnth", "atemp").with_columns(season="s" + pl.col("season"))
    return [
        *(
            Source(name="bike", task="regression", metric=metric, target="cnt", frame=frame, ordered=ordered)
            for metric, ordered in (("mae", False), ("rmse", False), ("mae", True))
        ),
        Source(name="bike-season", task="classification", metric="accuracy", target="season", frame=season),
    ]


def _digits() -> Source:
    from sklearn.datasets import load_digits

    found = load_digits()
    frame = pl.DataFrame(found.data, schema=[f"p{i}" for i in range(64)]).with_columns(
        pl.Series("digit", found.target)
    )
    keep = [c for c in frame.columns if frame[c].n_unique() > 8]
    return Source(
        name="digits",
        task="classification",
        metric="accuracy",
        target="digit",
        frame=frame[keep],
        model="linear",
    )
