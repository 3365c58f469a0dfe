"""Codes that were exchanged and keep their shares: labels tell it, and a rule that changed is told from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from noria.decisions.entities import Cause, Remedy
from noria.decisions.replay.answer import Answer
from noria.decisions.replay.engine import replay
from noria.decisions.replay.episode import read_episode
from support.episodes import ONSET, PIPELINE, episode

SINCE = pl.col("window") >= ONSET
SIZE = 300
CODES = ["north", "south", "east"]
WITH_CODES = PIPELINE.replace(
    '(pl.col("c") == "v").cast(pl.Int8).alias("is_v")',
    '(pl.col("c") == "north").cast(pl.Int8).alias("n"), (pl.col("c") == "south").cast(pl.Int8).alias("s")',
)


def rows(n: int, rng: np.random.Generator) -> pl.DataFrame:
    """Draw rows whose codes are equally frequent and have to do with the target alone."""
    a, b = rng.gamma(2, 2, n), rng.normal(size=n)
    c = rng.choice(CODES, n)
    d = rng.normal(size=n)
    effect = np.select([c == "north", c == "south"], [1.5, -1.5], 0.0)
    y = (rng.random(n) < 1 / (1 + np.exp(-2 * (b + effect)))).astype(int)
    return pl.DataFrame({"a": a, "b": b, "c": c, "d": d, "y": y})


def stream(seed: int) -> pl.DataFrame:
    return rows(12 * SIZE, np.random.default_rng(seed)).with_columns(
        window=pl.Series(np.repeat(np.arange(12), SIZE), dtype=pl.Int64)
    )


def replayed(folder: Path, changed: pl.DataFrame) -> Answer:
    made = episode(
        folder,
        stream=changed,
        pipeline=WITH_CODES,
        reference=rows(1800, np.random.default_rng(3)),
    )
    return replay(read_episode(made), environ={}, timeout_s=300.0)


@pytest.mark.parametrize(
    "table",
    [
        pytest.param({"north": "south", "south": "north"}, id="two"),
        pytest.param({"north": "south", "south": "east", "east": "north"}, id="all"),
    ],
)
def test_exchanged_codes_are_put_back(tmp_path: Path, table: dict[str, str]) -> None:
    """The codes that labels tell stand in the reason, and the loss is that of calm windows again."""
    wrong = pl.col("c").replace(table)

    answer = replayed(tmp_path / "e", stream(5).with_columns(c=pl.when(SINCE).then(wrong).otherwise("c")))

    (incident,) = answer.incidents
    assert max(incident.causes, key=incident.causes.__getitem__) is Cause.INPUT_FAULT
    assert (incident.subject, incident.remedy) == ("column c", Remedy.REPAIR_INPUTS)
    assert all(f"`{now}` for `{then}`" in incident.reason for then, now in table.items())
    with_actions = np.array([q.with_actions for q in answer.quality], dtype=float)
    acted = incident.detected_window + 1
    assert np.abs(with_actions[acted + 1 :] - with_actions[:ONSET].mean()).max() < 0.09


def test_codes_are_put_back_until_their_source_is_mended(tmp_path: Path) -> None:
    """Once codes are right again the repair costs, which labels tell, and it ends."""
    wrong = pl.col("c").replace({"north": "south", "south": "north"})
    for_a_while = SINCE & (pl.col("window") < ONSET + 3)

    answer = replayed(
        tmp_path / "e", stream(6).with_columns(c=pl.when(for_a_while).then(wrong).otherwise("c"))
    )

    assert [incident.remedy for incident in answer.incidents] == [Remedy.REPAIR_INPUTS] * 2
    with_actions = np.array([q.with_actions for q in answer.quality], dtype=float)
    assert abs(with_actions[-1] - with_actions[:ONSET].mean()) < 0.09


def test_a_rule_that_turned_for_one_code_is_no_exchange(tmp_path: Path) -> None:
    """Where the answers of some rows turn, no code of them is wrong."""
    turned = pl.when(SINCE & (pl.col("c") == "north")).then(1 - pl.col("y")).otherwise("y")

    answer = replayed(tmp_path / "e", stream(7).with_columns(y=turned))

    causes = answer.incidents[0].causes
    assert max(causes, key=causes.__getitem__) is Cause.CONCEPT_DRIFT
    assert answer.incidents[0].remedy in (Remedy.RETRAIN, Remedy.NEW_MODEL)
