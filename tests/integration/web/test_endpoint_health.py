"""The page of an endpoint tells what its model servers logged, and how rows keep the rules of the training data."""

from __future__ import annotations

from datetime import timedelta

import pytest

from noria.core.context import Context
from noria.monitoring.delays.entities import AnswerBucket, LabelDelays
from noria.monitoring.delays.estimating import bin_of
from noria.monitoring.entities import Look, WindowRule
from noria.monitoring.service import Monitors
from noria.serving.plans import AppliedPlan, LogLine, ServerReport, ServerStanding
from noria.serving.service import Endpoints
from support.hostile import HOSTILE, assert_harmless
from support.pages import Reader, visible_text
from support.sights import see_windows
from support.wheel import PROJECT, turn_once

DIGITS = "/projects/default/endpoints/digits"
BOTH = pytest.mark.parametrize(
    "database_kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
BROKEN = WindowRule(name="pen: values", n_rows=200, n_broken=40, low=0.13, high=0.28, surely=True)
MISSING = WindowRule(name=f"ink: missing {HOSTILE}", n_rows=200)


def report(context: Context, n_errors: int, text: str) -> None:
    """Give a sign of life of a model server that logs."""
    line = LogLine(at=context.clock.now(), level="error", text=text)
    standing = ServerStanding(n_workers=1, n_log_errors=n_errors, n_log_warnings=2, log_line=line)
    applied = [AppliedPlan(project=PROJECT, endpoint="digits", revision=9)]
    context.service(Endpoints).report(
        ServerReport(server="one", url="http://one", endpoints=applied, standing=standing)
    )


@BOTH
def test_the_page_tells_what_model_servers_logged(reader: Reader, context: Context) -> None:
    """How much, the newest line as it is, and a chart by five minutes; nothing of it where nothing was logged."""
    turn_once(context)
    before = reader.text(DIGITS)
    report(context, 3, f"model.raised {HOSTILE}")
    page = reader.get(DIGITS)
    shown = visible_text(page.text)

    assert "logged" not in before
    assert "3 errors logged · 2 warnings" in shown
    assert "What model servers logged, by five minutes" in shown
    assert_harmless(page)


@BOTH
def test_the_page_tells_which_rules_the_newest_window_breaks(reader: Reader, context: Context) -> None:
    """Those that are surely broken first; that all are kept is told as well, and no rules are no news."""
    turn_once(context)
    see_windows(context)
    without = reader.text(DIGITS)
    see_windows(context, n_rules=4)
    kept = reader.text(DIGITS)
    see_windows(context, n_rules=4, rules=[MISSING, BROKEN])
    page = reader.get(DIGITS)
    shown = visible_text(page.text)

    assert "Rules of the training data" not in without
    assert "keeps 4 of 4" in kept
    assert "keeps 2 of 4" in shown
    assert "pen: values 40 200 ✕ surely more than tolerated 13.0 % to 28.0 %" in shown
    assert shown.index("pen: values") < shown.index("ink: missing")
    assert "of the whole window" in shown
    assert_harmless(page)


@BOTH
def test_the_page_tells_how_complete_labels_are(reader: Reader, context: Context) -> None:
    """How long they take, and of the newest answers how many are expected; that it is not known, where it is not."""
    turn_once(context)
    record(context, [40] * 3)
    unknown = reader.text(DIGITS)
    record(context, [40] * 48)
    known = reader.text(DIGITS)

    assert "How many labels are still to come is not known yet" in unknown
    assert "Half of the labels come within 1 hr, 95 of 100 within 1 hr." in known
    assert "of the labels are expected by now: what they score may still change" in known
    assert "Quality by when it was answered" in known


def record(context: Context, labels: list[int]) -> None:
    """Record answers of some hours, the newest of which has no labels yet, and labels that took an hour and a half."""
    monitors = context.service(Monitors)
    seen = monitors.get(PROJECT, "digits")
    now, hour = context.clock.now(), timedelta(hours=1)
    buckets = [
        AnswerBucket(
            starts_at=now - (ago + 1) * hour,
            ends_at=now - ago * hour,
            n_rows=50,
            delays={bin_of(5000): n} if ago > 1 else {},
            n_scored=n if ago > 1 else 0,
            total=0.8 * n if ago > 1 else 0.0,
            squares=0.7 * n if ago > 1 else 0.0,
        )
        for ago, n in reversed(list(enumerate([0, *labels])))
    ]
    look = Look(
        from_position=seen.position,
        from_label_position=seen.label_position,
        position=seen.position + 1,
        label_position=seen.label_position,
        version=seen.version,
        windows=[],
        detector=seen.detector,
        quality=seen.quality,
        alerts=[],
        delays=LabelDelays(version=seen.version, buckets=buckets),
    )
    monitors.record(PROJECT, "digits", look)
