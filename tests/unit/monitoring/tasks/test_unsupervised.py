"""Reports of models without a target, on the iris flowers and at the edges."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.ensemble import IsolationForest

from noria.monitoring.tasks.unsupervised import unsupervised_report

START = datetime(2030, 1, 1, tzinfo=UTC)
X = load_iris().data
RNG = np.random.default_rng(3)
KNOWN = X[RNG.integers(len(X), size=600)] + RNG.normal(scale=0.1, size=(600, 4))


def _columns(x: np.ndarray) -> dict[str, np.ndarray]:
    return {f"x[{i}]": x[:, i] for i in range(x.shape[1])}


def _times(n: int) -> list[datetime]:
    return [START + timedelta(minutes=i) for i in range(n)]


def _fresh(n: int, rng: np.random.Generator) -> np.ndarray:
    return np.asarray(X[rng.integers(len(X), size=n)] + rng.normal(scale=0.1, size=(n, 4)))


def test_quiet_rows_raise_few_windows_and_lie_as_near_as_others() -> None:
    """Of 60 quiet reports of ten windows, at most a few have a window that differs."""
    model = KMeans(3, n_init=1, random_state=0).fit(KNOWN)
    n_differing = 0
    for seed in range(60):
        rows = _fresh(2000, np.random.default_rng(seed))
        answers = model.predict(rows).tolist()
        found, lacks = unsupervised_report(None, model.predict(KNOWN), {}, answers, _times(2000))
        n_differing += any(window.differs for window in found.windows)
        assert len(found.windows) == 10
        assert any("without a sample" in lack for lack in lacks)
    assert n_differing <= 6


def test_a_cluster_that_grew_is_seen_when_it_grew() -> None:
    """The first half of the rows is quiet, and of the second most are of one kind."""
    model = KMeans(3, n_init=1, random_state=0).fit(KNOWN)
    rng = np.random.default_rng(0)
    rows = np.concatenate([_fresh(1000, rng), X[rng.integers(50, size=1000)]])
    found, _ = unsupervised_report(
        _columns(KNOWN), model.predict(KNOWN), _columns(rows), model.predict(rows).tolist(), _times(2000)
    )

    assert found.answers == "clusters"
    assert [window.differs for window in found.windows] == [False] * 5 + [True] * 5
    assert sum(share.current for share in found.shares) == pytest.approx(1.0)


def test_rows_of_another_kind_are_far() -> None:
    """Flowers twice as large lie beyond nearly all reference rows; fresh ones of the same kind do not."""
    rng = np.random.default_rng(1)
    quiet, _ = unsupervised_report(_columns(KNOWN), None, _columns(_fresh(500, rng)), [], [])
    large, lacks = unsupervised_report(_columns(KNOWN), None, _columns(2 * _fresh(500, rng)), [], [])

    assert quiet.distances is not None
    assert quiet.distances.p_value > 0.01
    assert large.distances is not None
    assert large.distances.far_share > 0.9
    assert large.distances.p_value < 1e-6
    assert large.distances.median_current > 3 * large.distances.median_reference
    assert any("golden batch" in lack for lack in lacks)


def test_scores_of_strangeness_are_compared_as_numbers() -> None:
    """Scores of an isolation forest for larger flowers are of another distribution."""
    forest = IsolationForest(n_estimators=50, random_state=0).fit(KNOWN)
    rng = np.random.default_rng(2)
    before = forest.score_samples(KNOWN)
    same, _ = unsupervised_report(
        None, before, {}, forest.score_samples(_fresh(400, rng)).tolist(), _times(400)
    )
    other, _ = unsupervised_report(
        None, before, {}, forest.score_samples(1.5 * _fresh(400, rng)).tolist(), _times(400)
    )

    assert same.answers == other.answers == "scores"
    assert not any(window.differs for window in same.windows)
    assert all(window.differs for window in other.windows)


@pytest.mark.parametrize(
    ("reference", "answers", "current", "said"),
    [
        (None, [1] * 50, {}, "no golden batch"),
        (np.zeros(10), [1] * 50, {}, "no golden batch"),
        (np.arange(60) % 3, [1] * 5, {}, "5 rows have an answer"),
        (np.arange(60) % 3, [None, float("nan"), [1]] * 20, {}, "0 rows have an answer"),
        (np.arange(60) % 3, [1] * 50, {"other": np.zeros(50)}, "no numeric column in common"),
        (np.arange(60) % 3, [1] * 50, {"x[0]": np.zeros(3)}, "too few"),
        (np.arange(60) % 3, [1] * 50, {"x[0]": np.full(50, np.nan)}, "no row without a missing value"),
    ],
)
def test_what_cannot_be_looked_at_is_said(
    reference: np.ndarray | None, answers: list[Any], current: dict[str, np.ndarray], said: str
) -> None:
    """Too little on either side, columns that differ, all missing."""
    _, lacks = unsupervised_report(_columns(KNOWN), reference, current, answers, _times(len(answers)))

    assert any(said in lack for lack in lacks)


def test_constants_and_new_clusters_are_taken() -> None:
    """One cluster on both sides does not differ; one that was never seen does."""
    same, _ = unsupervised_report(None, np.zeros(60, int), {}, [0] * 60, _times(60))
    new, _ = unsupervised_report(None, np.zeros(60, int), {}, [7] * 60, _times(60))

    assert not same.windows[0].differs
    assert new.windows[0].differs
    assert {share.label for share in new.shares} == {"0", "7"}
