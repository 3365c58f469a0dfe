"""The process of an episode's code, asked directly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from noria.decisions.replay.runner import CodeRaised, Model, Runner

PIPELINE = """
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

KIND = {kind}

def features(raw):
    return raw.select("a", "b")

def fit(features, target):
    return make_pipeline(StandardScaler(), KIND).fit(features, target)
"""


def rows(n: int, seed: int, sign: float) -> tuple[pl.DataFrame, pl.Series]:
    """Draw rows whose target follows `a` by a sign."""
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n)})
    return frame, (sign * frame["a"] > 0).cast(pl.Int64).alias("y")


@pytest.fixture
def runner(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Runner]:
    (tmp_path / "pipeline.py").write_text(PIPELINE.format(kind=request.param))
    made = Runner(tmp_path, environ={})
    yield made
    made.close()


@pytest.mark.parametrize("runner", ["SGDClassifier(random_state=0)"], indirect=True)
def test_a_model_is_trained_on_beside_what_it_was(runner: Runner, tmp_path: Path) -> None:
    """The one that stands goes on answering as it did; the other one follows the new rows."""
    module = runner.load(tmp_path / "pipeline.py", needs=("features", "fit"))
    before = runner.fit(module, *rows(400, 0, 1.0))
    after = runner.train_on(before, *rows(400, 1, -1.0))
    held, target = rows(400, 2, -1.0)

    def right(model: Model) -> float:
        return float(
            (runner.predict(model, held, classifies=True).values == target.cast(str).to_numpy()).mean()
        )

    assert right(before) < 0.1
    assert right(after) > 0.9
    assert after.classes is not None


@pytest.mark.parametrize("runner", ["LogisticRegression()"], indirect=True)
def test_a_model_that_cannot_be_trained_on_says_so(runner: Runner, tmp_path: Path) -> None:
    """What converges to the same wherever it begins would be a fit on the new rows."""
    module = runner.load(tmp_path / "pipeline.py", needs=("features", "fit"))
    model = runner.fit(module, *rows(200, 0, 1.0))

    with pytest.raises(CodeRaised, match="`LogisticRegression` cannot be trained on"):
        runner.train_on(model, *rows(200, 1, -1.0))
