"""Recorded history through the whole loop: the cause is named, the remedy taken, and bad episodes are refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from noria.core.errors import NoriaError
from noria.decisions.entities import Cause, Remedy
from noria.decisions.replay.answer import Answer
from noria.decisions.replay.engine import replay
from noria.decisions.replay.episode import EpisodeInvalid, read_episode
from support.episodes import ONSET, PIPELINE, calm, episode, rows

SINCE = pl.col("window") >= ONSET


def run(folder: Path, *, timeout_s: float = 300.0) -> Answer:
    return replay(read_episode(folder), environ={"NORIA_TOKEN": "secret"}, timeout_s=timeout_s)


def cause_of(answer: Answer) -> Cause:
    causes = answer.incidents[0].causes
    return max(causes, key=causes.__getitem__)


@pytest.fixture
def stream() -> pl.DataFrame:
    return calm(np.random.default_rng(5))


class TestIncidents:
    """One thing goes wrong, and is named."""

    def test_nothing_happens_and_nothing_is_said(self, tmp_path: Path, stream: pl.DataFrame) -> None:
        """A calm world with an innocent deployment gives no incident; every window has its metric and interval."""
        innocent = {f"{ONSET:03d}.py": PIPELINE + "\nBUILD = 2\n"}

        answer = run(episode(tmp_path / "e", stream=stream, live=innocent))

        assert not answer.incidents
        assert answer.value == 0
        assert [seen.window for seen in answer.windows] == list(range(10))
        for seen in answer.windows:
            assert seen.metric is not None
            assert seen.interval is not None
            assert seen.interval[0] <= seen.metric <= seen.interval[1]
        assert all(q.without == q.with_actions for q in answer.quality)

    def test_a_unit_is_scaled_back(self, tmp_path: Path, stream: pl.DataFrame) -> None:
        """Without any label the column is named at once, and its repair gives the quality back."""
        changed = stream.with_columns(b=pl.when(SINCE).then(pl.col("b") * 1000).otherwise(pl.col("b")))

        answer = run(episode(tmp_path / "e", stream=changed, delay=None))

        (incident,) = answer.incidents
        assert (incident.onset_window, incident.detected_window) == (ONSET, ONSET)
        assert cause_of(answer) is Cause.INPUT_FAULT
        assert incident.subject == "column b"
        assert incident.remedy is Remedy.REPAIR_INPUTS
        assert answer.value > 0.3
        assert all(seen.metric is None for seen in answer.windows)

    def test_an_announced_unit_is_a_change(self, tmp_path: Path, stream: pl.DataFrame) -> None:
        """What the event log says on the column turns the fault into a change by design."""
        changed = stream.with_columns(b=pl.when(SINCE).then(pl.col("b") * 1000).otherwise(pl.col("b")))
        said = [
            {"window": ONSET, "type": "schema", "subject": "b", "text": "b is in thousandths from now on"}
        ]

        answer = run(episode(tmp_path / "e", stream=changed, events=said))

        assert cause_of(answer) is Cause.INPUT_CHANGE
        assert answer.incidents[0].remedy is Remedy.FIX_PIPELINE
        assert answer.value > 0.3

    def test_an_announced_scale_with_an_offset_is_mapped_back(
        self, tmp_path: Path, stream: pl.DataFrame
    ) -> None:
        """Slope and offset are told by what the other columns say of each row, and hold in every later window."""
        other = pl.col("d") * 2.2 + 13
        changed = stream.with_columns(d=pl.when(SINCE).then(other).otherwise(pl.col("d")))
        said = [{"window": ONSET - 1, "type": "source change", "subject": "d", "text": "another scale"}]
        pipeline = PIPELINE.replace('pl.col("b").fill_null(0.0)', '(pl.col("d") - pl.col("a")).alias("b")')

        answer = run(episode(tmp_path / "e", stream=changed, events=said, pipeline=pipeline))

        (incident,) = answer.incidents
        assert cause_of(answer) is Cause.INPUT_CHANGE
        assert incident.remedy is Remedy.FIX_PIPELINE
        assert "divided by 2." in incident.reason
        with_actions = np.array([q.with_actions for q in answer.quality], dtype=float)
        assert np.abs(with_actions[ONSET + 1 :] - with_actions[:ONSET].mean()).max() < 0.08

    def test_a_column_that_came_late_is_moved_back(self, tmp_path: Path, stream: pl.DataFrame) -> None:
        """Values that arrive with later rows are told by the other columns, with the number of rows."""
        late = pl.col("b").shift(3).backward_fill()
        changed = stream.with_columns(b=pl.when(SINCE).then(late).otherwise(pl.col("b")))

        answer = run(episode(tmp_path / "e", stream=changed, delay=None))

        assert cause_of(answer) is Cause.INPUT_FAULT
        assert answer.incidents[0].subject == "column b"
        assert answer.incidents[0].remedy is Remedy.REPAIR_INPUTS
        assert "moved back by 3 rows" in answer.incidents[0].reason
        assert answer.value > 0.2

    def test_cut_codes_are_put_back_at_once(self, tmp_path: Path, stream: pl.DataFrame) -> None:
        """Codes of which most were never there are no world's doing, and begin the codes that are gone."""
        codes = pl.col("c").replace_strict({"u": "urban", "v": "village", "w": "woods"})
        pipeline = PIPELINE.replace('== "v"', '== "village"')
        folder = episode(
            tmp_path / "e",
            stream=stream.with_columns(c=pl.when(SINCE).then(codes.str.head(2)).otherwise(codes)),
            pipeline=pipeline,
            delay=None,
            reference=rows(1500, np.random.default_rng(3)).with_columns(c=codes),
        )

        answer = run(folder)

        (incident,) = answer.incidents
        assert (incident.detected_window, incident.remedy) == (ONSET, Remedy.REPAIR_INPUTS)
        assert "codes of `c` are put back" in incident.reason
        assert answer.value > 0.1

    def test_faulty_code_is_found_by_replaying_the_training_rows(
        self, tmp_path: Path, stream: pl.DataFrame
    ) -> None:
        """The feature is named, and the code before takes its place from the next window on."""
        faulty = {f"{ONSET:03d}.py": PIPELINE.replace('pl.col("b").fill_null(0.0)', 'pl.col("b") * 0 + 1')}

        answer = run(episode(tmp_path / "e", stream=stream, live=faulty, delay=None))

        assert cause_of(answer) is Cause.PIPELINE_FAULT
        assert answer.incidents[0].subject == "feature b"
        assert answer.incidents[0].remedy is Remedy.FIX_PIPELINE
        assert answer.value > 0.2

    @pytest.mark.soak
    def test_a_worse_model_is_rolled_back(self, tmp_path: Path, stream: pl.DataFrame) -> None:
        """A version that learnt from shuffled labels is told by held-out training rows."""
        worse = PIPELINE.replace(".fit(features, target)", ".fit(features, target.shuffle(0))")

        answer = run(episode(tmp_path / "e", stream=stream, live={f"{ONSET:03d}.fit.py": worse}))

        assert cause_of(answer) is Cause.MODEL_REGRESSION
        assert answer.incidents[0].remedy is Remedy.ROLL_BACK_MODEL
        assert f"{ONSET:03d}.fit.py" in str(answer.incidents[0].subject)

    def test_a_new_relation_is_learnt(self, tmp_path: Path, stream: pl.DataFrame) -> None:
        """Labels that mean something else lead to a retraining that surely pays."""
        turned = stream.with_columns(
            y=pl.when(SINCE & (pl.col("a") > 3)).then(1 - pl.col("y")).otherwise(pl.col("y"))
        )

        answer = run(episode(tmp_path / "e", stream=turned))

        assert cause_of(answer) is Cause.CONCEPT_DRIFT
        assert answer.incidents[0].remedy is Remedy.RETRAIN
        tried = {candidate.remedy: candidate for candidate in answer.incidents[0].candidates}
        interval = tried[Remedy.RETRAIN].interval
        assert interval is not None
        assert interval[0] > 0

    @pytest.mark.soak
    def test_what_the_policy_forbids_is_not_done(self, tmp_path: Path, stream: pl.DataFrame) -> None:
        """A forbidden repair is listed as such, and the rows stay as they are."""
        gone = stream.with_columns(b=pl.when(SINCE).then(None).otherwise(pl.col("b")))
        folder = episode(tmp_path / "e", stream=gone, description='[policy]\nrepair_inputs = "forbid"\n')

        answer = run(folder)

        assert answer.incidents[0].remedy is not Remedy.REPAIR_INPUTS
        assert answer.value == 0


class TestBadEpisodes:
    """What is no episode, or misbehaves, is refused with its reason."""

    @pytest.mark.parametrize(
        ("description", "says"),
        [
            ('metrik = "x"\n', "metrik"),
            ('[policy]\nretrian = "ask"\n', "episode.toml"),
            ('key = "id"\n', "id"),
        ],
    )
    def test_unknown_keys_and_columns(self, tmp_path: Path, description: str, says: str) -> None:
        """They are named."""
        with pytest.raises(EpisodeInvalid, match=says):
            read_episode(episode(tmp_path / "e", description=description))

    def test_missing_columns_and_windows(self, tmp_path: Path, stream: pl.DataFrame) -> None:
        """A stream without a column, or with a window that is none, is refused."""
        with pytest.raises(EpisodeInvalid, match="`b`"):
            read_episode(episode(tmp_path / "one", stream=stream.drop("b")))
        with pytest.raises(EpisodeInvalid, match="whole numbers"):
            read_episode(episode(tmp_path / "two", stream=stream.with_columns(pl.col("window") + 0.5)))

    @pytest.mark.parametrize(
        ("line", "says"),
        [
            ("import socket; socket.socket()", "opened a socket"),
            (
                "import os, contextlib\n    with contextlib.suppress(OSError): os.mkdir('/tmp/noria-was-here')",
                "wrote outside its folder",
            ),
            ("import time; time.sleep(600)", "did not end"),
            (
                "import os; assert 'NORIA_TOKEN' not in os.environ, 'leaked'; open('mine', 'w').close(); 1 / 0",
                "ZeroDivision",
            ),
        ],
    )
    def test_code_that_misbehaves(self, tmp_path: Path, line: str, says: str) -> None:
        """It raises, connects, writes elsewhere or hangs: the replay ends and says so."""
        text = PIPELINE.replace("def features(raw):", f"def features(raw):\n    {line}")
        folder = episode(tmp_path / "e", pipeline=text)

        with pytest.raises(NoriaError, match=says):
            run(folder, timeout_s=5.0 if "sleep" in line else 300.0)
        assert not Path("/tmp/noria-was-here").exists()  # noqa: S108 - what must not be

    def test_it_ends_even_when_live_code_raises(self, tmp_path: Path, stream: pl.DataFrame) -> None:
        """Production would have failed as well: that is a pipeline fault, and mended."""
        live = {f"{ONSET:03d}.py": "def features(raw):\n    raise KeyError('gone')\n"}

        answer = run(episode(tmp_path / "e", stream=stream, live=live))

        assert cause_of(answer) is Cause.PIPELINE_FAULT
        assert answer.incidents[0].remedy is Remedy.FIX_PIPELINE
        assert "gone" in answer.incidents[0].reason


def test_the_answer_has_the_keys_that_are_documented(tmp_path: Path) -> None:
    """As JSON: windows, incidents, quality, value, and in each what the guide lists."""
    import msgspec

    rng = np.random.default_rng(5)
    gone = calm(rng, n_windows=8, size=60).with_columns(b=pl.when(SINCE).then(None).otherwise(pl.col("b")))

    found = json.loads(msgspec.json.encode(run(episode(tmp_path / "e", stream=gone))))

    assert set(found) == {"windows", "incidents", "quality", "value"}
    assert set(found["windows"][0]) == {"window", "n", "n_labelled", "metric", "interval", "alerts"}
    assert set(found["quality"][0]) == {"window", "with", "without"}
    assert set(found["incidents"][0]) == {
        *(
            "onset_window",
            "detected_window",
            "causes",
            "subject",
            "remedy",
            "candidates",
            "abstained",
            "reason",
        )
    }
    assert set(found["incidents"][0]["causes"]) == set(Cause)
