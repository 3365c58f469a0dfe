"""A look at an endpoint, from captured rows to windows and alerts, with real models."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from sklearn.linear_model import LogisticRegression, Ridge

import noria
from noria.core.context import Context
from noria.core.errors import Invalid
from noria.core.ids import new_id
from noria.core.objects.references import drop_owner, project_objects
from noria.core.workspace import Workspace
from noria.monitoring.entities import (
    Alert,
    AlertKind,
    CloseAlert,
    Look,
    MonitorSection,
    NewAlert,
    SegmentQuality,
    Window,
)
from noria.monitoring.evaluate import look
from noria.monitoring.service import Monitors
from noria.monitoring.windows.checking import SegmentCheck, check_segments
from noria.monitoring.windows.packing import unpack_counts
from noria.registry.entities import ModelVersion
from noria.serving.entities import Deployment
from noria.serving.predictions import CaptureBatch, LabelBatch, NewLabel, Prediction
from noria.serving.service import Captures, Endpoints
from support.conformance import Services

WINDOW = 50
SETTINGS = {"window_rows": WINDOW, "labels_per_false_alarm": 2_000}


class Traffic:
    """Requests of a user whose data and truth a test chooses, answered by the real model."""

    def __init__(self, workspace: Workspace, seed: int = 0) -> None:
        self._workspace = workspace
        self._captures = workspace.service(Captures)
        self._rng = np.random.default_rng(seed)
        self.model = noria.model("flowers", workspace=workspace)

    def send(
        self,
        n: int,
        *,
        shift: float = 0.0,
        wrong: bool = False,
        label: bool = True,
        spoilt: float | None = None,
    ) -> list[str]:
        """Have `n` rows answered and captured, and label them; gives their ids."""
        y = self._rng.integers(0, 2, n)
        x = rows_of(self._rng, y) + shift
        answers = self.model.predict(x)
        if spoilt is not None:
            x[:, 1] = spoilt
        version = self.model.version.version
        made = [
            Prediction(
                id=new_id(),
                version=version,
                at=self._workspace.clock.now(),
                inputs={"x": row.tolist()},
                outputs={"predictions": int(answer)},
            )
            for row, answer in zip(x, answers, strict=True)
        ]
        self._captures.append("default", "flowers", CaptureBatch(predictions=made))
        if label:
            truths = 1 - answers if wrong else y
            self.label([p.id for p in made], truths.tolist())
        return [p.id for p in made]

    def label(self, ids: list[str], values: list[int]) -> None:
        labels = [NewLabel(prediction_id=id_, value=value) for id_, value in zip(ids, values, strict=True)]
        self._captures.label("default", "flowers", LabelBatch(labels=labels))


def rows_of(rng: np.random.Generator, y: Any) -> Any:
    return rng.normal(size=(len(y), 3)) + 3.0 * y[:, None]


def register(workspace: Workspace, *, holdout: bool = True, seed: int = 1) -> ModelVersion:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, 600)
    x = rows_of(rng, y)
    fitted = LogisticRegression().fit(x[:400], y[:400])
    held = (x[400:], y[400:]) if holdout else None
    return noria.register(fitted, "flowers", x=x[:400], y=y[:400], holdout=held, workspace=workspace)


@pytest.fixture
def traffic(workspace: Workspace, services: Services) -> Traffic:
    """Give traffic at an endpoint that version 1 answers and that is watched."""
    register(workspace)
    services(Endpoints).deploy("default", "flowers", Deployment(model="flowers", version=1))
    services(Monitors).watch("default", "flowers")
    return Traffic(workspace)


def take_a_look(workspace: Workspace, **settings: object) -> dict[str, Any]:
    return look(workspace, "default", "flowers", {**SETTINGS, **settings})


def windows(services: Services) -> list[Window]:
    return services(Monitors).windows("default", "flowers").items[::-1]


def alerts(services: Services) -> list[Alert]:
    return services(Monitors).alerts("default").items


def test_quiet_traffic_is_cut_into_windows_and_raises_nothing(
    workspace: Workspace, services: Services, traffic: Traffic
) -> None:
    """Whole windows, one after the other; the rest is counted already; the quality is known with its interval."""
    traffic.send(3 * WINDOW + 10)
    done = take_a_look(workspace)
    cut = windows(services)
    monitor = services(Monitors).get("default", "flowers")

    assert done == {"windows": 3, "alerts": 0, "outdated": False}
    assert [(w.index, w.version, w.n_rows, w.n_errors, w.lacks) for w in cut] == [
        (i, 1, 50, 0, []) for i in (1, 2, 3)
    ]
    assert [w.last_position + 1 for w in cut[:-1]] == [w.first_position for w in cut[1:]]
    assert all(w.drift is not None and not w.drift.drifted and w.drift.n_columns == 3 for w in cut)
    assert monitor.position == cut[-1].last_position + 10
    assert monitor.cutting is not None
    assert [(w.index, w.n_rows) for w in monitor.cutting.open] == [(4, 10)]
    assert monitor.quality is not None
    assert monitor.quality.n == 160
    assert monitor.quality.low <= monitor.quality.mean <= monitor.quality.high
    assert monitor.quality.mean > 0.9
    assert alerts(services) == []


def test_wrong_answers_raise_one_alert_about_quality(
    workspace: Workspace, services: Services, traffic: Traffic
) -> None:
    """It names version and figures, and dates the onset; looking again raises no second one."""
    traffic.send(100)
    take_a_look(workspace)
    first = traffic.send(40, wrong=True)[0]
    done = take_a_look(workspace)
    take_a_look(workspace)
    traffic.send(10, wrong=True)
    take_a_look(workspace)
    (alert,) = alerts(services)
    onset = services(Captures).get("default", "flowers", first).position

    assert done["alerts"] == 1
    assert (alert.kind, alert.version, alert.closed_at) == (AlertKind.QUALITY, 1, None)
    assert abs(alert.onset_position - onset) <= 10
    assert alert.figures["mean"] < 0.3
    assert alert.figures["reference"] > 0.9
    assert "Accuracy of version 1 is 0." in alert.sentence


def test_labels_that_come_late_are_not_missed(
    workspace: Workspace, services: Services, traffic: Traffic
) -> None:
    """Also when they belong to rows that were looked at long ago."""
    early = traffic.send(60, label=False)
    take_a_look(workspace)
    traffic.send(60, label=False)
    take_a_look(workspace)
    before = services(Monitors).get("default", "flowers").quality
    answers = [
        services(Captures).get("default", "flowers", id_).prediction.outputs["predictions"] for id_ in early
    ]
    traffic.label(early, [1 - int(answer) for answer in answers])
    take_a_look(workspace)

    assert before is None
    assert [alert.kind for alert in alerts(services)] == [AlertKind.QUALITY]


def test_looking_twice_changes_nothing(workspace: Workspace, services: Services, traffic: Traffic) -> None:
    """A worker that dies after its report and is run again takes nothing in twice."""
    traffic.send(2 * WINDOW)
    take_a_look(workspace)
    once = services(Monitors).get("default", "flowers")
    again = take_a_look(workspace)
    twice = services(Monitors).get("default", "flowers")

    assert again == {"windows": 0, "alerts": 0, "outdated": False}
    assert len(windows(services)) == 2
    assert (twice.position, twice.label_position, twice.detector, twice.quality) == (
        once.position,
        once.label_position,
        once.detector,
        once.quality,
    )


def test_more_windows_than_are_kept_at_once_are_taken_by_one_job(
    workspace: Workspace, services: Services, traffic: Traffic
) -> None:
    """A monitor keeps up with traffic of which a hundred windows come between two looks."""
    traffic.send(2_110, label=False)
    done = take_a_look(workspace, window_rows=20)
    cutting = services(Monitors).get("default", "flowers").cutting
    found = services(Monitors).windows("default", "flowers", limit=1000).items

    assert done == {"windows": 105, "alerts": 0, "outdated": False}
    assert [window.index for window in found] == list(range(105, 0, -1))
    assert sum(window.n_rows for window in found) == 2_100
    assert cutting is not None
    assert [window.n_rows for window in cutting.open] == [10]


def test_inputs_that_moved_raise_an_alert_after_two_windows(
    workspace: Workspace, services: Services, traffic: Traffic
) -> None:
    """One window could be chance; the alert names the column that moved most."""
    traffic.send(WINDOW, shift=5.0, label=False)
    take_a_look(workspace)
    after_one = alerts(services)
    traffic.send(WINDOW, shift=5.0, label=False)
    take_a_look(workspace)
    (alert,) = alerts(services)
    first, second = windows(services)

    assert after_one == []
    assert alert.kind is AlertKind.DRIFT
    assert (alert.onset_position, alert.last_position) == (first.first_position, second.last_position)
    assert alert.figures["n_drifted"] == 3.0
    assert alert.sentence.startswith("3 of 3 inputs have drifted in 2 windows in a row; `x[")


@pytest.mark.parametrize("spoilt", [math.nan, math.inf])
def test_what_is_not_finite_is_looked_at_and_not_refused(
    workspace: Workspace, services: Services, traffic: Traffic, spoilt: float
) -> None:
    """A column of NaN or infinities, null once it was captured, has drifted; the others have not."""
    traffic.send(2 * WINDOW, spoilt=spoilt)
    take_a_look(workspace)

    for window in windows(services):
        assert window.drift is not None
        assert next((c.name, c.drifted) for c in window.drift.columns) == ("x[1]", True)
        assert window.drift.n_drifted == 1
    assert [alert.kind for alert in alerts(services)] == [AlertKind.DRIFT]


def test_rows_that_do_not_fit_the_signature_are_missing_values(
    workspace: Workspace, services: Services, traffic: Traffic
) -> None:
    """What a model failed on is captured with its error: it counts as such, and stops no monitor."""
    bad: list[dict[str, Any]] = [{"x": "text"}, {"x": [1.0]}, {}, {"x": [None, None, None]}, {"y": 1}]
    made = [
        Prediction(id=new_id(), version=1, at=workspace.clock.now(), inputs=bad[i % 5], error="ValueError")
        for i in range(WINDOW)
    ]
    services(Captures).append("default", "flowers", CaptureBatch(predictions=made))
    services(Captures).label(
        "default", "flowers", LabelBatch(labels=[NewLabel(prediction_id=made[0].id, value=1)])
    )
    take_a_look(workspace)
    (window,) = windows(services)

    assert window.n_errors == WINDOW
    assert window.drift is not None
    assert window.drift.n_drifted == 3
    assert services(Monitors).get("default", "flowers").quality is None


def test_a_version_without_held_out_rows_has_windows_and_no_quality(
    workspace: Workspace, services: Services
) -> None:
    """There is nothing to compare its labels with; they are passed over, not looked at again and again."""
    register(workspace, holdout=False)
    services(Endpoints).deploy("default", "flowers", Deployment(model="flowers", version=1))
    services(Monitors).watch("default", "flowers")
    Traffic(workspace).send(WINDOW, wrong=True)
    take_a_look(workspace)
    monitor = services(Monitors).get("default", "flowers")
    head = services(Captures).head("default", "flowers")

    assert len(windows(services)) == 1
    assert (monitor.detector, monitor.quality, alerts(services)) == (None, None, [])
    assert (monitor.position, monitor.label_position) == (head.position, head.label_position)


def test_a_version_whose_files_are_gone_is_told(
    workspace: Workspace, services: Services, context: Context
) -> None:
    """The window says what it lacks, and the monitor goes on."""
    # Of rows of its own: a sample that this process has read before is not read again.
    made = register(workspace, seed=int(new_id()[-6:], 16))
    services(Endpoints).deploy("default", "flowers", Deployment(model="flowers", version=1))
    services(Monitors).watch("default", "flowers")
    Traffic(workspace).send(WINDOW)
    with context.database.write() as connection:
        drop_owner(connection, f"model-version:{made.id}")
        connection.execute(sa.delete(project_objects))
    take_a_look(workspace)
    (window,) = windows(services)

    assert window.drift is None
    assert "version 1" in window.lacks[0]


def test_a_new_version_starts_afresh(workspace: Workspace, services: Services, traffic: Traffic) -> None:
    """What its predecessor answered says nothing about it."""
    traffic.send(60, wrong=True)
    take_a_look(workspace)
    (alert,) = alerts(services)
    register(workspace, seed=2)
    services(Endpoints).deploy("default", "flowers", Deployment(model="flowers", version=2))
    services(Monitors).close_alert("default", alert.id, CloseAlert(why="replaced"))
    Traffic(workspace, seed=5).send(60)
    take_a_look(workspace)
    monitor = services(Monitors).get("default", "flowers")

    assert monitor.version == 2
    assert monitor.quality is not None
    assert monitor.quality.n == 60
    assert [found.closed_why for found in alerts(services)] == ["replaced"]


def test_a_namesake_of_a_deleted_endpoint_starts_afresh(
    workspace: Workspace, services: Services, traffic: Traffic
) -> None:
    """Also when it has the same version: the evidence against its predecessor is not its own."""
    traffic.send(10, wrong=True)
    take_a_look(workspace)
    services(Endpoints).delete("default", "flowers")
    services(Endpoints).deploy("default", "flowers", Deployment(model="flowers", version=1))
    Traffic(workspace, seed=5).send(30)
    take_a_look(workspace)
    quality = services(Monitors).get("default", "flowers").quality

    assert quality is not None
    assert quality.n == 30


def test_numbers_are_scored_by_their_distance(workspace: Workspace, services: Services) -> None:
    """A regression that goes wrong raises the same kind of alert, about its score."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(600, 2))
    y = x @ [2.0, -1.0] + rng.normal(scale=0.1, size=600)
    fitted = Ridge().fit(x[:400], y[:400])
    noria.register(fitted, "prices", x=x[:400], y=y[:400], holdout=(x[400:], y[400:]), workspace=workspace)
    services(Endpoints).deploy("default", "prices", Deployment(model="prices", version=1))
    services(Monitors).watch("default", "prices")
    rows = rng.normal(size=(80, 2))
    answers = fitted.predict(rows)
    made = [
        Prediction(
            id=new_id(),
            version=1,
            at=workspace.clock.now(),
            inputs={"x": row.tolist()},
            outputs={"predictions": float(answer) if i else None},
        )
        for i, (row, answer) in enumerate(zip(rows, answers, strict=True))
    ]
    services(Captures).append("default", "prices", CaptureBatch(predictions=made))
    truths = [NewLabel(prediction_id=p.id, value=float(a) + 5.0) for p, a in zip(made, answers, strict=True)]
    services(Captures).label("default", "prices", LabelBatch(labels=truths))
    look(workspace, "default", "prices", SETTINGS)
    (alert,) = alerts(services)

    assert alert.kind is AlertKind.QUALITY
    assert alert.sentence.startswith("Score of version 1 is 0.000")


def test_labels_before_predictions_and_twice(
    workspace: Workspace, services: Services, traffic: Traffic
) -> None:
    """A label of a prediction that is not there yet is reported, not kept; one that comes twice counts once."""
    labels = LabelBatch(labels=[NewLabel(prediction_id="early", value=1)])
    before = services(Captures).label("default", "flowers", labels)
    ids = traffic.send(WINDOW, label=False)
    made = Prediction(
        id="early",
        version=1,
        at=workspace.clock.now(),
        inputs={"x": [0.0, 0.0, 0.0]},
        outputs={"predictions": 1},
    )
    services(Captures).append("default", "flowers", CaptureBatch(predictions=[made]))
    for _ in range(2):
        services(Captures).label("default", "flowers", labels)
        traffic.label(ids[:10], [1] * 10)
        take_a_look(workspace)
    quality = services(Monitors).get("default", "flowers").quality

    assert (before.accepted, before.unknown) == (0, ["early"])
    assert quality is not None
    assert quality.n == 11


def test_windows_by_time_take_late_rows(workspace: Workspace, services: Services, traffic: Traffic) -> None:
    """A row that comes when its window was judged is added to it; counters and rows agree."""
    begin = workspace.clock.now() - timedelta(hours=5)

    def send(n: int, at: datetime, first: int) -> None:
        made = [
            Prediction(id=f"p{first + i}", version=1, at=at, inputs={"x": [0.1 * i, 1.0, 2.0]}, outputs={})
            for i in range(n)
        ]
        services(Captures).append("default", "flowers", CaptureBatch(predictions=made))

    send(30, begin, 0)
    send(25, begin + timedelta(hours=2), 100)
    take_a_look(workspace, window_s=3600)
    first = windows(services)
    send(5, begin, 200)
    take_a_look(workspace, window_s=3600)
    again = windows(services)
    bodies = services(Monitors).counts("default", "flowers", again[0].index).items

    assert [window.n_rows for window in first] == [30, 25]
    assert [window.n_rows for window in again] == [35, 25]
    assert services(Monitors).get("default", "flowers").n_windows == 2
    assert [unpack_counts(each.body).counts.n_rows for each in bodies] == [35]


def test_quality_is_followed_by_segment(workspace: Workspace, services: Services, traffic: Traffic) -> None:
    """Each learns what it is compared with from its first labels; an alert about one begins that one anew."""
    settings = {"segments": {"flowers": ["x[0]"]}}

    def part(name: str) -> SegmentQuality:
        found = services(Monitors).segments("default", "flowers").items
        return next(each for each in found if each.segment.startswith(name))

    for _ in range(2):
        traffic.send(500)
        take_a_look(workspace, **settings)
    learned = part("x[0] ≤ ")
    bound = float(learned.segment.rpartition("≤")[2])
    for row_id in traffic.send(150, label=False):
        row = services(Captures).get("default", "flowers", row_id).prediction
        answer = row.outputs["predictions"]
        traffic.label([row_id], [1 - answer if row.inputs["x"][0] <= bound else answer])
    take_a_look(workspace, **settings)
    low, high = part("x[0] ≤ "), part("x[0] > ")
    monitor = services(Monitors).get("default", "flowers")
    about = NewAlert(
        kind=AlertKind.QUALITY,
        version=1,
        figures={"mean": 0.0},
        sentence="Worse there",
        onset_position=1,
        last_position=2,
        segment=low.segment,
    )
    for opened in alerts(services):
        services(Monitors).close_alert("default", opened.id, CloseAlert(why="not this one"))
    begun = services(Monitors).get("default", "flowers")
    found = Look(
        from_position=monitor.position,
        from_label_position=monitor.label_position,
        position=monitor.position,
        label_position=monitor.label_position,
        version=1,
        windows=[],
        detector=begun.detector,
        quality=begun.quality,
        alerts=[about],
    )
    services(Monitors).record("default", "flowers", found)
    raised = next(alert for alert in alerts(services) if alert.closed_at is None)
    services(Monitors).close_alert("default", raised.id, CloseAlert(why="seen"))

    assert (learned.n_learned, raised.segment) == (200, low.segment)
    assert low.report is not None
    assert high.report is not None
    assert low.report.recent[-1].score == 0.0
    assert low.report.mean < high.report.mean - 0.1
    assert (part("x[0] ≤ ").detector, part("x[0] > ").detector) == (None, high.detector)


def test_a_segment_that_is_not_there_is_told(
    workspace: Workspace, services: Services, traffic: Traffic
) -> None:
    """With the near name, in every window."""
    traffic.send(WINDOW)
    take_a_look(workspace, segments={"flowers": ["x[0]]"]})
    (window,) = windows(services)

    (lack,) = window.lacks
    assert lack.startswith("`[monitors.segments]` names the column `x[0]]`, which the reference of flowers@1")
    assert lack.endswith("did you mean `x[0]`?")
    assert window.drift is not None


def test_segments_are_held_to_what_there_is(
    workspace: Workspace, services: Services, traffic: Traffic
) -> None:
    """Endpoints and columns that are not there are refused with the near name; good ones are listed."""

    def checked(**segments: list[str]) -> SegmentCheck:
        return check_segments(workspace, MonitorSection(segments=segments))

    with pytest.raises(Invalid, match="names the endpoint `flower`") as no_endpoint:
        checked(flower=["x[0]"])
    with pytest.raises(Invalid, match="names the column `y`, which the reference of flowers@1") as no_column:
        checked(flowers=["x[0]", "y"])
    (found,) = checked(flowers=["x[1]"]).items

    assert no_endpoint.value.hint == "Did you mean `flowers`?"
    assert no_column.value.hint == "It has `x[0]`, `x[1]`, `x[2]`"
    assert found.endpoint == "flowers"
    assert len(found.segments) == 5
    assert found.lacks == []
