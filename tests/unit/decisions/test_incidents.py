"""What the page of an incident makes of an alert's figures."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from noria.decisions.pages_incidents import KIND_WORDS, extent_of
from noria.monitoring.entities import Alert, AlertKind


def alert(kind: AlertKind, figures: dict[str, float]) -> Alert:
    """Make an alert."""
    return Alert(
        kind=kind,
        version=1,
        figures=figures,
        sentence="s",
        onset_position=1,
        last_position=2,
        id="a",
        project="p",
        endpoint="e",
        opened_at=datetime(2026, 11, 21, tzinfo=UTC),
        closed_at=None,
        closed_why=None,
    )


def test_a_drop_lies_left_of_its_reference() -> None:
    """Quality is drawn with its interval, and the reference right of it."""
    figures = {"mean": 0.87, "low": 0.82, "high": 0.91, "n": 140.0, "reference": 0.97}
    extent = extent_of(alert(AlertKind.QUALITY, figures))

    assert extent is not None
    assert extent.place.low < extent.place.value < extent.place.high < extent.expected_place
    assert (extent.value, extent.expected, extent.n) == (0.87, 0.97, 140.0)


def test_errors_lie_right_of_what_is_tolerated() -> None:
    """Errors are drawn as a share beside the tolerated one; without an interval it is the share itself."""
    extent = extent_of(alert(AlertKind.ERRORS, {"share": 0.3, "tolerated": 0.02}))

    assert extent is not None
    assert extent.expected_place < extent.place.low == extent.place.value == extent.place.high


@pytest.mark.parametrize(
    ("kind", "figures"),
    [(AlertKind.DRIFT, {"psi": 0.3}), (AlertKind.QUALITY, {"mean": 0.5}), (AlertKind.ERRORS, {})],
)
def test_what_was_not_told_has_no_extent(kind: AlertKind, figures: dict[str, float]) -> None:
    """Drift is no share, and figures of another version of the program may be missing."""
    assert extent_of(alert(kind, figures)) is None


def test_every_kind_has_words() -> None:
    """A new kind of alert needs words before it can be shown."""
    assert set(KIND_WORDS) == set(AlertKind)
