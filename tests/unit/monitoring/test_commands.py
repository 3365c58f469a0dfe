"""`noria monitors`."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from noria.cli.main import main
from noria.core.workspace import open_workspace
from noria.monitoring.detector import DropDetector
from noria.monitoring.drift import drift_report
from noria.monitoring.entities import (
    AlertKind,
    CloseAlert,
    ColumnDrift,
    Cutting,
    DriftReport,
    Look,
    NewAlert,
    QualityReport,
    ScoredRow,
    SegmentQuality,
    Window,
    WindowPart,
)
from noria.monitoring.service import Monitors
from support.conformance import workspace_settings

AT = datetime(2030, 1, 1, tzinfo=UTC)
Run = Callable[..., str]


def a_window(index: int, **changes: Any) -> Window:
    given: dict[str, Any] = {
        "index": index,
        "version": 3,
        "first_position": index * 100 - 99,
        "last_position": index * 100,
        "first_at": AT,
        "last_at": AT,
        "n_rows": 100,
        "n_errors": 2,
        "drift": None,
        "lacks": ["Version 3 was registered without a reference sample"],
    }
    return Window(**{**given, **changes})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a workspace with a monitor, two windows, a closed and an open alert."""
    import numpy as np

    rng = np.random.default_rng(0)
    drift = drift_report(
        {"pixel": rng.normal(size=300)}, {"pixel": rng.normal(3, size=100)}, level=0.01, least_psi=0.2
    )
    place = tmp_path_factory.mktemp("monitors")
    rows = [ScoredRow(position, 1.0) for position in range(1, 11)]
    quality = QualityReport(
        n=10,
        mean=1.0,
        low=0.7,
        high=1.0,
        recent=rows,
        reference=0.95,
        reference_n=400,
        evidence=0.5,
        threshold=8.5,
    )
    alerts = [
        NewAlert(
            kind=kind,
            version=3,
            figures={"n": 1.0},
            sentence=f"{kind} fell",
            onset_position=1,
            last_position=9,
        )
        for kind in (AlertKind.QUALITY, AlertKind.DRIFT)
    ]
    with open_workspace(workspace_settings(place)) as workspace:
        monitors = workspace.service(Monitors)
        monitors.watch("default", "digits")
        monitors.watch("default", "fresh")
        taken = Look(
            from_position=0,
            from_label_position=0,
            position=200,
            label_position=10,
            version=3,
            windows=[a_window(1), a_window(2, drift=drift, lacks=[])],
            detector=DropDetector(floor=0.9, false_alarm_rate=0.01),
            quality=quality,
            alerts=alerts,
        )
        monitors.record("default", "digits", taken)
        newest = monitors.alerts("default").items[0]
        monitors.close_alert("default", newest.id, CloseAlert(why="retrained"))
    return place


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command that succeeds, and give what it printed."""

    def command(*arguments: str) -> str:
        assert main(["monitors", *arguments, "-w", str(folder)]) == 0
        return capsys.readouterr().out

    return command


def test_list(run: Run) -> None:
    """Every endpoint that is watched, and how far its monitor has got."""
    lines = [line.split() for line in run("list").splitlines() if line.split()]
    listed = json.loads(run("list", "--json"))

    assert lines[2][:9] == ["digits", "3", "200", "2", "10", "1.000", "(0.700", "to", "1.000)"]
    assert lines[3][:2] == ["fresh", "–"]
    assert [item["endpoint"] for item in listed["items"]][:2] == ["digits", "fresh"]


def test_show(run: Run) -> None:
    """The quality with its interval beside the one at registration, and the evidence beside its threshold."""
    shown = run("show", "digits")

    assert "1.000 (0.700 to 1.000)" in shown
    assert "0.950 on 400 rows" in shown
    assert "0.50 of 8.50" in shown
    assert json.loads(run("show", "digits", "--json"))["quality"]["n"] == 10
    assert "labels" in run("show", "fresh")


def test_segments(folder: Path, run: Run) -> None:
    """Versions and segments side by side, with a chart of the newest windows, and what a segment lacks."""
    with open_workspace(workspace_settings(folder)) as workspace:
        monitors = workspace.service(Monitors)
        monitors.watch("default", "parted")
        windows = [
            a_window(
                index,
                parts=[
                    WindowPart(version=3, n_rows=100, drift=a_report(0.1 * index)),
                    WindowPart(version=3, segment="plan = pro", n_rows=30, drift=a_report(0.2 * index)),
                    WindowPart(version=3, segment="plan = other", n_rows=5),
                ],
            )
            for index in (1, 2)
        ]
        taken = Look(
            from_position=0,
            from_label_position=0,
            position=200,
            label_position=0,
            version=3,
            windows=windows,
            detector=None,
            quality=None,
            alerts=[],
            cutting=Cutting(rows=100, n_rows=210, last=3, open=[a_window(3, n_rows=10)]),
            segments=[SegmentQuality(version=3, segment="plan = pro", n_learned=40)],
        )
        monitors.record("default", "parted", taken)
    shown = run("segments", "parted")
    listed = json.loads(run("segments", "parted", "--json"))["items"]

    assert "▁█" in shown
    assert "40 of 200 labels" in shown
    assert [(each["segment"], each["psi"], each["n_drifted"]) for each in listed] == [
        ("", [0.1, 0.2], 0),
        ("plan = other", [None, None], 0),
        ("plan = pro", [0.2, 0.4], 1),
    ]
    assert "every 100 rows; 10 rows are in windows that are not over" in run("show", "parted")


def a_report(psi: float) -> DriftReport:
    drifted = psi > 0.3
    column = ColumnDrift(
        name="x", test="ks", statistic=0.1, p_value=0.01, adjusted_p_value=0.01, psi=psi, drifted=drifted
    )
    return DriftReport(n_columns=1, n_drifted=int(drifted), columns=[column])


def test_windows(run: Run) -> None:
    """Newest first, with what drifted, or why nothing could be said."""
    first, second = [line for line in run("windows", "digits").splitlines() if line.strip()][2:]
    page = json.loads(run("windows", "digits", "--limit", "1", "--json"))

    assert "1 of 1" in first
    assert "pixel" in first
    assert "registered without a reference sample" in second
    assert [window["index"] for window in page["items"]] == [2]
    assert page["next"] == 2


def test_alerts(run: Run) -> None:
    """All, the open ones, those of an endpoint."""
    shown = run("alerts")
    opened = json.loads(run("alerts", "--open", "--json"))["items"]

    assert "drift fell" in shown
    assert "retrained" in shown
    assert [alert["kind"] for alert in opened] == ["quality"]
    assert json.loads(run("alerts", "--endpoint", "fresh", "--json"))["items"] == []


def test_an_unknown_endpoint(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The near one is suggested."""
    assert main(["monitors", "show", "digit", "-w", str(folder)]) == 1
    assert "Did you mean `digits`?" in capsys.readouterr().err
