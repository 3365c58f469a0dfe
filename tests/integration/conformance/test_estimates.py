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
    StandingEstimate,
)
from noria.monitoring.estimated.service import Estimates
from noria.monitoring.service import Monitors
from support.conformance import Services

AT = datetime(2030, 1, 1, tzinfo=UTC)


def _estimate(position: int, value: float = 0.9) -> StandingEstimate:
    metric = EstimatedMetric(name="accuracy", value=value, low=value - 0.1, high=value + 0.1, reference=0.9)
    return StandingEstimate(
        model="digits",
        version=1,
        position=position,
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
