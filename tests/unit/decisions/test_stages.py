"""Each stage of the diagnosis on values whose answer is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from noria.core.stats.intervals import newcombe_difference
from noria.core.stats.novelty import novelty
from noria.decisions.stages.events import Change, events
from noria.decisions.stages.new_class import new_class
from noria.decisions.stages.reality import reality
from noria.decisions.stages.replay import replay
from noria.decisions.stages.shift import shift
from noria.decisions.stages.versions import versions
from noria.registry.golden import GoldenDifference

START = datetime(2030, 1, 1, tzinfo=UTC)
LOADERS = [load_iris, load_wine, load_breast_cancer]


def scores(n_right: int, n: int) -> list[float]:
    return [1.0] * n_right + [0.0] * (n - n_right)


class TestReality:
    def test_a_large_drop_is_real(self) -> None:
        """From 95 % of 500 to 80 % of 200 is no chance; the figures are Newcombe's."""
        found = reality(scores(160, 200), reference=0.95, reference_n=500, tolerable=0.02)
        second = newcombe_difference(160, 200, 475, 500, alpha=0.01)

        assert found.verdict == "yes"
        assert (found.figures["low"], found.figures["high"]) == (second.lower, second.upper)

    def test_no_drop_in_many_labels_is_none(self) -> None:
        """The same share in 20,000 rows as in 20,000 held-out ones excludes a drop of 2 %."""
        found = reality(scores(19000, 20000), reference=0.95, reference_n=20000, tolerable=0.02)

        assert found.verdict == "no"

    def test_few_labels_leave_it_open(self) -> None:
        """17 of 20 right may be 95 %."""
        assert reality(scores(17, 20), reference=0.95, reference_n=500, tolerable=0.02).verdict == "unclear"

    def test_it_says_what_it_lacks(self) -> None:
        """Without held-out rows or labels there is no verdict."""
        assert reality(scores(5, 5), reference=0.9, reference_n=9, tolerable=0.1).verdict == "lacks"
        assert reality(scores(50, 50), reference=None, reference_n=0, tolerable=0.1).verdict == "lacks"


class TestEvents:
    def found(self, changes: list[Change], *, drop_at: int = 60) -> Any:
        rng = np.random.default_rng(0)
        series = [*(rng.random(drop_at) < 0.95), *(rng.random(60) < 0.4)]
        times = [START + timedelta(minutes=index) for index in range(len(series))]
        return events(
            [float(v) for v in series],
            times,
            changes,
            slack=timedelta(minutes=5),
            rng=np.random.default_rng(1),
        )

    def test_a_deployment_at_the_drop_is_near(self) -> None:
        """The version that went live a minute before the drop is named."""
        change = Change(at=START + timedelta(minutes=59), text="version 7 was deployed", version=7)

        assert self.found([change]).verdict == "change_near"
        assert self.found([change]).subject == "version 7"

    def test_a_deployment_long_before_is_not(self) -> None:
        """A deployment forty minutes earlier is not near."""
        change = Change(at=START + timedelta(minutes=20), text="version 7 was deployed", version=7)

        assert self.found([change]).verdict == "no_change"

    def test_without_a_drop_it_lacks_one(self) -> None:
        """A series of one level has no change to date."""
        times = [START + timedelta(minutes=index) for index in range(40)]
        series = [float(index % 5 != 0) for index in range(40)]
        found = events(series, times, [], slack=timedelta(0), rng=np.random.default_rng(1))

        assert found.verdict == "lacks"


class TestReplay:
    def difference(self, **changes: Any) -> GoldenDifference:
        base: dict[str, Any] = {
            "n_rows": 200,
            "largest_feature_error": 0.0,
            "feature": None,
            "n_flips": 0,
            "largest_output_error": 0.0,
        }
        return GoldenDifference(**{**base, **changes})

    def test_equal_answers_clear_the_code(self) -> None:
        """Nothing differs: innocent."""
        assert replay(self.difference()).verdict == "same"

    def test_rounding_is_no_difference(self) -> None:
        """A difference far below the features' size comes from another machine, not another code."""
        found = replay(self.difference(largest_feature_error=1e-9, feature=0), feature_scale=100.0)

        assert found.verdict == "same"

    @pytest.mark.parametrize("error", [0.5, math.inf])
    def test_other_features_are_the_pipeline(self, error: float) -> None:
        """Features that differ, or are another number of them, speak for the pipeline."""
        found = replay(self.difference(largest_feature_error=error, feature=3, n_flips=9))

        assert (found.verdict, found.subject) == ("features_differ", "feature 3")

    def test_other_predictions_alone_are_the_model(self) -> None:
        """Equal features and other predictions speak for the model."""
        assert replay(self.difference(n_flips=4)).verdict == "predictions_differ"

    def test_it_says_why_it_could_not(self) -> None:
        """Without a model server there is no verdict, and the reason is told."""
        found = replay(None, why_not="No model server answers")

        assert (found.verdict, found.sentence) == ("lacks", "No model server answers")


class TestVersions:
    def test_an_older_version_that_is_better_is_named(self) -> None:
        """The best of the older ones that is surely better is the subject."""
        found = versions(scores(60, 100), {1: scores(90, 100), 2: scores(58, 100)})

        assert (found.verdict, found.subject) == ("older_better", "version 1")

    def test_chance_does_not_make_it_better(self) -> None:
        """Two more right answers of a hundred are not enough."""
        assert versions(scores(60, 100), {1: scores(62, 100)}).verdict == "none_better"

    def test_it_says_what_it_lacks(self) -> None:
        """Without older versions, or without labels, there is no verdict."""
        assert versions(scores(60, 100), {}).verdict == "lacks"
        assert versions(scores(3, 5), {1: scores(5, 5)}).verdict == "lacks"


class TestNewClass:
    @pytest.mark.parametrize("load", [load_iris, load_wine], ids=lambda load: load.__name__)
    @pytest.mark.parametrize("left_out", [0, 1, 2])
    def test_a_class_left_out_of_the_training_is_found(self, load: Callable[..., Any], left_out: int) -> None:
        """Whichever class a model never saw, its labels give it away, and its rows' distances where they lie apart."""
        x, y = load(return_X_y=True)
        order = np.random.default_rng(left_out).permutation(len(y))
        train = [i for i in order if y[i] != left_out][:60]
        live = [i for i in order if i not in set(train)]
        model = make_pipeline(StandardScaler(), LogisticRegression()).fit(x[train], y[train])
        right = [float(p == t) for p, t in zip(model.predict(x[live]), y[live], strict=True)]
        classes = np.unique(y[train]).tolist()
        novel = novelty(x[train][::2], x[train][1::2], x[live])
        found = new_class(y[live].tolist(), right, classes, novel=novel)

        assert (found.verdict, found.subject) == ("yes", f"class {left_out}")
        lies_between_the_others = load is load_iris and left_out == 1
        assert found.figures["novelty_p_value"] < 0.01 or lies_between_the_others

    @pytest.mark.parametrize("load", LOADERS, ids=lambda load: load.__name__)
    def test_errors_among_known_classes_are_none(self, load: Callable[..., Any]) -> None:
        """A bad model of all classes has met no new one."""
        y = load().target
        found = new_class(y.tolist(), [0.0] * len(y), np.unique(y).tolist())

        assert found.verdict == "no"

    def test_one_odd_label_is_unclear(self) -> None:
        """A single unknown label may be a slip."""
        found = new_class([*["a"] * 30, "A"], [1.0] * 30 + [0.0], ["a", "b"])

        assert found.verdict == "unclear"

    def test_a_new_class_beside_many_other_errors_is_a_part(self) -> None:
        """When most errors are others, the new class is not the whole story."""
        found = new_class([*["a"] * 60, *["c"] * 4], [0.0] * 64, ["a", "b"])

        assert found.verdict == "part"

    def test_whole_numbers_are_one_class_in_either_type(self) -> None:
        """Labels that arrive as 3.0 are the class 3."""
        assert new_class([3.0] * 12, [1.0] * 12, [3]).verdict == "no"

    def test_it_says_what_it_lacks(self) -> None:
        """Regressions have no classes, and few labels are too few."""
        assert new_class([1.0] * 20, [1.0] * 20, None).verdict == "lacks"
        assert new_class(["a"] * 3, [1.0] * 3, ["a"]).verdict == "lacks"


class TestShift:
    def judged(
        self, reference: Any, truth: Any, live: Any, live_truth: Any, right: Any, *, baseline: float = 0.95
    ) -> Any:
        return shift(
            reference,
            live,
            reference_labels=np.asarray(truth),
            labels=list(live_truth),
            scores=[float(v) for v in right],
            labelled_novelty=novelty(reference[::2], reference[1::2], live),
            baseline=baseline,
            baseline_n=400,
            rng=np.random.default_rng(0),
        )

    def clouds(self, shares: list[float], n: int, seed: int, *, offset: float = 0.0) -> tuple[Any, Any]:
        rng = np.random.default_rng(seed)
        y = rng.choice(len(shares), n, p=shares)
        centres = np.array([[0.0, 0.0, 0.0], [4.0, 0.0, 0.0], [0.0, 4.0, 0.0]])
        return rng.normal(size=(n, 3)) + centres[y] + offset, y

    def test_the_same_rows_have_not_moved(self) -> None:
        """Rows of one kind show no shift."""
        x, y = self.clouds([0.3, 0.3, 0.4], 600, 1)
        live, truth = self.clouds([0.3, 0.3, 0.4], 300, 2)

        assert self.judged(x, y, live, truth, np.arange(300) % 20 != 0).verdict == "none"

    def test_moved_inputs_are_covariate_drift(self) -> None:
        """Rows that lie elsewhere, with the mix of labels as it was."""
        x, y = self.clouds([0.3, 0.3, 0.4], 600, 1)
        live, truth = self.clouds([0.3, 0.3, 0.4], 300, 2, offset=1.5)

        assert self.judged(x, y, live, truth, np.arange(300) % 20 != 0).verdict == "covariate"

    def test_another_mix_of_the_same_classes_is_label_drift(self) -> None:
        """Each class looks as it did, but one has become frequent."""
        x, y = self.clouds([0.3, 0.3, 0.4], 600, 1)
        live, truth = self.clouds([0.8, 0.1, 0.1], 300, 2)

        assert self.judged(x, y, live, truth, np.arange(300) % 20 != 0).verdict == "label"

    def test_worse_answers_where_the_training_rows_lie_are_concept_drift(self) -> None:
        """The inputs are as they were, and a third of the answers has become wrong."""
        x, y = self.clouds([0.3, 0.3, 0.4], 600, 1)
        live, truth = self.clouds([0.3, 0.3, 0.4], 300, 2)

        assert self.judged(x, y, live, truth, np.arange(300) % 3 != 0).verdict == "concept"

    def test_it_says_what_it_lacks(self) -> None:
        """A handful of rows is too few."""
        x, y = self.clouds([0.5, 0.5, 0.0], 100, 1)

        assert self.judged(x, y, x[:10], y[:10], np.ones(10)).verdict == "lacks"
