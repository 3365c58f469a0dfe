"""A clock that was put forward: labelled rows tell by how much, and the column is put right."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from noria.decisions.entities import Cause, Remedy
from noria.decisions.replay.engine import replay
from noria.decisions.replay.episode import read_episode
from support.episodes import ONSET, episode

SIZE = 240
PIPELINE = """
import polars as pl
from sklearn.tree import DecisionTreeClassifier

def features(raw):
    return raw.select(hour=pl.col("at").dt.hour().cast(pl.Float64), b=pl.col("b"))

def fit(features, target):
    return DecisionTreeClassifier(max_leaf_nodes=24, min_samples_leaf=20, random_state=0).fit(features, target)
"""


def rows(n: int, seed: int) -> pl.DataFrame:
    """Draw a row an hour; the target follows the hour of the day, each in its own way, and one column."""
    rng = np.random.default_rng(seed)
    first = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC).replace(tzinfo=None) + datetime.timedelta(
        hours=3_000 * seed
    )
    hours = np.arange(n)
    b = rng.normal(size=n)
    day = np.random.default_rng(9).normal(0, 2.5, 24)[(hours + 3_000 * seed) % 24]
    y = (rng.random(n) < 1 / (1 + np.exp(-(day + b)))).astype(int)
    at = pl.datetime_range(first, first + datetime.timedelta(hours=n - 1), "1h", eager=True)
    return pl.DataFrame({"at": at, "b": b, "y": y})


@pytest.mark.parametrize("description", ["", 'time = "at"\n'], ids=["a column", "the time of rows"])
def test_a_clock_is_put_right(tmp_path: Path, description: str) -> None:
    """Hours ahead are found though the column looks as ever, also where it is what dates the rows."""
    live = rows(10 * SIZE, 1).with_columns(window=pl.int_range(10 * SIZE, eager=True) // SIZE)
    ahead = live.with_columns(
        at=pl.when(pl.col("window") >= ONSET).then(pl.col("at") + pl.duration(hours=7)).otherwise("at")
    )
    folder = episode(
        tmp_path / "e", stream=ahead, pipeline=PIPELINE, description=description, reference=rows(2_400, 0)
    )

    answer = replay(read_episode(folder), environ={}, timeout_s=300.0)

    (incident,) = answer.incidents
    assert max(incident.causes, key=incident.causes.__getitem__) is Cause.INPUT_FAULT
    assert (incident.subject, incident.remedy) == ("column at", Remedy.REPAIR_INPUTS)
    assert "7 hours are taken off `at`" in incident.reason
    with_actions = np.array([q.with_actions for q in answer.quality], dtype=float)
    assert abs(with_actions[incident.detected_window + 1 :].mean() - with_actions[:ONSET].mean()) < 0.06
