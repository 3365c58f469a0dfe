"""Numbers that come as text, as a sender with another locale writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from noria.decisions.entities import Cause, Remedy
from noria.decisions.replay.engine import replay
from noria.decisions.replay.episode import read_episode
from noria.decisions.replay.reading import readings
from noria.decisions.replay.rows import Columns, columns_of, read_plainly
from support.episodes import ONSET, calm, episode, rows

SINCE = pl.col("window") >= ONSET
ALONE = """
from sklearn.linear_model import LogisticRegression

def features(raw):
    return raw.select("a")

def fit(features, target):
    return LogisticRegression().fit(features.to_numpy(), target.to_numpy())
"""


def never(_: Columns) -> bool:
    return False


@pytest.mark.parametrize(
    ("texts", "numbers", "words"),
    [
        (["12,5", "-3", "0,25", None], [12.5, -3.0, 0.25, None], "a decimal comma"),
        (["12,5 °C", "3.5", "7"], [12.5, 3.5, 7.0], "a decimal comma"),
        (["1.234,5", "12,5", "3"], [1234.5, 12.5, 3.0], "a decimal comma"),
        (["1 234,5", "12\u202f345,6"], [1234.5, 12345.6], "a decimal comma"),
        (["1,234.5", "12,345.0"], [1234.5, 12345.0], "marks between thousands, or units beside them"),
        (["EUR 10", "7.5 kg"], [10.0, 7.5], "marks between thousands, or units beside them"),
    ],
)
def test_a_form_gives_the_numbers(texts: list[str | None], numbers: list[float | None], words: str) -> None:
    """The first form by which nearly all texts are numbers; what is missing stays so."""
    reference = pl.DataFrame({"a": [0.5, 1.5, 2.5]})
    raw = pl.DataFrame({"a": texts})

    ways = list(readings("a", reference, raw, columns_of(raw, reference, ["a"]), never))

    said, read = ways[0]
    assert said == f"texts of `a` are read as numbers with {words}"
    assert read(raw)["a"].to_list() == numbers


def test_points_between_thousands_are_told_by_what_the_numbers_were() -> None:
    """`1.234` is a number as it stands; only what the column was tells that it is a thousand and more."""
    reference = pl.DataFrame({"a": [900.0, 1500.0, 2500.0]})
    raw = pl.DataFrame({"a": ["1.234", "2.500,5", "990,5"]})

    def too_small(columns: Columns) -> bool:
        return bool((columns["a"] < 100).any())

    (words, read), *_ = readings("a", reference, raw, columns_of(raw, reference, ["a"]), too_small)
    assert "points between thousands" in words
    assert read(raw)["a"].to_list() == [1234.0, 2500.5, 990.5]


def test_words_are_no_numbers() -> None:
    """Most texts have to be numbers, and numbers that came as such are none of it."""
    reference = pl.DataFrame({"a": [1, 2, 3]})
    for raw in (pl.DataFrame({"a": ["high", "low", "3"]}), pl.DataFrame({"a": [4, 5, 6]})):
        assert list(readings("a", reference, raw, columns_of(raw, reference, ["a"]), never)) == []


def test_plain_numbers_of_a_recording_are_what_they_were() -> None:
    """A recording holds a column as text in all windows if it was text in one."""
    reference = pl.DataFrame({"a": [1.5, 2.5], "n": [1, 2], "c": ["u", "v"]})
    plain = pl.DataFrame({"a": ["3.5", None], "n": ["4", "5"], "c": ["1", "2"]})

    assert read_plainly(plain, reference).schema == reference.schema
    assert read_plainly(plain.with_columns(a=pl.lit("3,5")), reference).schema["a"] == pl.String


def test_another_locale_is_read_as_what_it_means(tmp_path: Path) -> None:
    """The pipeline raises on texts; read as numbers, the rows are answered as ever."""
    live = calm(np.random.default_rng(5))
    comma = pl.col("a").round(4).cast(pl.String).str.replace(".", ",", literal=True)
    told = live.with_columns(a=pl.when(SINCE).then(comma).otherwise(pl.col("a").cast(pl.String)))

    answer = replay(read_episode(episode(tmp_path / "e", stream=told)), environ={}, timeout_s=300.0)

    (incident,) = answer.incidents
    assert max(incident.causes, key=incident.causes.__getitem__) is Cause.INPUT_FAULT
    assert (incident.subject, incident.remedy) == ("column a", Remedy.REPAIR_INPUTS)
    assert "texts of `a` are read as numbers with a decimal comma" in incident.reason
    before = np.array([seen.without for seen in answer.quality[:ONSET]], dtype=float)
    after = np.array([seen.with_actions for seen in answer.quality[ONSET + 1 :]], dtype=float)
    assert abs(after.mean() - before.mean()) < 0.05


def test_a_lost_column_that_is_the_only_one_is_told(tmp_path: Path) -> None:
    """No other column estimates it, and its texts are no numbers in any form."""
    live = calm(np.random.default_rng(5)).select("a", "y", "window")
    lost = live.with_columns(a=pl.when(SINCE).then(pl.lit("n/a")).otherwise(pl.col("a").cast(pl.String)))
    made = episode(
        tmp_path / "e",
        stream=lost,
        pipeline=ALONE,
        reference=rows(1500, np.random.default_rng(3)).select("a", "y"),
    )

    (incident,) = replay(read_episode(made), environ={}, timeout_s=300.0).incidents
    assert max(incident.causes, key=incident.causes.__getitem__) is Cause.INPUT_FAULT
    assert incident.subject == "column a"
