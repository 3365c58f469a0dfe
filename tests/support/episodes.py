"""Small constructed episodes: a known world, a pipeline, and one thing that goes wrong in window 6."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

ONSET = 6
PIPELINE = """
import polars as pl
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

def features(raw):
    return raw.select(
        pl.col("a").log1p().alias("log_a"), pl.col("b").fill_null(0.0), (pl.col("c") == "v").cast(pl.Int8).alias("is_v")
    )

def fit(features, target):
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(features, target)
"""


def rows(n: int, rng: np.random.Generator) -> pl.DataFrame:
    """Draw rows of a world in which `b` and `d` follow `a`, and `y` follows them."""
    a = rng.gamma(2, 2, n)
    b = 0.8 * a + rng.normal(size=n)
    c = rng.choice(list("uvw"), n, p=[0.5, 0.3, 0.2])
    d = a + b + rng.normal(size=n)
    score = 1.5 * (b - 0.8 * a) + 0.8 * (a - 4) + 1.5 * (c == "v")
    y = (rng.random(n) < 1 / (1 + np.exp(-2 * score))).astype(int)
    return pl.DataFrame({"a": a, "b": b, "c": c, "d": d, "y": y})


def episode(
    folder: Path,
    *,
    stream: pl.DataFrame | None = None,
    live: dict[str, str] | None = None,
    events: list[dict[str, Any]] | None = None,
    pipeline: str = PIPELINE,
    description: str = "",
    delay: int | None = 0,
    reference: pl.DataFrame | None = None,
) -> Path:
    """Write an episode."""
    rng = np.random.default_rng(3)
    reference = rows(1500, rng) if reference is None else reference
    stream = calm(rng) if stream is None else stream
    labels = pl.lit(None, dtype=pl.Int64) if delay is None else pl.col("window") + delay
    (folder / "live").mkdir(parents=True)
    reference.write_parquet(folder / "reference.parquet")
    stream.with_columns(labels.alias("label_window")).write_parquet(folder / "stream.parquet")
    (folder / "pipeline.py").write_text(pipeline)
    for name, text in (live or {}).items():
        (folder / "live" / name).write_text(text)
    (folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events or []))
    head = 'task = "classification"\ntarget = "y"\nmetric = "accuracy"\n'
    (folder / "episode.toml").write_text(head + description + "\n[costs]\nhorizon = 5\nretrain = 0.02\n")
    return folder


def calm(rng: np.random.Generator, *, n_windows: int = 10, size: int = 250) -> pl.DataFrame:
    """Draw windows of the same world."""
    return rows(n_windows * size, rng).with_columns(
        window=pl.Series(np.repeat(np.arange(n_windows), size), dtype=pl.Int64)
    )
