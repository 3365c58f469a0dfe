"""Settings compared over their seeds."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from scipy import stats

from noria.core.errors import Invalid, NotFound
from noria.core.ids import new_id
from noria.tracking.entities import Run, RunStatus
from noria.tracking.replicates import compare_replicates

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def ran(value: float | None, status: RunStatus = RunStatus.FINISHED, /, **params: object) -> Run:
    return Run(
        id=new_id(),
        project="default",
        experiment="e",
        name="r",
        status=status,
        started_at=NOW,
        params={key: str(each) for key, each in params.items()},
        metrics={} if value is None else {"acc": value},
    )


def test_runs_that_differ_by_seed_are_one_setting() -> None:
    """A group is what params say without the seed, is named by what differs, and has its mean and interval."""
    runs = [
        ran(value, lr=lr, seed=seed, data="wine")
        for lr, values in (("0.1", [0.8, 0.82, 0.84]), ("0.2", [0.9, 0.91, 0.95]))
        for seed, value in enumerate(values)
    ]
    found = compare_replicates(runs, "acc")

    assert [group.label for group in found.groups] == ["lr=0.2", "lr=0.1"]
    assert [len(group.runs) for group in found.groups] == [3, 3]
    assert found.groups[0].mean == pytest.approx(0.92)
    assert found.groups[0].lower is not None
    assert found.groups[0].lower < 0.92
    assert found.seed_params == ["seed"]


def test_same_seeds_are_compared_in_pairs() -> None:
    """Both settings ran under the same seeds, in whatever order, so that the test is paired."""
    runs = [ran(0.8, m="a", seed=1), ran(0.9, m="a", seed=2), ran(0.7, m="a", seed=3)]
    runs += [ran(0.75, m="b", seed=3), ran(0.84, m="b", seed=1), ran(0.97, m="b", seed=2)]
    (pair,) = compare_replicates(runs, "acc").pairs
    other = stats.ttest_rel([0.84, 0.97, 0.75], [0.8, 0.9, 0.7])

    assert (pair.first, pair.second, pair.method, pair.n) == ("m=b", "m=a", "paired t", 3)
    assert pair.p_value == pytest.approx(other.pvalue)


def test_other_seeds_are_compared_as_independent() -> None:
    """Settings with different seeds, repeated seeds or none have nothing to pair."""
    runs = [
        ran(0.8, m="a", seed=1),
        ran(0.9, m="a", seed=2),
        ran(0.7, m="b", seed=3),
        ran(0.6, m="b", seed=4),
    ]
    unseeded = [ran(0.8, m="a"), ran(0.9, m="a"), ran(0.7, m="b"), ran(0.6, m="b")]

    assert [pair.method for pair in compare_replicates(runs, "acc").pairs] == ["Welch t"]
    assert [pair.method for pair in compare_replicates(unseeded, "acc").pairs] == ["Welch t"]


def test_many_pairs_are_adjusted_together() -> None:
    """With three settings no p-value is taken for what it would be alone."""
    runs = [
        ran(base + seed / 50, m=m, seed=seed)
        for base, m in ((0.5, "a"), (0.52, "b"), (0.9, "c"))
        for seed in range(4)
    ]
    pairs = compare_replicates(runs, "acc").pairs

    assert len(pairs) == 3
    assert all(pair.p_adjusted >= pair.p_value for pair in pairs)


def test_a_single_run_has_no_interval() -> None:
    """One value says nothing about the next."""
    found = compare_replicates([ran(0.8, m="a"), ran(0.9, m="b"), ran(0.91, m="b")], "acc")

    assert {group.label: group.lower is None for group in found.groups} == {"m=b": False, "m=a": True}
    assert found.pairs == []


def test_what_has_no_result_is_left_out_and_counted() -> None:
    """Runs that go on, diverged, or never logged the metric are told."""
    runs = [ran(0.8, m="a"), ran(math.nan, m="a"), ran(None, m="a"), ran(0.9, RunStatus.RUNNING, m="a")]
    found = compare_replicates(runs, "acc")

    assert (len(found.groups[0].values), found.n_left_out) == (1, 3)


def test_seeds_may_have_any_name() -> None:
    """A named param is the seed, and then `seed` is none; a prefix does not hide one."""
    runs = [ran(0.8, fold=1, seed=5), ran(0.9, fold=2, seed=5)]
    names: list[dict[str, object]] = [{"model.random_state": 1}, {"model.random_state": 2}]
    nested = [ran(0.8, RunStatus.FINISHED, **params) for params in names]

    assert len(compare_replicates(runs, "acc", seed_params=["fold"]).groups) == 1
    assert len(compare_replicates(nested, "acc").groups) == 1


def test_errors_tell_the_mend() -> None:
    """A metric that nobody has is told with the near one, and a grid of settings with what to do."""
    with pytest.raises(NotFound, match="`ac`") as caught:
        compare_replicates([ran(0.8)], "ac")
    assert caught.value.hint == "Did you mean `acc`?"
    with pytest.raises(Invalid, match="51 different settings"):
        compare_replicates([ran(0.5, lr=i) for i in range(51)], "acc")
