"""Rankings become features as the study made them, and each defect can be switched off by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.examples.rankings.__main__ import main
from noria.examples.rankings.intervals import DrawInterval, judged, next_draw
from noria.examples.rankings.project.rankings_data import parts_of
from noria.examples.rankings.project.rankings_measures import best_of, confusion_figure, measures_of, refusals
from noria.examples.rankings.published import PUBLISHED

TIMES = """\
world_rank,university_name,country,teaching,international,research,citations,income,total_score,num_students,\
student_staff_ratio,international_students,female_male_ratio,year
1,A,Peru,90,70,80,95,-,99,"2,243",6.9,27%,33 : 67,2015
=2,B,Chile,,-,70,90,30,98,900,8,5%,,2015
3,C - D,Peru,60,50,60,85,40,97,"12,000",9,10%,40 : 60,2015
201-225,E,Peru,10,10,10,10,10,-,"1,000",10,1%,50 : 50,2015
1,A,Peru,91,71,81,96,35,99,"2,300",6.8,28%,34 : 66,2016
2,F,Angola,61,51,61,86,41,97,"12,100",9.1,11%,41 : 59,2016
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a small ranking, deep inside."""
    place = tmp_path / "archive" / "deep"
    place.mkdir(parents=True)
    (place / "timesData.csv").write_text(TIMES)
    return tmp_path


def times(folder: Path, **defects: bool) -> Any:
    return parts_of(folder, "timesData", max_rank=100, world_rank=2, max_features=12, **defects)


def test_features_are_those_of_the_study(folder: Path) -> None:
    """Gaps take the next row's value, countries are numbered over all rows, thousands commas become points."""
    parts = times(folder, fill_across_rows=True, encode_all_rows=True)

    assert parts.x.tolist() == [
        [2, 90, 70, 80, 95, 30, 67, 2.243, 6.9, 27, 33],
        [1, 60, 50, 70, 90, 30, 60, 900, 8, 5, 40],
        [2, 60, 50, 60, 85, 40, 60, 12.0, 9, 10, 40],
    ]
    assert parts.y.tolist() == [1, 0, 0]  # strictly better than the limit
    assert parts.x_valid[:, 0].tolist() == [2, 0]
    assert parts.y_valid.tolist() == [1, 0]


def test_mended_gaps_are_medians_of_training_rows(folder: Path) -> None:
    """Without the defect a gap takes the median of its column over the training rows, and nothing of its neighbour."""
    parts = times(folder, fill_across_rows=False, encode_all_rows=True)

    assert parts.x[1].tolist() == [1, 75, 60, 70, 90, 30, 63.5, 900, 8, 5, 36.5]
    assert parts.x[0, 5] == 35


def test_mended_countries_are_numbered_by_training_rows(folder: Path) -> None:
    """A country that only the validation year has is -1, and moves no other number."""
    parts = times(folder, fill_across_rows=True, encode_all_rows=False)

    assert parts.x[:, 0].tolist() == [1, 0, 1]
    assert parts.x_valid[:, 0].tolist() == [1, -1]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=80), st.sampled_from([0.5, 0.9, 0.95]))
def test_an_interval_holds_the_share_of_left_out_draws_that_it_says(
    values: list[float], coverage: float
) -> None:
    """Of n + 1 draws, each left out in turn, at least the stated share lies in the interval of the others."""
    if len(values) < 2:
        only = next_draw(values)
        assert (only.lower, only.upper, only.coverage) == (values[0], values[0], 0.0)
        return
    held, promised = 0, 0.0
    for index, value in enumerate(values):
        interval = next_draw(values[:index] + values[index + 1 :], coverage)
        held += interval.lower <= value <= interval.upper
        promised = interval.coverage
    assert held / len(values) >= promised - 1e-9


def test_39_draws_make_an_interval_of_95_percent() -> None:
    """The smallest and the largest of 39 draws hold the next one in 38 of 40 cases."""
    interval = next_draw([0.1] + [0.5] * 37 + [0.9])

    assert (interval.lower, interval.upper) == (0.1, 0.9)
    assert interval.coverage == pytest.approx(0.95)


@pytest.mark.parametrize(
    ("published", "inside"),
    [("0.895", True), ("0.8947", True), ("0.89", True), ("0.896", False), ("1", False)],
)
def test_a_printed_value_is_as_wide_as_it_was_rounded(published: str, inside: bool) -> None:
    """17 of 19 is 0.8947…, which prints as 0.895 and not as 0.896."""
    assert judged(published, DrawInterval(0.5, 17 / 19, 0.95)) is inside


def test_the_gate_refuses_what_has_one_class() -> None:
    """The best sum of measures does not win when there was nothing to tell apart."""
    two, one = np.array([0, 1, 1]), np.array([1, 1])
    perfect = {"precision": 1.0, "recall": 1.0, "f1": 1.0, "accuracy": 1.0, "roc_auc": 0.0}
    good = dict.fromkeys(perfect, 0.9)
    refused = {"degenerate": refusals(one, one), "good": refusals(two, two), "half": refusals(two, one)}

    assert refused["good"] == []
    assert refused["degenerate"] == ["one class in training", "one class in validation"]
    assert best_of({"degenerate": [perfect], "half": [perfect], "good": [good]}, refused) == "good"
    with pytest.raises(ValueError, match="Every candidate is refused"):
        best_of({"degenerate": [perfect]}, refused)


def test_measures_of_one_class_hide_the_area_under_the_curve() -> None:
    """As in the study it is 0 there; all else is 1."""

    class Always:
        def predict(self, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            return np.ones(len(x), dtype=int)

    found = measures_of(Always(), np.zeros((3, 1)), np.ones(3, dtype=int))

    assert found == {"precision": 1.0, "recall": 1.0, "f1": 1.0, "accuracy": 1.0, "roc_auc": 0.0}


def test_the_confusion_figure_shows_its_counts() -> None:
    """Each count stands in the drawing, and an empty matrix can be drawn."""
    figure = confusion_figure([[51, 3], [1, 48]])

    assert all(f">{count}<" in figure for count in (51, 3, 1, 48))
    assert "nan" not in confusion_figure([[0, 0], [0, 0]])


def test_published_values_are_shares() -> None:
    """Each is between 0 and 1 and belongs to an experiment that was published."""
    assert len(PUBLISHED) == 11
    assert all(0.0 <= float(value) <= 1.0 for one in PUBLISHED for value in one.values.values())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "come without data"),
        (["--data", "nowhere"], "There is no file or folder `nowhere`"),
        (["--data", ".", "--draws", "0"], "`--draws` is 0"),
    ],
)
def test_misuse_is_told_with_the_mend(
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is begun, and the message says what to give."""
    monkeypatch.chdir(tmp_path)

    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "hint: Give" in told
    assert list(tmp_path.iterdir()) == []
