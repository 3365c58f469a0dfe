import numpy as np
import pytest

from noria.core.errors import Invalid
from noria.core.stats.label_shift import label_shift
from noria.core.stats.samples import Ints

RIGHT = np.array(
    [[0.8, 0.1, 0.1], [0.15, 0.8, 0.05], [0.05, 0.15, 0.8]]
)  # row: true class, column: predicted


def _predict(rng: np.random.Generator, truth: Ints) -> Ints:
    return np.array([rng.choice(3, p=RIGHT[t]) for t in truth])


def test_shares_solve_the_confusion_matrix() -> None:
    """By hand: 80 and 20 % of two classes, 90 % and 70 % of them recognised, are found from the predictions."""
    truth = np.repeat(["a", "b"], [100, 100])
    guesses = np.concatenate([np.repeat(["a", "b"], [90, 10]), np.repeat(["a", "b"], [30, 70])])
    now = np.repeat(["a", "b"], [780, 220])  # 0.8 * 0.9 + 0.2 * 0.3 = 0.78
    found = label_shift(truth, guesses, now, rng=np.random.default_rng(0))

    assert [c.label for c in found.classes] == ["a", "b"]
    assert [c.current.estimate for c in found.classes] == pytest.approx([0.8, 0.2])
    assert [c.weight for c in found.classes] == pytest.approx([1.6, 0.4])
    assert found.p_value < 1e-6


def test_the_true_shares_are_covered(rng: np.random.Generator) -> None:
    """Of 60 repetitions nearly 90 % hold the true share of a class in their 90 % interval."""
    held = []
    for _ in range(60):
        truth, now = rng.integers(0, 3, 250), rng.choice(3, 200, p=[0.6, 0.3, 0.1])
        found = label_shift(
            truth, _predict(rng, truth), _predict(rng, now), rng=rng, n_resamples=100, alpha=0.1
        )
        held.append(
            [c.current.contains(share) for c, share in zip(found.classes, [0.6, 0.3, 0.1], strict=True)]
        )

    assert np.mean(held) == pytest.approx(0.9, abs=0.08)


def test_a_class_that_vanished_has_share_zero(rng: np.random.Generator) -> None:
    """Estimates stay within 0 and 1 and sum to 1."""
    truth = rng.integers(0, 3, 300)
    found = label_shift(truth, truth, np.zeros(50, dtype=int), rng=rng)
    shares = [c.current.estimate for c in found.classes]

    assert shares == pytest.approx([1, 0, 0])
    assert found.classes[0].current.upper == pytest.approx(1)


def test_rows_with_a_missing_part_are_dropped(rng: np.random.Generator) -> None:
    """A label without prediction, or the reverse, does not count; nor does a missing prediction now."""
    truth, guesses, now = (
        np.array(v, dtype=object) for v in (["a", "b", None, "a"], ["a", "b", "b", None], ["a", None, "b"])
    )
    found = label_shift(truth, guesses, now, rng=rng, n_resamples=100)

    assert (found.n_reference, found.n_current, found.n_missing) == (2, 2, 3)


def test_predictions_that_tell_nothing_are_refused(rng: np.random.Generator) -> None:
    """A model that always says the same cannot show a shift."""
    with pytest.raises(Invalid, match="singular") as caught:
        label_shift([0, 1, 0, 1], [1, 1, 1, 1], [1, 1], rng=rng)

    assert caught.value.details == {"classes": ["0", "1"]}


def test_a_class_that_is_predicted_but_never_true_is_allowed(rng: np.random.Generator) -> None:
    """There may be more predicted than true classes."""
    found = label_shift(["a", "a", "b", "b"], ["a", "x", "b", "b"], ["a", "x", "b"], rng=rng)

    assert [c.label for c in found.classes] == ["a", "b"]


def test_bad_input_is_refused(rng: np.random.Generator) -> None:
    """Other lengths, nothing left, too few resamples."""
    with pytest.raises(Invalid, match="shape"):
        label_shift([0, 1], [0], [0], rng=rng)
    with pytest.raises(Invalid, match="no row"):
        label_shift(np.array([None]), [0], [0], rng=rng)
    with pytest.raises(Invalid, match="`current_predictions` has no values"):
        label_shift([0, 1], [0, 1], [], rng=rng)
    with pytest.raises(Invalid, match="`n_resamples`"):
        label_shift([0, 1], [0, 1], [0], rng=rng, n_resamples=5)
