"""The suite of `Estimates`."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from noria.core.errors import NotFound
from noria.monitoring.estimated.entities import (
    ASSUMPTION,
    EstimatedMetric,
    EstimatedQuality,
    FoundEstimate,
    LabelledEstimates,
    LabelledMetric,
    LabelledPoint,
    LabelledQuality,
    StandingEstimate,
)
from noria.monitoring.estimated.service import KEPT_POINTS, Estimates
from noria.monitoring.service import Monitors
from support.conformance import Services

AT = datetime(2030, 1, 1, tzinfo=UTC)


def _estimate(
    position: int, value: float = 0.9, *, first: int = 0, label_position: int = 0
) -> StandingEstimate:
    metric = EstimatedMetric(name="accuracy", value=value, low=value - 0.1, high=value + 0.1, reference=0.9)
    return StandingEstimate(
        model="digits",
        version=1,
        position=position,
        first_position=first,
        label_position=label_position,
        first_at=AT,
        last_at=AT,
        made_at=AT,
        estimated=EstimatedQuality(
            method="cbpe", calibration="platt", n_rows=200, reference_n=400, metrics=[metric]
        ),
    )


def test_the_estimate_of_the_newest_answers_stands(services: Services) -> None:
    """One of older answers that comes late changes nothing; what it supposes is kept with it."""
    services(Monitors).watch("default", "digits")
    estimates = services(Estimates)
    assert estimates.get("default", "digits") == FoundEstimate(standing=None)
    estimates.record("default", "digits", _estimate(200))
    estimates.record("default", "digits", _estimate(400, 0.8))
    found = estimates.record("default", "digits", _estimate(300))

    assert found == estimates.get("default", "digits") == FoundEstimate(standing=_estimate(400, 0.8))
    assert found.standing is not None
    assert found.standing.estimated is not None
    assert found.standing.estimated.assumption == ASSUMPTION


def test_an_endpoint_that_nobody_watches_is_named(services: Services) -> None:
    """A near name is suggested."""
    services(Monitors).watch("default", "digits")

    with pytest.raises(NotFound, match="digit"):
        services(Estimates).get("default", "digit")
    with pytest.raises(NotFound, match="digit"):
        services(Estimates).record("default", "digit", _estimate(1))


def _told(position: int, value: float) -> LabelledPoint:
    metric = LabelledMetric(name="accuracy", value=value, low=value - 0.1, high=value + 0.1)
    return LabelledPoint(position=position, labelled=LabelledQuality(n_labels=50, metrics=[metric]))


def test_past_estimates_are_kept_with_what_labels_say(services: Services) -> None:
    """Newest first; labels are taken in once, where the ones before them ended; the newest 500 are kept."""
    services(Monitors).watch("default", "digits")
    estimates = services(Estimates)
    for i in range(1, 4):
        estimates.record("default", "digits", _estimate(200 * i, 0.9 - i / 10, first=200 * i - 199))
    estimates.record("default", "digits", _estimate(100, first=1))  # of older answers: it comes late
    before = estimates.past("default", "digits").items
    told = LabelledEstimates(
        from_label_position=0, label_position=70, points=[_told(200, 0.75), _told(999, 0.5)]
    )
    found = estimates.measured("default", "digits", told)
    again = LabelledEstimates(from_label_position=0, label_position=60, points=[_told(200, 0.1)])
    estimates.measured("default", "digits", again)
    after = estimates.past("default", "digits").items

    assert [(each.first_position, each.position, each.labelled) for each in before] == [
        (401, 600, None),
        (201, 400, None),
        (1, 200, None),
    ]
    assert [round(each.metrics[0].value, 3) for each in before] == [0.6, 0.7, 0.8]
    assert found.label_position == 70
    assert estimates.past("default", "digits", limit=1).items == before[:1]
    assert [each.labelled for each in after] == [None, None, _told(200, 0.75).labelled]


def test_labels_that_came_while_answers_were_read_are_read_again(services: Services) -> None:
    """An estimate sets back to where labels stood when its answers were read, never forward."""
    services(Monitors).watch("default", "digits")
    estimates = services(Estimates)
    estimates.record("default", "digits", _estimate(200, first=1, label_position=40))
    told = LabelledEstimates(from_label_position=40, label_position=90, points=[])
    assert estimates.measured("default", "digits", told).label_position == 90

    assert estimates.record("default", "digits", _estimate(300, label_position=120)).label_position == 90
    assert estimates.record("default", "digits", _estimate(400, label_position=60)).label_position == 60


@pytest.mark.alike
def test_only_the_newest_past_estimates_are_kept(services: Services) -> None:
    """The oldest goes when one more comes than are kept."""
    services(Monitors).watch("default", "digits")
    estimates = services(Estimates)
    for i in range(1, KEPT_POINTS + 3):
        estimates.record("default", "digits", _estimate(10 * i, first=10 * i - 9))
    kept = estimates.past("default", "digits", limit=KEPT_POINTS).items

    assert (len(kept), kept[0].position, kept[-1].position) == (KEPT_POINTS, 10 * KEPT_POINTS + 20, 30)
