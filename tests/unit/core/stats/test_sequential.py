import itertools
import json
import math
from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from noria.core.errors import Invalid
from noria.core.stats import sequential
from noria.core.stats.intervals import mean_interval, newcombe_difference, wilson
from noria.core.stats.samples import Floats
from noria.core.stats.sequential import BoundedMean, confidence_sequence, difference_interval

PEEKS = np.unique(np.geomspace(3, 600, 12).astype(int))

Draw = Callable[[np.random.Generator, int], Floats]
STREAMS: dict[str, tuple[float, Draw]] = {
    "even": (0.5, lambda rng, n: rng.integers(0, 2, n).astype(float)),
    "accurate": (0.95, lambda rng, n: (rng.random(n) < 0.95).astype(float)),
    "uniform": (0.5, lambda rng, n: rng.random(n)),
    "skewed": (1 / 21, lambda rng, n: rng.beta(1, 20, n)),
}


def _capital(values: Floats, mean: float) -> float:
    """What the code says the mixture of bets against `mean` is worth, at least."""
    unit = values - 0.5
    n, total, squares = (np.array([float(v)]) for v in (len(values), unit.sum(), (unit**2).sum()))
    return math.exp(sequential._log_capital(n, total, squares, np.array([mean]))[0])


def _capital_by_brute_force(values: Floats, mean: float) -> float:
    """What it is worth exactly: the bets played value by value."""
    bets = np.prod(1 + sequential._BETS * (values[:, np.newaxis] / mean - 1), axis=0)
    return float(sequential._KEPT + np.sum(sequential._WEIGHTS * bets))


def test_the_capital_of_outcomes_is_exact(rng: np.random.Generator) -> None:
    """For 0 and 1 the sums carry all that the bets need."""
    for mean in (0.01, 0.4, 0.99):
        values = rng.integers(0, 2, 60).astype(float)
        assert _capital(values, mean) == pytest.approx(_capital_by_brute_force(values, mean), rel=1e-9)


def test_the_capital_of_bounded_values_is_never_too_high(rng: np.random.Generator) -> None:
    """For values between, the sums give a lower bound of what the bets are worth."""
    for _ in range(200):
        values = rng.beta(rng.uniform(0.2, 30), rng.uniform(0.2, 30), size=int(rng.integers(1, 80)))
        mean = rng.uniform(0.01, 0.99)
        assert _capital(values, mean) <= _capital_by_brute_force(values, mean) * (1 + 1e-9)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.97])
def test_the_bet_is_fair(p: float) -> None:
    """Over all series of 10 outcomes the capital against the true mean is 1 on average, to the last digits."""
    expected = 0.0
    for series in itertools.product([0.0, 1.0], repeat=10):
        n_ones = sum(series)
        expected += p**n_ones * (1 - p) ** (10 - n_ones) * _capital(np.array(series), p)

    assert expected == pytest.approx(1, rel=1e-9)


def test_the_bet_never_favours_the_player() -> None:
    """Over all series of 6 values from {0, 0.3, 1} the capital against the true mean is at most 1 on average."""
    chances = {0.0: 0.2, 0.3: 0.5, 1.0: 0.3}
    mean = sum(value * chance for value, chance in chances.items())
    expected = sum(
        math.prod(chances[v] for v in series) * _capital(np.array(series), mean)
        for series in itertools.product(chances, repeat=6)
    )

    assert 0.5 < expected <= 1


@pytest.mark.parametrize("stream", STREAMS)
def test_looking_again_and_again_does_not_mislead(rng: np.random.Generator, stream: str) -> None:
    """Of 300 streams looked at 12 times each, at most 10 % + noise ever lose the true mean at alpha 0.1."""
    mean, draw = STREAMS[stream]
    unit = np.stack([draw(rng, 600) for _ in range(300)]) - 0.5
    total, squares = (np.cumsum(u, axis=1)[:, PEEKS - 1].ravel() for u in (unit, unit**2))
    lower, upper = sequential._bounds(np.tile(PEEKS, 300), total, squares, 0.1)
    missed = ((lower > mean) | (upper < mean)).reshape(300, -1).any(axis=1)

    assert missed.mean() <= 0.1 + 0.03  # 0.03 is 1.7 standard errors at the limit


def test_a_fixed_size_interval_would_mislead(rng: np.random.Generator) -> None:
    """The same looking with Wilson's interval loses the true mean far more often; so the test above can fail."""
    missed = 0
    for _ in range(300):
        total = np.cumsum(rng.integers(0, 2, 600))[PEEKS - 1]
        missed += any(
            not wilson(int(k), int(n), alpha=0.1).contains(0.5) for k, n in zip(total, PEEKS, strict=True)
        )

    assert missed / 300 > 0.25


@pytest.mark.parametrize("p", [0.5, 0.8, 0.95, 0.99])
def test_a_thousand_outcomes_cost_less_than_twice_the_width(rng: np.random.Generator, p: float) -> None:
    """At n = 1000 the interval is at most twice as wide as Wilson's."""
    outcomes = (rng.random(1000) < p).astype(float)
    ratio = BoundedMean().update(outcomes).interval().width / wilson(int(outcomes.sum()), 1000).width

    assert 1 < ratio < 2


def test_a_thousand_values_cost_less_than_two_and_a_half_widths(rng: np.random.Generator) -> None:
    """For values between the bounds it uses their smaller variance."""
    for values in (rng.random(1000), rng.beta(2, 2, 1000), rng.beta(10, 30, 1000)):
        assert 1 < BoundedMean().update(values).interval().width / mean_interval(values).width < 2.5


def test_the_sequence_is_the_state_after_each_value(rng: np.random.Generator) -> None:
    """The batch form and the incremental one agree at every step, missing values included."""
    values = rng.beta(2, 1, 40)
    values[[0, 7, 8]] = np.nan
    lower, upper = confidence_sequence(values, alpha=0.2)
    state = BoundedMean()
    for i, value in enumerate(values):
        state = state.update([value])
        interval = state.interval(alpha=0.2)
        assert (lower[i], upper[i]) == (interval.lower, interval.upper)

    assert (lower[0], upper[0]) == (0.0, 1.0)
    assert (lower[8], upper[8]) == (lower[6], upper[6])
    assert state.n_missing == 3


def test_long_sequences_are_cut_into_blocks(rng: np.random.Generator) -> None:
    """Past the size of a block the bounds go on as before."""
    outcomes = (rng.random(4200) < 0.9).astype(float)
    lower, upper = confidence_sequence(outcomes)
    last = BoundedMean().update(outcomes).interval()

    assert lower.shape == upper.shape == (4200,)
    assert (lower[-1], upper[-1]) == (last.lower, last.upper)
    assert (lower <= upper).all()


def test_no_values_leave_the_bounds() -> None:
    """Before the first value nothing is known."""
    state = BoundedMean(low=-2, high=4)
    interval = state.update([]).interval()

    assert (interval.lower, interval.estimate, interval.upper, interval.n) == (-2.0, 1.0, 4.0, 0)
    assert [a.size for a in confidence_sequence([])] == [0, 0]


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_constant_is_closed_in(value: float) -> None:
    """Always the same value: the interval holds it and narrows, without warnings."""
    state = BoundedMean().update(np.full(2000, value))
    interval = state.interval()

    assert interval.contains(value)
    assert interval.width < 0.02


def test_other_bounds_are_a_change_of_unit(rng: np.random.Generator) -> None:
    """Values from -1 to 1 give the interval of the rescaled ones."""
    values = rng.random(100)
    unit = BoundedMean().update(values).interval()
    wide = BoundedMean(low=-1, high=1).update(2 * values - 1).interval()
    lower, upper = confidence_sequence(2 * values - 1, low=-1, high=1)

    assert (wide.lower, wide.upper) == pytest.approx((2 * unit.lower - 1, 2 * unit.upper - 1), abs=1e-7)
    assert (lower[-1], upper[-1]) == (wide.lower, wide.upper)


def test_the_state_survives_json(rng: np.random.Generator) -> None:
    """Written and read back, it goes on to the same interval to the last bit."""
    values = rng.random(50)
    state = BoundedMean().update(values[:20])
    read = msgspec.json.decode(msgspec.json.encode(state), type=BoundedMean)

    assert read == state
    assert read.update(values[20:]) == BoundedMean().update(values)
    assert set(json.loads(msgspec.json.encode(state))) == {
        "low",
        "high",
        "n",
        "n_missing",
        "total",
        "squares",
    }


@pytest.mark.parametrize("values", [[1.5], [-0.1], [float("inf")], [[0.5]], ["0.5"]])
def test_values_outside_the_bounds_are_refused(values: list[float]) -> None:
    """The message names the value."""
    with pytest.raises(Invalid, match="`values`"):
        BoundedMean().update(values)
    with pytest.raises(Invalid, match="`values`"):
        confidence_sequence(values)


@pytest.mark.parametrize(("low", "high"), [(1, 1), (2, 1), (0, float("inf")), (float("nan"), 1)])
def test_bounds_are_finite_and_rising(low: float, high: float) -> None:
    """Without bounds there is no such interval."""
    with pytest.raises(Invalid, match="bounds"):
        BoundedMean(low=low, high=high)


@pytest.mark.parametrize("alpha", [0, 1, -0.1])
def test_the_level_is_checked(alpha: float) -> None:
    """An error probability outside (0, 1) is refused everywhere."""
    state = BoundedMean()
    for call in (
        state.interval,
        lambda a: confidence_sequence([1.0], a),
        lambda a: difference_interval(state, state, a),
    ):
        with pytest.raises(Invalid, match="`alpha`"):
            call(alpha)


def test_a_difference_is_narrower_than_two_intervals(rng: np.random.Generator) -> None:
    """Splitting the demand in the best way beats two intervals at alpha/2, and stays under 2.5 fixed-size widths."""
    first = (rng.random(1000) < 0.95).astype(int)
    second = (rng.random(600) < 0.88).astype(int)
    a, b = BoundedMean().update(first), BoundedMean().update(second)
    ours = difference_interval(a, b)
    one, other = a.interval(0.025), b.interval(0.025)
    fixed = newcombe_difference(int(first.sum()), 1000, int(second.sum()), 600)

    assert one.lower - other.upper < ours.lower < ours.estimate < ours.upper < one.upper - other.lower
    assert fixed.width < ours.width < 2.5 * fixed.width
    assert ours.n == 1600


def test_a_difference_may_be_watched_too(rng: np.random.Generator) -> None:
    """A fixed reference and a stream, looked at twice: at most alpha of 50 runs ever lose the true difference."""
    missed = 0
    for _ in range(50):
        reference = BoundedMean().update((rng.random(200) < 0.9).astype(int))
        stream = (rng.random(400) < 0.8).astype(int)
        looks = [difference_interval(reference, BoundedMean().update(stream[:n]), 0.1) for n in (50, 400)]
        missed += any(not look.contains(0.1) for look in looks)

    assert missed / 50 <= 0.1 + 0.06


def test_a_difference_holds_what_no_pair_of_bets_refuses(rng: np.random.Generator) -> None:
    """Brute force over a grid of pairs of means: the interval holds each pair that is left, and little more."""
    first, second = rng.integers(0, 2, 40).astype(float), (rng.random(25) < 0.8).astype(float)
    found = difference_interval(BoundedMean().update(first), BoundedMean().update(second), 0.1)
    grid = np.linspace(0.005, 0.995, 199)
    above = np.log([[_capital(first, m) for m in grid], [_capital(second, m) for m in grid]])
    below = np.log([[_capital(1 - first, 1 - m) for m in grid], [_capital(1 - second, 1 - m) for m in grid]])
    demand = math.log(2 / 0.1)
    left = (above[0][:, None] + below[1] < demand) & (below[0][:, None] + above[1] < demand)
    differences = (grid[:, None] - grid)[left]

    assert found.lower == pytest.approx(differences.min(), abs=0.03)
    assert found.upper == pytest.approx(differences.max(), abs=0.03)
    assert found.lower <= differences.min()
    assert differences.max() <= found.upper


def test_a_real_drop_is_found(rng: np.random.Generator) -> None:
    """From 95 % to 80 % right is certain after 300 outcomes; no drop is not."""
    reference = BoundedMean().update((rng.random(1000) < 0.95).astype(int))
    dropped = BoundedMean().update((rng.random(300) < 0.80).astype(int))
    same = BoundedMean().update((rng.random(300) < 0.95).astype(int))

    assert difference_interval(reference, dropped).lower > 0
    assert difference_interval(reference, same).contains(0)


def test_a_difference_is_the_opposite_the_other_way_round(rng: np.random.Generator) -> None:
    """First minus second is minus second minus first, also with different bounds."""
    a = BoundedMean(low=-1, high=2).update(rng.uniform(-1, 2, 80))
    b = BoundedMean().update(rng.random(50))
    there, back = difference_interval(a, b), difference_interval(b, a)

    assert (there.lower, there.upper) == (-back.upper, -back.lower)


def test_nothing_known_of_one_stream_leaves_its_bounds() -> None:
    """Against an empty stream the difference may be anything that the other allows."""
    known = BoundedMean().update(np.ones(2000))
    found = difference_interval(known, BoundedMean())

    assert found.lower == pytest.approx(0, abs=0.01)
    assert found.upper == pytest.approx(1, abs=1e-6)
