"""What a replay learns from live rows: when, from how many, what comes after it, and what bars it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from noria.decisions.entities import Cause, Remedy
from noria.decisions.replay.answer import Answer
from noria.decisions.replay.calibrating import calibrations
from noria.decisions.replay.engine import replay
from noria.decisions.replay.episode import read_episode
from noria.decisions.replay.outputs import Predicted
from support.episodes import ONSET, PIPELINE, calm, episode, rows

SINCE = pl.col("window") >= ONSET
LEARNT = (Remedy.RETRAIN, Remedy.NEW_MODEL)


def run(folder: Path) -> Answer:
    return replay(read_episode(folder), environ={}, timeout_s=300.0)


def causes(answer: Answer) -> list[Cause]:
    return [max(found.causes, key=found.causes.__getitem__) for found in answer.incidents]


def turned(stream: pl.DataFrame, since: int) -> pl.DataFrame:
    """Turn the labels of rows with a large `a`."""
    rows_hit = (pl.col("window") >= since) & (pl.col("a") > 3)
    return stream.with_columns(y=pl.when(rows_hit).then(1 - pl.col("y")).otherwise("y"))


def test_one_window_teaches_nothing_alone(tmp_path: Path) -> None:
    """Its rows are of one day: the window after it judges."""
    answer = run(episode(tmp_path / "e", stream=turned(calm(np.random.default_rng(5)), ONSET)))

    assert causes(answer)[0] is Cause.CONCEPT_DRIFT
    assert answer.incidents[0].remedy in LEARNT
    with_actions = [seen.with_actions == seen.without for seen in answer.quality]
    assert with_actions[ONSET : ONSET + 3] == [True, True, False]


def test_a_deployment_that_puts_the_old_model_back_is_rolled_back(tmp_path: Path) -> None:
    """The model before the release is the one that was learnt from the new rule, not the one of training."""
    stream = turned(calm(np.random.default_rng(5), n_windows=12), 3)

    answer = run(episode(tmp_path / "e", stream=stream, live={"008.fit.py": PIPELINE}))

    assert answer.incidents[0].remedy in LEARNT
    (place,) = (number for number, found in enumerate(answer.incidents) if found.detected_window == 8)
    assert causes(answer)[place] is Cause.MODEL_REGRESSION
    assert answer.incidents[place].remedy is Remedy.ROLL_BACK_MODEL
    learnt, again = (answer.quality[number].with_actions or 0 for number in (7, 11))
    assert again > learnt - 0.05
    assert again > (answer.quality[11].without or 0) + 0.1


def test_what_was_learnt_from_few_rows_is_taught_again(tmp_path: Path) -> None:
    """A line learnt the new rule from two windows; from four, a better model is found, of the same incident."""
    stream = turned(calm(np.random.default_rng(5), n_windows=12), 3)

    answer = run(episode(tmp_path / "e", stream=stream))

    first, again = answer.incidents
    assert causes(answer) == [Cause.CONCEPT_DRIFT] * 2
    assert (first.onset_window, again.onset_window, again.detected_window) == (3, 3, 6)
    assert "taught again" in again.reason
    after = [seen.with_actions or 0 for seen in answer.quality]
    assert np.mean(after[7:]) > np.mean(after[5:7])


def test_a_column_that_the_model_does_not_lean_on_bars_nothing(tmp_path: Path) -> None:
    """A code that was never there came with the new rule; it cannot have cost what was lost, so rows may teach."""
    stream = turned(calm(np.random.default_rng(5)), ONSET).with_columns(
        c=pl.when(SINCE & (pl.col("c") == "w")).then(pl.lit("x")).otherwise("c")
    )

    answer = run(episode(tmp_path / "e", stream=stream))

    assert Cause.INPUT_FAULT not in causes(answer)
    assert answer.incidents[0].remedy in LEARNT


def test_a_version_that_is_a_little_worse_shows_on_live_rows(tmp_path: Path) -> None:
    """Few training rows cannot tell; windows of 140 rows do, by and by, each row answered by both versions."""
    worse = PIPELINE.replace(".fit(features, target)", ".fit(features.head(30), target.head(30))")
    folder = episode(
        tmp_path / "e",
        stream=calm(np.random.default_rng(5), n_windows=16, size=140),
        live={"004.fit.py": worse},
    )
    rows(150, np.random.default_rng(4)).write_parquet(folder / "reference.parquet")

    answer = run(folder)

    assert causes(answer) == [Cause.MODEL_REGRESSION]
    assert answer.incidents[0].onset_window == 4
    assert answer.incidents[0].remedy is Remedy.ROLL_BACK_MODEL


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_answers_are_mapped_to_the_new_mix_by_bayes(share: float) -> None:
    """Two normal classes: the map to another mix gives the probabilities that the densities give in it."""
    rng = np.random.default_rng(1)
    trained = np.repeat(["no", "yes"], 5_000)
    actual = np.where(rng.random(20_000) < share, "yes", "no")
    x = rng.normal(size=20_000) + 1.5 * (actual == "yes")
    odds = np.exp(1.5 * x - 1.125)  # at equal shares
    shares = np.column_stack([1 / (1 + odds), odds / (1 + odds)])
    predicted = Predicted(
        values=np.where(odds > 1, "yes", "no"), shares=shares, classes=np.array(["no", "yes"])
    )

    mapped = calibrations(actual, predicted, trained)["the answers mapped to the new mix of classes"](
        predicted
    )

    there = odds * share / (1 - share)
    assert mapped.shares is not None
    assert np.abs(mapped.shares[:, 1] - there / (1 + there)).max() < 0.02
    assert (mapped.values == actual).mean() > (predicted.values == actual).mean()
