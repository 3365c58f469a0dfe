"""Columns of a joined table that came with other rows: told together, and from a rule that changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from noria.decisions.entities import Cause, Remedy
from noria.decisions.replay.answer import Answer
from noria.decisions.replay.engine import replay
from noria.decisions.replay.episode import read_episode
from support.episodes import ONSET, episode

SIZE = 250
JOINED = ["temperature", "felt"]
PIPELINE = """
import polars as pl
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

def features(raw):
    return raw.select("temperature", "felt", "hour", "price", warm=pl.col("temperature") + pl.col("felt"))

def fit(features, target):
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(features, target)
"""


def rows(n: int, rng: np.random.Generator) -> pl.DataFrame:
    """Draw rows with two columns that follow one another and two that follow nothing; the target follows all."""
    temperature = rng.normal(size=n)
    felt = temperature + rng.normal(0, 0.4, n)
    hour, price = rng.normal(size=n), rng.normal(size=n)
    score = 1.2 * temperature + 0.8 * felt + 1.5 * hour + price
    y = (rng.random(n) < 1 / (1 + np.exp(-2 * score))).astype(int)
    return pl.DataFrame({"temperature": temperature, "felt": felt, "hour": hour, "price": price, "y": y})


def stream(rng: np.random.Generator) -> pl.DataFrame:
    return rows(12 * SIZE, rng).with_columns(window=pl.Series(np.repeat(np.arange(12), SIZE), dtype=pl.Int64))


def replayed(folder: Path, changed: pl.DataFrame) -> Answer:
    made = episode(folder, stream=changed, pipeline=PIPELINE, reference=rows(1500, np.random.default_rng(3)))
    return replay(read_episode(made), environ={}, timeout_s=300.0)


def test_a_wrong_join_is_told_by_all_its_columns(tmp_path: Path) -> None:
    """No column of it stands out, for they hang together; what they say of the target is gone."""
    rng = np.random.default_rng(5)
    live = stream(rng)
    order = np.arange(live.height)
    for start in range(ONSET * SIZE, live.height, SIZE):
        order[start : start + SIZE] = rng.permutation(np.arange(start, start + SIZE))

    answer = replayed(tmp_path / "e", live.with_columns(live[name].gather(order) for name in JOINED))

    incident = answer.incidents[0]
    assert max(incident.causes, key=incident.causes.__getitem__) is Cause.INPUT_FAULT
    assert incident.subject in {f"column {name}" for name in JOINED}
    assert (
        "`temperature`, `felt` hang together as always but not with the rows they came with"
        in incident.reason
    )
    assert not {Remedy.RETRAIN, Remedy.NEW_MODEL} & {each.remedy for each in answer.incidents}


def test_one_column_of_other_rows_is_told_alone(tmp_path: Path) -> None:
    """It hangs together with none, and one that says little does not join it by chance."""
    rng = np.random.default_rng(7)
    live = stream(rng)
    order = np.arange(live.height)
    for start in range(ONSET * SIZE, live.height, SIZE):
        order[start : start + SIZE] = rng.permutation(np.arange(start, start + SIZE))

    incident = replayed(tmp_path / "e", live.with_columns(live["hour"].gather(order))).incidents[0]

    assert max(incident.causes, key=incident.causes.__getitem__) is Cause.INPUT_FAULT
    assert incident.subject == "column hour"
    assert "divided" not in incident.reason


def test_a_rule_that_forgot_two_columns_is_no_wrong_join(tmp_path: Path) -> None:
    """Where the target follows a column more than it did, the others do not hold."""
    rng = np.random.default_rng(6)
    turned = (pl.col("hour") * 2 - pl.col("price") * 2 > 0).cast(pl.Int64)

    answer = replayed(
        tmp_path / "e",
        stream(rng).with_columns(y=pl.when(pl.col("window") >= ONSET).then(turned).otherwise("y")),
    )

    causes = answer.incidents[0].causes
    assert max(causes, key=causes.__getitem__) is Cause.CONCEPT_DRIFT
    assert answer.incidents[0].remedy in (Remedy.RETRAIN, Remedy.NEW_MODEL)
