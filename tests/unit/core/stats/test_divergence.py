import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from noria.core.errors import Invalid
from noria.core.stats import divergence
from noria.core.stats.divergence import domain_classifier


def test_the_auc_is_scikit_learns(rng: np.random.Generator) -> None:
    """The mean over folds is that of `cross_val_score` on the same folds."""
    reference, current = rng.normal(size=(60, 3)), rng.normal(0.5, 1, (40, 3))
    seed = int(np.random.default_rng(3).integers(2**31))
    expected = cross_val_score(
        make_pipeline(StandardScaler(), LogisticRegression(C=0.1, class_weight="balanced")),
        np.concatenate([reference, current]),
        np.repeat([0, 1], [60, 40]),
        scoring="roc_auc",
        cv=StratifiedKFold(5, shuffle=True, random_state=seed),
    )
    found = domain_classifier(reference, current, rng=np.random.default_rng(3))

    assert found.auc.estimate == pytest.approx(expected.mean())
    assert (found.n_reference, found.n_current, found.n_missing) == (60, 40, 0)


def test_equal_samples_are_rarely_told_apart(rng: np.random.Generator) -> None:
    """Of 30 pairs of equal samples few have a p-value up to 0.05; intervals mostly hold 0.5."""
    found = [
        domain_classifier(rng.normal(size=(60, 8)), rng.normal(size=(40, 8)), rng=rng, n_folds=3)
        for _ in range(30)
    ]

    assert sum(f.p_value <= 0.05 for f in found) <= 4
    assert sum(f.auc.contains(0.5) for f in found) >= 26


def test_a_shift_is_seen(rng: np.random.Generator) -> None:
    """A shift of one feature in ten by one standard deviation."""
    current = rng.normal(size=(100, 10))
    current[:, 4] += 1
    found = domain_classifier(rng.normal(size=(150, 10)), current, rng=rng)

    assert found.p_value < 0.001
    assert found.auc.lower > 0.5


def test_trees_see_a_change_of_spread(rng: np.random.Generator) -> None:
    """Same means, twice the spread: invisible to the linear model, not to trees."""
    reference, current = rng.normal(size=(200, 2)), rng.normal(0, 2.5, (200, 2))

    assert domain_classifier(reference, current, rng=rng, model="trees", n_folds=2).p_value < 0.01
    assert domain_classifier(reference, current, rng=rng).p_value > 0.01


def test_samples_that_never_mix_have_an_interval_with_a_width(rng: np.random.Generator) -> None:
    """At AUC 1 the interval still says how few rows there were."""
    found = domain_classifier(np.zeros((10, 1)), np.ones((10, 1)), rng=rng)

    assert found.auc.estimate == found.auc.upper == 1
    assert 0.5 < found.auc.lower < 0.95


def test_constant_features_tell_nothing(rng: np.random.Generator) -> None:
    """The same constant in both: AUC 0.5, no warning."""
    found = domain_classifier(np.ones((20, 2)), np.ones((20, 2)), rng=rng)

    assert found.auc.estimate == 0.5
    assert found.p_value == 0.5


def test_the_variance_of_one_fold_is_mann_whitneys() -> None:
    """Without the correction for folds it is (n + m + 1) / 12nm at AUC 0.5."""
    corrected = divergence._auc_variance(0.5, 30, 50, 2)
    two_folds = 2 * (15 + 25 + 1) / (12 * 15 * 25) / 4

    assert corrected == pytest.approx(two_folds * (1 + 2 / 1))


def test_incomplete_rows_are_dropped(rng: np.random.Generator) -> None:
    """A row with a hole does not enter, and is counted."""
    reference, current = rng.normal(size=(20, 2)), rng.normal(size=(20, 2))
    current[3, 1] = np.nan
    found = domain_classifier(reference, current, rng=rng)

    assert (found.n_current, found.n_missing) == (19, 1)


def test_the_same_generator_gives_the_same_result(rng: np.random.Generator) -> None:
    """Nothing random comes from elsewhere."""
    reference, current = rng.normal(size=(30, 2)), rng.normal(size=(30, 2))
    results = [domain_classifier(reference, current, rng=np.random.default_rng(1)) for _ in range(2)]

    assert results[0] == results[1]


def test_bad_input_is_refused(rng: np.random.Generator) -> None:
    """Too few rows, other widths, infinities, unknown settings."""
    good = rng.normal(size=(10, 2))
    with pytest.raises(Invalid, match="at least 4"):
        domain_classifier(good, good[:3], rng=rng)
    with pytest.raises(Invalid, match="columns"):
        domain_classifier(good, good[:, :1], rng=rng)
    with pytest.raises(Invalid, match="`inf`"):
        domain_classifier(good, np.full((10, 2), np.inf), rng=rng)
    with pytest.raises(Invalid, match="`forest`"):
        domain_classifier(good, good, rng=rng, model="forest")  # type: ignore[arg-type]
    with pytest.raises(Invalid, match="`n_folds`"):
        domain_classifier(good, good, rng=rng, n_folds=1)
