"""Where a search changes its way."""

import math

import pytest

from noria.tracking.search.plan import SQLITE, Costs


@pytest.mark.parametrize(("need", "n_runs"), [(100, 1_000_000), (100, 100_000), (1_000, 1_000_000)])
def test_few_matches_are_where_sorting_and_walking_cost_the_same(need: int, n_runs: int) -> None:
    """At the bound the two costs are equal, so on either side of it the cheaper way is taken."""
    costs = Costs(least_sorted=0)
    bound = costs.few(need, n_runs)

    walking = costs.walk * need * n_runs / bound

    assert math.isclose(costs.test * bound, walking, rel_tol=0.01)


def test_small_stores_are_always_sorted() -> None:
    """Below a least number nothing else is worth the statements."""
    assert Costs(least_sorted=100).few(1, 10) == 100


def test_one_selective_condition_is_read() -> None:
    """One in a hundred of a million: ten thousand runs are read rather than ten thousand rows looked up."""
    assert SQLITE.set_to_read([0.01, 0.99], [10_000, 990_000], 10_000) == 0


def test_a_condition_that_half_fulfil_is_tested() -> None:
    """A walk of two hundred runs is tested; reading half a million would take longer."""
    assert SQLITE.set_to_read([0.5], [500_000], 200) is None


def test_the_same_condition_is_read_where_the_walk_is_long() -> None:
    """When nearly every run is walked, reading half of them costs less than looking each up."""
    assert SQLITE.set_to_read([0.5], [500_000], 1_000_000) == 0


def test_reading_stops_where_it_costs_more_than_the_tests() -> None:
    """What a sample held for selective may not be: then a fifth more than the tests cost is lost, and no more."""
    costs = Costs(read=0.5, test=5.0, max_set=1_000_000)

    assert costs.most_read([0.03], 3_000) * costs.read == pytest.approx(1.2 * costs.tests([0.03], 3_000))
    assert Costs(max_set=10).most_read([0.03], 3_000) == 10


def test_a_walk_costs_more_where_many_indexes_are_merged() -> None:
    """One experiment costs as measured; of very many, the parts are gathered rather than merged."""
    costs = Costs(walk=0.5, merge=0.01, most_merged=64)

    assert costs.among(1) == costs.among(0) == costs
    assert costs.among(51).walk == pytest.approx(1.0)
    assert costs.among(1_000) == costs.among(64)


def test_tests_stop_at_the_first_that_fails() -> None:
    """The most selective comes first, and the others see only what is left."""
    assert Costs(test=1.0, again=0.5).tests([0.5, 0.1], 100) == 100 + 10 * 0.5


def test_a_walk_that_finds_nothing_gives_way_to_sorting() -> None:
    """Ten thousand matches are walked to while they come; when they do not, they are sorted."""
    assert not SQLITE.sorting_pays(10_000, 10_000, n_walked=256)
    assert SQLITE.sorting_pays(10_000, 10_000, n_walked=400_000)
    assert SQLITE.sorting_pays(100, 1_000_000, n_walked=256)


def test_steps_grow_slowly_while_they_cost_tests() -> None:
    """A wrong guess costs at most eight times the step before, unless looking into a set is all there is to do."""
    assert SQLITE.next_step(1_000_000, 256, tests=True) == 2_048
    assert SQLITE.next_step(1_000_000, 256, tests=False) == SQLITE.most_step
    assert SQLITE.next_step(1, 256, tests=True) == SQLITE.least_step


def test_first_steps_learn_how_many_fit() -> None:
    """Without conditions a step is what is needed, and a little more for ties."""
    assert SQLITE.first_step(100, checked=False) == 108
    assert SQLITE.first_step(100, checked=True) == 125
    assert SQLITE.first_step(5_000, checked=True) == 256


def test_a_way_that_is_only_guessed_is_gone_in_part() -> None:
    """Where nothing was seen yet, a quarter of the way tells whether it leads anywhere."""
    guessed = SQLITE.next_step(10_000, 64, tests=False, sure=False)

    assert guessed < SQLITE.next_step(10_000, 64, tests=False) / 4
    assert guessed >= 10_000 / 4
