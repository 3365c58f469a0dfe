"""Rows parted by a column, and false discoveries over columns and segments."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import msgspec
import numpy as np
import pytest

from noria.monitoring.alerts.resolving import over
from noria.monitoring.entities import (
    Alert,
    AlertKind,
    MonitorSection,
    QualityReport,
    ScoredRow,
    SegmentQuality,
    Window,
)
from noria.monitoring.label_windows import DropRule
from noria.monitoring.quality import Baseline
from noria.monitoring.windows.alerting import drift_alert
from noria.monitoring.windows.quality import followed, lacks, segment_alert
from noria.monitoring.windows.segments import segmenting
from support.windows import BEGIN, Kept, layout_of, quiet, reference_of, row

BY_REGION = MonitorSection(window_rows=150, segments={"prices": ["region"]})


def windows(kept: Kept) -> list[Window]:
    return [kept.windows[index] for index in sorted(kept.windows)]


def test_the_commonest_values_are_told_apart() -> None:
    """All others are `other`, and what is missing is its own segment."""
    reference = np.array(["b"] * 5 + ["a"] * 5 + ["c"] * 3 + ["d"], dtype=object)
    cut = segmenting("plan", reference, most_values=2)
    places = cut.of(np.array(["a", "c", None, "never seen", "b"], dtype=object))

    assert [cut.names[place] for place in places] == [
        "plan = a",
        "plan = other",
        "plan = missing",
        "plan = other",
        "plan = b",
    ]


def test_many_numbers_are_cut_at_quartiles() -> None:
    """Few are told apart by value."""
    many = segmenting("age", np.arange(1.0, 101.0), most_values=10)
    few = segmenting("rooms", np.arange(100.0) % 3, most_values=10)
    ages = many.of(np.array([0.0, 30.0, 1e9, np.nan, np.inf]))

    assert many.names == [
        "age ≤ 25.75",
        "age 25.75 to 50.5",
        "age 50.5 to 75.25",
        "age > 75.25",
        "age = missing",
    ]
    assert ages.tolist() == [0, 1, 3, 4, 3]
    assert [few.names[place] for place in few.of(np.array([2.0, 7.0]))] == ["rooms = 2", "rooms = other"]


def test_segments_and_versions_are_counted_apart() -> None:
    """Each part of a window names its rows."""
    kept = Kept(MonitorSection(window_rows=100, segments={"prices": ["region"]}))
    rows = quiet(60) + quiet(40, first=61, version=2, seed=2)
    kept.look(rows)
    (window,) = windows(kept)
    held = Counter((each.prediction.version, f"region = {each.prediction.inputs['region']}") for each in rows)

    assert window.n_by_version == {1: 60, 2: 40}
    assert {(p.version, p.segment): p.n_rows for p in window.parts if p.segment} == dict(held)
    assert {p.version: p.n_rows for p in window.parts if not p.segment} == {1: 60, 2: 40}


def test_drift_in_one_segment_alone_is_found_and_named() -> None:
    """Although all rows together hardly moved."""
    kept = Kept(BY_REGION)
    rows = [
        row(
            each.position,
            x=each.prediction.inputs["x"] + 1.2,
            region="east",
            answer=each.prediction.outputs["predictions"],
        )
        if each.prediction.inputs["region"] == "east"
        else each
        for each in quiet(900)
    ]
    kept.look(rows)
    alert = drift_alert(windows(kept), 2)

    assert alert is not None
    assert alert.segment == "region = east"
    assert alert.sentence.startswith(
        "Where `region = east`: 1 of 1 inputs have drifted in 2 windows in a row; `x`"
    )


def test_an_unknown_column_is_named_with_the_near_one() -> None:
    """The other columns are parted all the same."""
    layout = layout_of(segment_columns=["regoin", "x"])

    assert [cut.column for cut in layout.segments] == ["x"]
    assert layout.lacks[0] == (
        "`[monitors.segments]` names the column `regoin`, which the reference of prices@1 does not have: "
        "did you mean `region`?"
    )


def test_false_discoveries_are_bounded_over_columns_and_segments() -> None:
    """Of 200 quiet windows about one in a hundred may call anything drifted, whatever the number of segments."""
    reference = reference_of(4000)
    layout = layout_of(reference, segment_columns=["region", "x"])
    settings = MonitorSection(window_rows=150, segments={"prices": ["region", "x"]}, drift_psi=0.0)
    kept = Kept(settings, lambda _: layout)
    kept.look(quiet(200 * 150, seed=7), now=BEGIN + timedelta(days=3))

    assert len(kept.windows) == 200
    assert sum(len(window.parts) for window in kept.windows.values()) > 200 * 7
    assert sum(window.drifted for window in kept.windows.values()) <= 7


@pytest.mark.parametrize("answer", [1, 2])
def test_predictions_that_moved_are_drift_of_their_own(answer: int) -> None:
    """Also a class that never was, while every input is as it was; the alert says that no input has."""
    kept = Kept(MonitorSection(window_rows=150))
    rows = [row(each.position, answer=answer, **each.prediction.inputs) for each in quiet(450)]
    kept.look(rows)
    last = windows(kept)[-1]
    alert = drift_alert(windows(kept), 2)

    assert last.predictions is not None
    assert last.predictions.drifted
    assert last.drift is not None
    assert not last.drift.drifted
    assert alert is not None
    assert alert.sentence.startswith("Predictions have drifted in 2 windows in a row (PSI ")
    assert alert.sentence.endswith("and no input has")


def test_a_segment_learns_its_own_reference_and_alarms_below_it() -> None:
    """A hard segment is quiet at its own level; a drop below it raises an alert, over by its own labels."""
    rng = np.random.default_rng(5)
    rule, part = DropRule(level=0.008 / 3), SegmentQuality(version=1, segment="region = east")

    def take(quality: SegmentQuality, n: int, share: float, first: int) -> SegmentQuality:
        rows = [ScoredRow(first + i, float(rng.random() < share)) for i in range(n)]
        return followed(quality, rows, None, rule, labels_per_false_alarm=30_000)

    begun = take(part, 150, 0.7, 1)
    quiet_part = take(begun, 2000, 0.7, 151)
    dropped = take(quiet_part, 600, 0.4, 2151)
    alert = segment_alert(dropped, measure="accuracy", last_position=2750)

    assert lacks(begun) == "150 of 200 labels that its own reference is learned from"
    assert (begun.report, lacks(quiet_part)) == (None, None)
    assert segment_alert(quiet_part, measure="accuracy", last_position=2150) is None
    assert alert is not None
    assert alert.segment == "region = east"
    assert alert.sentence.startswith("Where `region = east`: accuracy of version 1 is 0.")
    assert "of its first labels" in alert.sentence

    opened = Alert(
        **msgspec.structs.asdict(alert),
        id="a",
        project="default",
        endpoint="prices",
        opened_at=BEGIN,
        closed_at=None,
        closed_why=None,
    )
    back = take(dropped, 400, 0.75, 2751)
    fine = QualityReport(
        n=200,
        mean=0.95,
        low=0.9,
        high=0.98,
        recent=[ScoredRow(3000 + i, 1.0) for i in range(200)],
        reference=0.9,
        reference_n=400,
        evidence=0.0,
        threshold=9.0,
    )

    def ended(segments: list[SegmentQuality]) -> list[AlertKind]:
        found = over([opened], [], fine, MonitorSection(), version=1, segments=segments)
        return [each.kind for each in found]

    # All answers together do well: that says nothing about this segment.
    assert ended([dropped]) == []
    assert ended([back]) == [AlertKind.QUALITY]


def test_a_version_beside_the_main_one_has_its_held_out_score() -> None:
    """It is followed from its first label."""
    rows = [ScoredRow(i, 1.0) for i in range(30)]
    baseline = Baseline(score=0.9, n=300)
    found = followed(SegmentQuality(version=2), rows, baseline, DropRule(), labels_per_false_alarm=1000)

    assert found.report is not None
    assert (found.report.n, found.report.reference, found.n_learned) == (30, 0.9, 0)
