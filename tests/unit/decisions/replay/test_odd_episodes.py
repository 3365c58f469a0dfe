"""Episodes that lack something, or hold more than one thing: the replay ends, and says what it could not know."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from noria.decisions.entities import Cause, Remedy
from noria.decisions.replay.answer import Answer
from noria.decisions.replay.engine import replay
from noria.decisions.replay.episode import read_episode
from support.episodes import ONSET, PIPELINE, calm, episode, rows

SINCE = pl.col("window") >= ONSET


def run(folder: Path) -> Answer:
    return replay(read_episode(folder), environ={}, timeout_s=300.0)


def likeliest(answer: Answer) -> list[Cause]:
    return [max(found.causes, key=found.causes.__getitem__) for found in answer.incidents]


@pytest.fixture
def stream() -> pl.DataFrame:
    return calm(np.random.default_rng(5))


def test_a_reference_smaller_than_a_window(tmp_path: Path, stream: pl.DataFrame) -> None:
    """Calm rows after a handful of training rows are no fault of a column."""
    folder = episode(tmp_path / "e", stream=stream)
    rows(120, np.random.default_rng(3)).write_parquet(folder / "reference.parquet")

    answer = run(folder)

    assert [seen.window for seen in answer.windows] == list(range(10))
    assert not {Cause.INPUT_FAULT, Cause.PIPELINE_FAULT, Cause.MODEL_REGRESSION} & {*likeliest(answer)}


def test_windows_of_one_row_and_of_none_labelled(tmp_path: Path, stream: pl.DataFrame) -> None:
    """A window with one row has its metric; one without labels has none."""
    kept = stream.filter((pl.col("window") != 4) | (pl.int_range(pl.len()).over("window") == 0))
    folder = episode(tmp_path / "e", stream=kept)
    late = pl.when(pl.col("window") == 2).then(None).otherwise(pl.col("window"))
    pl.read_parquet(folder / "stream.parquet").with_columns(label_window=late).write_parquet(
        folder / "stream.parquet"
    )

    answer = run(folder)

    assert [(seen.n, seen.n_labelled) for seen in answer.windows][2:5:2] == [(250, 0), (1, 1)]
    assert answer.windows[2].metric is None
    assert not answer.incidents


def test_live_labels_of_one_class_only(tmp_path: Path, stream: pl.DataFrame) -> None:
    """Rows of one class only are a drift of labels, and nothing learns that there is one class."""
    answer = run(episode(tmp_path / "e", stream=stream.filter(~SINCE | (pl.col("y") == 1))))

    assert likeliest(answer)[0] in (Cause.LABEL_DRIFT, Cause.COVARIATE_DRIFT)
    assert answer.incidents[0].onset_window == ONSET


def test_a_drift_without_any_label_asks_for_labels(tmp_path: Path, stream: pl.DataFrame) -> None:
    """Inputs moved, and nobody knows what that costs."""
    moved = stream.filter(~SINCE | (pl.col("a") > 4))

    answer = run(episode(tmp_path / "e", stream=moved, delay=None))

    (incident,) = answer.incidents
    assert likeliest(answer) == [Cause.COVARIATE_DRIFT]
    assert (incident.remedy, incident.abstained) == (Remedy.ASK, True)
    assert "more labelled rows" in incident.reason


def test_labels_that_come_late_are_waited_for(tmp_path: Path, stream: pl.DataFrame) -> None:
    """A new rule is seen when its first labels come, not before."""
    turned = stream.with_columns(y=pl.when(SINCE & (pl.col("a") > 3)).then(1 - pl.col("y")).otherwise("y"))

    answer = run(episode(tmp_path / "e", stream=turned, delay=2))

    assert likeliest(answer)[0] is Cause.CONCEPT_DRIFT
    assert answer.incidents[0].onset_window == ONSET
    assert answer.incidents[0].detected_window == ONSET + 2


def test_a_column_that_was_shuffled_among_the_rows(tmp_path: Path, stream: pl.DataFrame) -> None:
    """Its values are what they were; its relation to the others is not, and nothing is trained on it."""
    order = np.random.default_rng(1).permutation(250)
    shuffled = stream.with_columns(
        b=pl.when(SINCE).then(pl.col("b").gather(order.tolist()).over("window")).otherwise("b")
    )

    answer = run(episode(tmp_path / "e", stream=shuffled))

    assert likeliest(answer)[0] is Cause.INPUT_FAULT
    assert answer.incidents[0].subject == "column b"
    assert not {Remedy.RETRAIN, Remedy.NEW_MODEL} & {found.remedy for found in answer.incidents}


def test_rows_that_got_the_inputs_of_others(tmp_path: Path, stream: pl.DataFrame) -> None:
    """Columns and their relations are whole, targets contradict one another: nothing is learnt from such rows."""
    given = pl.int_range(pl.len()).over("window") % 5 < 3
    wrong = stream.with_columns(
        pl.when(SINCE & given).then(pl.col(name).shift(7)).otherwise(name).alias(name) for name in "abcd"
    )

    answer = run(episode(tmp_path / "e", stream=wrong))

    assert likeliest(answer)[0] is Cause.INPUT_FAULT
    assert (answer.incidents[0].subject, answer.incidents[0].remedy) == ("rows", Remedy.REPAIR_INPUTS)
    assert not {Remedy.RETRAIN, Remedy.NEW_MODEL} & {found.remedy for found in answer.incidents}


def test_rows_that_were_drawn_with_replacement_are_no_fault(tmp_path: Path, stream: pl.DataFrame) -> None:
    """As a simulation of drift gives them: one class became frequent, and its rows come several times."""
    rng = np.random.default_rng(2)
    drawn = []
    for (number,), window in stream.group_by("window", maintain_order=True):
        weights = np.where((window["y"].to_numpy() == 1) & (number >= ONSET), 6.0, 1.0)
        drawn.append(window[rng.choice(len(window), size=len(window), p=weights / weights.sum())])

    answer = run(episode(tmp_path / "e", stream=pl.concat(drawn)))

    assert Cause.INPUT_FAULT not in likeliest(answer)


def test_two_things_at_once(tmp_path: Path, stream: pl.DataFrame) -> None:
    """A bad release and a column in another unit: both are named, one after the other, and both are mended."""
    other_unit = stream.with_columns(a=pl.when(SINCE).then(pl.col("a") * 1000).otherwise("a"))
    zeroed = PIPELINE.replace('pl.col("b").fill_null(0.0)', 'pl.lit(0.0).alias("b")')

    answer = run(episode(tmp_path / "e", stream=other_unit, live={f"{ONSET:03d}.py": zeroed}))

    assert {Cause.INPUT_FAULT, Cause.PIPELINE_FAULT} <= {*likeliest(answer)}
    last = answer.quality[-1]
    assert last.with_actions is not None
    assert last.without is not None
    assert last.with_actions > last.without + 0.1


def test_an_announced_change_is_told_though_it_costs_nothing(tmp_path: Path, stream: pl.DataFrame) -> None:
    """A column that the model does not use changes its sign, as was said: no more is done than is of use."""
    turned = stream.with_columns(d=pl.when(SINCE).then(-pl.col("d")).otherwise("d"))
    said = [{"window": ONSET, "type": "schema", "subject": "d", "text": "d has the other sign from now on"}]

    answer = run(episode(tmp_path / "e", stream=turned, events=said))

    assert likeliest(answer) == [Cause.INPUT_CHANGE]
    assert answer.incidents[0].subject == "column d"
    assert answer.value == 0


def test_a_bad_release_while_something_harmless_is_looked_into(tmp_path: Path, stream: pl.DataFrame) -> None:
    """A code that was never there costs nothing; the version that comes later is named by itself, from its window."""
    unseen = stream.with_columns(
        c=pl.when((pl.col("window") >= ONSET - 2) & (pl.col("c") == "w")).then(pl.lit("x")).otherwise("c")
    )
    worse = PIPELINE.replace(".fit(features, target)", ".fit(features, target.shuffle(0))")

    answer = run(episode(tmp_path / "e", stream=unseen, live={f"{ONSET:03d}.fit.py": worse}))

    found = {max(i.causes, key=i.causes.__getitem__): i for i in answer.incidents}
    assert found[Cause.MODEL_REGRESSION].onset_window == ONSET
    assert found[Cause.MODEL_REGRESSION].remedy is Remedy.ROLL_BACK_MODEL


def test_a_bad_version_behind_an_announced_change(tmp_path: Path, stream: pl.DataFrame) -> None:
    """Behind a version that has one answer no mend of a column shows: both are undone together."""
    other_unit = stream.with_columns(a=pl.when(SINCE).then(pl.col("a") * 1000).otherwise("a"))
    said = [
        {"window": ONSET - 1, "type": "source change", "subject": "a", "text": "a will come in thousandths"}
    ]
    constant = PIPELINE.replace(".fit(features, target)", ".fit(features * 0, target)")

    answer = run(
        episode(tmp_path / "e", stream=other_unit, events=said, live={f"{ONSET:03d}.fit.py": constant})
    )

    assert likeliest(answer)[0] in (Cause.INPUT_CHANGE, Cause.MODEL_REGRESSION)
    last = answer.quality[-1]
    assert (last.with_actions or 0) > (last.without or 0) + 0.1
    assert (last.with_actions or 0) > (answer.quality[ONSET - 1].without or 0) - 0.06


def test_what_a_mend_leaves_is_looked_into(tmp_path: Path, stream: pl.DataFrame) -> None:
    """Code is put right at once; labels that mean something else since the same window are found behind it."""
    turned = stream.with_columns(y=pl.when(SINCE & (pl.col("a") > 3)).then(1 - pl.col("y")).otherwise("y"))
    zeroed = PIPELINE.replace('pl.col("b").fill_null(0.0)', 'pl.lit(0.0).alias("b")')

    answer = run(episode(tmp_path / "e", stream=turned, live={f"{ONSET:03d}.py": zeroed}))

    assert likeliest(answer) == [Cause.PIPELINE_FAULT, Cause.CONCEPT_DRIFT]
    assert [incident.remedy for incident in answer.incidents] == [Remedy.FIX_PIPELINE, Remedy.RETRAIN]


def test_a_class_that_was_never_in_training(tmp_path: Path) -> None:
    """It is named by its labels, and the model is taught it."""
    stream = calm(np.random.default_rng(5), size=300)
    named = stream.with_columns(y=pl.when(SINCE & (pl.col("a") > 5)).then(2).otherwise("y"))

    answer = run(episode(tmp_path / "e", stream=named))

    assert likeliest(answer)[0] is Cause.NEW_CLASS
    assert answer.incidents[0].subject == "class 2"
    assert not [alert for alert in answer.windows[-1].alerts if "never in training" in alert]
    assert answer.incidents[0].remedy in (Remedy.RETRAIN, Remedy.NEW_MODEL)
    assert answer.value > 0


def test_auc_is_watched_as_accuracy_is(tmp_path: Path, stream: pl.DataFrame) -> None:
    """A ranking that became worse is a rise of the loss too."""
    turned = stream.with_columns(y=pl.when(SINCE & (pl.col("a") > 3)).then(1 - pl.col("y")).otherwise("y"))
    folder = episode(tmp_path / "e", stream=turned)
    text = (folder / "episode.toml").read_text()
    (folder / "episode.toml").write_text(text.replace('"accuracy"', '"roc_auc"'))

    answer = run(folder)

    assert likeliest(answer)[0] is Cause.CONCEPT_DRIFT
    assert any(alert.startswith("quality") for alert in answer.windows[ONSET].alerts)


def test_a_version_is_not_rolled_back_onto_broken_inputs(tmp_path: Path, stream: pl.DataFrame) -> None:
    """A constant version bears a broken column better than the one before: both are mended, or the better is kept."""
    broken = stream.with_columns(b=pl.when(SINCE).then(pl.col("b") * -40).otherwise("b"))
    constant = PIPELINE.replace(
        "LogisticRegression()", '__import__("sklearn.dummy", fromlist=["x"]).DummyClassifier()'
    )

    answer = run(episode(tmp_path / "e", stream=broken, live={f"{ONSET:03d}.fit.py": constant}))

    first, last = answer.quality[ONSET], answer.quality[-1]
    assert {Cause.INPUT_FAULT, Cause.MODEL_REGRESSION} & {*likeliest(answer)}
    assert first.without is not None
    assert last.without is not None
    assert last.with_actions is not None
    assert last.with_actions >= last.without - 0.02
    assert answer.value >= 0
