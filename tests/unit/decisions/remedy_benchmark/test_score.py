"""Figures of the remedy benchmark against values computed by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import report
import score


def incident(cause: str, remedy: str, **changes: Any) -> dict[str, Any]:
    return {
        "detected_window": 5,
        "causes": {cause: 0.8, "unknown": 0.2},
        "subject": None,
        "remedy": remedy,
        "abstained": False,
        **changes,
    }


def episode(*incidents: dict[str, Any], **changes: Any) -> score.Result:
    """Give ten windows of loss 1 with an incident at 5 that retraining saves half of from window 6 on."""
    without = {str(w): 1.0 for w in range(10)}
    return {
        "name": "one",
        "causes": ["concept_drift"],
        "onset": 5,
        "last": 9,
        "subjects": ["temperature", "live/005.py"],
        "saved": {"wait": 0.0, "retrain": 2.0, "new_model": 1.9, "recalibrate": 0.5},
        "sure": ["new_model", "recalibrate", "retrain"],
        "best": 2.0,
        "best_remedies": ["retrain"],
        "series": {str(w): 0.5 for w in range(6, 10)},
        "costs": {"retrain": 0.1},
        "without": without,
        "with": dict(without),
        "rules": {"retrain always": (1.0, 1)},
        "answer": {"incidents": list(incidents)},
        "seconds": 1.0,
        "cpu_seconds": 1.0,
        **changes,
    }


def quiet(*incidents: dict[str, Any], **changes: Any) -> score.Result:
    nothing = {"saved": {"wait": 0.0}, "sure": [], "best": 0.0, "best_remedies": ["wait"], "series": {}}
    return episode(*incidents, causes=["none"], onset=None, subjects=[], **{**nothing, **changes})


def test_macro_f1_is_the_mean_over_true_causes() -> None:
    """By hand: a has 2/3 (one hit, one missed), b 2/3 (one hit, one false), c 0."""
    assert score.macro_f1(["a", "a", "b", "c"], ["a", "b", "b", "d"]) == pytest.approx(
        (2 / 3 + 2 / 3 + 0) / 3
    )


def test_a_cause_that_is_nowhere_true_has_no_f1_but_costs_its_victim() -> None:
    """Naming `d` where `a` is true lowers a's recall."""
    assert score.macro_f1(["a", "a"], ["a", "d"]) == pytest.approx(2 / 3)


def test_of_two_causes_either_may_be_named_and_the_strict_figure_asks_for_both() -> None:
    """One of two is right for the first figure; the strict one misses the second."""
    result = episode(incident("input_fault", "wait"), causes=["concept_drift", "input_fault"])
    assert score.cause_right(result)
    assert score.cause_macro_f1([result]) == 1.0
    assert score.strict_macro_f1([result]) == pytest.approx((0 + 1) / 2)


def test_with_neither_of_two_causes_named_the_first_is_missed() -> None:
    result = episode(incident("label_drift", "wait"), causes=["concept_drift", "input_fault"])
    assert (score.true_cause(result), score.named(result)) == ("concept_drift", "label_drift")


def test_what_was_noticed_before_the_onset_answers_for_nothing_and_is_a_false_alarm() -> None:
    result = episode(incident("concept_drift", "retrain", detected_window=4))
    assert score.named(result) == "none"
    assert not score.cause_right(result)
    assert score.false_alarms(result) == 1


def test_the_first_of_several_incidents_answers() -> None:
    result = episode(
        incident("unknown", "wait", detected_window=8),
        incident("concept_drift", "retrain", detected_window=6),
    )
    assert score.cause_right(result)


def test_a_remedy_is_right_with_nine_tenths_of_the_best() -> None:
    """1.9 of 2.0 is alike, 0.5 is not."""
    assert score.right_remedies(episode()) == {"retrain", "new_model"}
    assert score.remedy_right(episode(incident("concept_drift", "new_model")))
    assert not score.remedy_same(episode(incident("concept_drift", "new_model")))
    assert score.remedy_same(episode(incident("concept_drift", "retrain")))
    assert not score.remedy_right(episode(incident("concept_drift", "recalibrate")))


def test_a_remedy_that_may_gain_nothing_is_not_alike() -> None:
    assert score.right_remedies(episode(sure=["retrain"])) == {"retrain"}


def test_waiting_is_right_only_when_no_remedy_surely_pays() -> None:
    waits = episode(sure=[], best=0.0, best_remedies=["wait"])
    assert score.remedy_right(waits)
    assert not score.remedy_right({**waits, "answer": {"incidents": [incident("concept_drift", "retrain")]}})
    assert not score.remedy_right(episode())


@pytest.mark.parametrize("changes", [{"remedy": "ask"}, {"remedy": "retrain", "abstained": True}])
def test_to_abstain_is_wrong_even_where_waiting_is_right(changes: dict[str, Any]) -> None:
    said = {**incident("concept_drift", "ask"), **changes}
    assert not score.remedy_right(episode(said))
    assert not score.remedy_right(episode(said, sure=[], best=0.0, best_remedies=["wait"]))
    assert score.abstained(episode(said))
    assert score.actions(episode(said)) == []


def test_in_a_quiet_episode_any_action_is_wrong() -> None:
    """Also the action of a later incident."""
    assert score.remedy_right(quiet())
    later = incident("label_drift", "recalibrate", detected_window=8)
    assert not score.remedy_right(quiet(incident("none", "wait"), later))


def test_regret_is_what_was_missed_of_what_was_possible_after_costs() -> None:
    """By hand: saved 4 x 0.25 - 0.1 = 0.9 of 2, so that 1.1 of 2 are missed."""
    half = {str(w): 1.0 if w < 6 else 0.75 for w in range(10)}
    result = episode(incident("concept_drift", "retrain"), **{"with": half})
    assert score.ours_saved(result) == pytest.approx(0.9)
    assert score.regret([result], score.ours_saved) == pytest.approx(1.1 / 2.0)
    assert score.regret([result], lambda _: 0.0) == 1.0


def test_harm_in_quiet_episodes_adds_to_the_regret_and_luck_does_not_take_from_it() -> None:
    """By hand: 10 windows lose 0.1 more in the quiet one; the other saves more than the oracle, which counts as it."""
    worse = quiet(incident("label_drift", "recalibrate"), **{"with": {str(w): 1.1 for w in range(10)}})
    lucky = episode(**{"with": {str(w): 0.0 for w in range(10)}})
    assert score.regret([worse, lucky], score.ours_saved) == pytest.approx(1.0 / 2.0)


def test_losses_of_different_metrics_are_set_on_one_scale() -> None:
    """An episode in thousands weighs as much as the same in ones."""
    thousand = episode(
        best=2000.0,
        without={str(w): 1000.0 for w in range(10)},
        **{"with": {str(w): 1000.0 for w in range(10)}},
    )
    assert score.regret([thousand], score.ours_saved) == 1.0
    assert score.scale(thousand) == 1000.0
    assert score.regret(
        [thousand, episode()], lambda r: r["best"] if r is thousand else 0.0
    ) == pytest.approx(0.5)


def test_windows_after_the_horizon_do_not_count() -> None:
    result = episode(last=5, **{"with": {str(w): 0.0 for w in range(10)}})
    assert sum(score.saved_in(result).values()) == 6.0


def test_a_window_without_a_metric_counts_as_the_same() -> None:
    result = episode(**{"with": {**{str(w): 1.0 for w in range(9)}, "9": math.nan}})
    assert score.saved_in(result)[9] == 0.0


def test_a_retrain_is_harmful_when_the_loss_is_surely_higher() -> None:
    """By hand: differences -0.2, -0.3, -0.2, -0.3: mean -0.25, half width 3.18 x 0.0577 / 2 = 0.092."""
    worse = {str(w): 1.0 + (0 if w < 6 else 0.2 + 0.1 * (w % 2)) for w in range(10)}
    assert score.harmful(episode(incident("concept_drift", "retrain"), **{"with": worse}))
    assert not score.harmful(episode(incident("concept_drift", "recalibrate"), **{"with": worse}))
    mixed = {str(w): 1.0 + (0 if w < 6 else 0.5 if w % 2 else -0.3) for w in range(10)}
    assert not score.harmful(episode(incident("concept_drift", "retrain"), **{"with": mixed}))


def test_a_retrain_is_needless_where_no_training_surely_pays() -> None:
    assert not score.needless(episode(incident("concept_drift", "retrain")))
    assert score.needless(
        episode(incident("concept_drift", "retrain"), sure=["recalibrate"], best_remedies=["wait"])
    )
    assert score.needless(quiet(incident("concept_drift", "retrain")))
    assert not score.needless(quiet(incident("label_drift", "recalibrate")))


def test_recovery_is_when_what_is_left_is_saved() -> None:
    """From window 8 on all that the oracle saves is saved: three windows after the onset."""
    late = {str(w): 1.0 if w < 8 else 0.5 for w in range(10)}
    assert score.recovered_after(episode(**{"with": late})) == 3
    assert score.recovered_after(episode()) is None


@pytest.mark.parametrize(
    ("subject", "right"),
    [
        ("column temperature", True),
        ("`temperature`", True),
        ("temperature_2", False),
        ("humidity, temperature", False),
        ("step live/005.py", True),
        (None, False),
    ],
)
def test_the_first_thing_named_has_to_be_the_one(subject: str | None, right: bool) -> None:
    result = episode(incident("input_fault", "wait", subject=subject))
    assert score.subject_right(result) is right


def test_brier_and_calibration_by_hand() -> None:
    """Right at 0.8: 0.04 + 0.04; wrong at 0.8: 0.64 + 0.04 + 1. One bin: half right, 0.8 sure."""
    right, wrong = episode(incident("concept_drift", "wait")), episode(incident("label_drift", "wait"))
    assert score.brier([right]) == pytest.approx(0.08)
    assert score.brier([wrong]) == pytest.approx(0.64 + 0.04 + 1.0)
    assert score.calibration_error([right, wrong]) == pytest.approx(0.3)
    assert math.isnan(score.brier([episode()]))


def test_the_upper_bound_of_none_in_300() -> None:
    """1 - 0.025^(1/300), the solution of (1 - p)^300 = 0.025."""
    assert score.upper_bound(0, 300) == pytest.approx(1 - 0.025 ** (1 / 300))
    assert score.upper_bound(3, 3) == 1.0


def test_intervals_hold_the_figure_and_narrow_with_episodes() -> None:
    def mixed(n: int) -> list[score.Result]:
        return [episode(incident("concept_drift" if i % 2 else "label_drift", "wait")) for i in range(n)]

    value, low, high = score.interval(mixed(20), score.share(score.cause_right))
    assert low < value == 0.5 < high
    _, lower, higher = score.interval(mixed(200), score.share(score.cause_right))
    assert higher - lower < high - low


def test_the_table_has_every_figure_with_n_and_an_interval() -> None:
    results = [
        episode(incident("concept_drift", "retrain")),
        episode(incident("input_fault", "wait", subject="temperature"), causes=["input_fault"]),
        episode(incident("pipeline_fault", "ask"), causes=["pipeline_fault", "concept_drift"]),
        episode(causes=["pipeline_fault"]),
        quiet(),
        episode(causes=["natural"], onset=None),
    ]
    told = report.table(results)
    for name in (
        "cause macro-F1",
        "remedy accuracy",
        "regret",
        "false alarms, quiet episodes",
        "windows to notice",
        "harmful retrains",
        "needless retrains",
        "calibration error of causes",
        "subject named first",
        "abstained",
        "regret: retrain always",
        "pipeline faults named",
    ):
        line = next((line for line in told.splitlines() if line.startswith(f"{name} ")), "")
        assert ("n = " in line and " to " in line) or "95 % upper bound" in line, name
    assert all(report.line_of(result) for result in results)


def test_a_failed_replay_counts_as_nothing_said_and_done() -> None:
    failed = episode(answer={"incidents": [], "quality": [], "error": "it died"}, **{"with": {}})
    assert score.regret([failed], score.ours_saved) == 1.0
    assert "FAILED" in report.line_of(failed)
    assert "1 replays FAILED" in report.table([failed])
