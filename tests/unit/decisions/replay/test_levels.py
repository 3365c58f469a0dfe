"""A column that hangs together with no other and reads higher: wrong where putting it back is what labels ask for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from noria.decisions.entities import Cause, Remedy
from noria.decisions.replay.answer import Answer
from noria.decisions.replay.engine import replay
from noria.decisions.replay.episode import read_episode
from support.episodes import ONSET, episode

SIZE = 300
PIPELINE = """
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier

def features(raw):
    return raw.select("a", "b")

def fit(features, target):
    return HistGradientBoostingClassifier(max_iter=40, random_state=0).fit(features, target)
"""


def rows(n: int, seed: int, *, level: float = 0.0) -> pl.DataFrame:
    """Draw rows whose `a` and `b` have nothing to do with one another; the target follows a wave of `a`, and `b`."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(20 + level, 4, n), rng.normal(size=n)
    y = (rng.random(n) < 1 / (1 + np.exp(-(4 * np.sin(a / 2) + b)))).astype(int)
    return pl.DataFrame({"a": a, "b": b, "y": y})


def found(folder: Path, stream: pl.DataFrame) -> Answer:
    made = episode(folder, stream=stream, pipeline=PIPELINE, reference=rows(2_400, 0))
    return replay(read_episode(made), environ={}, timeout_s=300.0)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [(pl.col("a") + 3.0, "after taking"), (pl.col("a") * 1.4 - 4.0, "is divided by")],
    ids=["a level", "a line"],
)
def test_a_column_that_reads_otherwise_is_put_back(tmp_path: Path, wrong: pl.Expr, words: str) -> None:
    """Hardly a value lies outside what there was, so that labels alone tell a fault from a world that moved."""
    live = windows(rows(10 * SIZE, 1))
    off = live.with_columns(a=pl.when(pl.col("window") >= ONSET).then(wrong).otherwise("a"))

    answer = found(tmp_path / "e", off)

    (incident,) = answer.incidents
    assert max(incident.causes, key=incident.causes.__getitem__) is Cause.INPUT_FAULT
    assert (incident.subject, incident.remedy) == ("column a", Remedy.REPAIR_INPUTS)
    assert words in incident.reason
    with_actions = np.array([q.with_actions for q in answer.quality], dtype=float)
    assert abs(with_actions[incident.detected_window + 1 :].mean() - with_actions[:ONSET].mean()) < 0.06


def test_a_world_that_moved_is_left_as_it_is(tmp_path: Path) -> None:
    """The same rows are likelier by as much as a sensor would be off, and targets go with them."""
    moved = pl.concat([rows(ONSET * SIZE, 1), rows(4 * SIZE, 2, level=6.0)])

    answer = found(tmp_path / "e", windows(moved))

    for incident in answer.incidents:
        assert max(incident.causes, key=incident.causes.__getitem__) is not Cause.INPUT_FAULT
        assert incident.remedy is not Remedy.REPAIR_INPUTS


def windows(live: pl.DataFrame) -> pl.DataFrame:
    return live.with_columns(window=pl.int_range(live.height, eager=True) // SIZE)
