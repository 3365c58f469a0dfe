"""Captured predictions and their labels."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest
import sqlalchemy as sa

from noria.core.context import Context
from noria.core.errors import Corrupt, Invalid, NotFound, TooLarge
from noria.core.ids import new_id
from noria.core.workspace import Workspace
from noria.registry.entities import Task
from noria.serving.captured_blocks import blocks_of_page
from noria.serving.captures import MAX_BATCH, PredictionNotFound
from noria.serving.entities import Deployment
from noria.serving.modelserver.recorder import CapturedRequest, Recorder
from noria.serving.modelserver.records import by_endpoint
from noria.serving.packing import Packed, pack
from noria.serving.pairs import read_pairs
from noria.serving.predictions import (
    ROLES,
    CaptureBatch,
    CaptureOrder,
    CaptureReport,
    CaptureRole,
    LabelBatch,
    LabelReport,
    NewLabel,
    PredictionIds,
)
from noria.serving.service import Captures, Endpoints
from noria.serving.sums import ClassSums, PairStats
from noria.serving.tables import endpoints
from support.conformance import Services
from support.serving import predictions, register_version


@pytest.fixture(autouse=True)
def endpoint(services: Services, workspace: Workspace) -> None:
    """Make the endpoint `live` that version 1 answers."""
    register_version(workspace)
    services(Endpoints).deploy("default", "live", Deployment(model="digits", version=1))


def _append(services: Services, *ids: str, **options: object) -> CaptureReport:
    batch = CaptureBatch(predictions=predictions(ids, **options))  # type: ignore[arg-type]
    return services(Captures).append("default", "live", batch)


def _label(services: Services, **values: object) -> LabelReport:
    batch = LabelBatch(labels=[NewLabel(prediction_id=key, value=value) for key, value in values.items()])  # type: ignore[arg-type]
    return services(Captures).label("default", "live", batch)


def test_chunks_hold_the_rows_that_pages_do(services: Services) -> None:
    """Whole ones behind a cursor, each row once."""
    captures = services(Captures)
    for number in range(5):
        ids = [f"{number}-{i}" for i in range(70)]
        captures.append("default", "live", CaptureBatch(predictions=predictions(ids)))
    whole = captures.read("default", "live", limit=1000)
    found: dict[int, object] = {}
    page = captures.chunks("default", "live", after=10, n_rows=100)
    pages = [page]
    while page.items:
        page = captures.chunks("default", "live", after=page.next, n_rows=100)
        pages.append(page)
    for block in [block for page in pages for block in blocks_of_page(page)]:
        found |= dict(zip(block.positions.tolist(), block.values(), strict=True))

    assert [len(page.items) for page in pages] == [2, 2, 1, 0]
    assert [page.more for page in pages] == [True, True, False, False]
    assert pages[-1].next == whole.next
    assert list(found) == [row.position for row in whole.items[10:]]
    assert list(found.values()) == [
        (row.prediction.inputs, row.prediction.outputs) for row in whole.items[10:]
    ]


def test_predictions_are_read_back_in_order(services: Services) -> None:
    """As they were captured, in pages behind a cursor."""
    sent = predictions(["a", "b", "c"])
    services(Captures).append("default", "live", CaptureBatch(predictions=sent))

    first = services(Captures).read("default", "live", limit=2)
    second = services(Captures).read("default", "live", after=first.next)
    third = services(Captures).read("default", "live", after=second.next)

    assert [row.prediction for row in first.items + second.items] == sent
    assert (first.more, second.more, third.items, third.next) == (True, False, [], second.next)
    assert services(Captures).head("default", "live").position == second.items[-1].position


def test_a_prediction_is_kept_once(services: Services) -> None:
    """Sending a batch again, or one that overlaps, changes nothing; the first one stands."""
    assert _append(services, "a", "b") == CaptureReport(accepted=2, duplicate=0)
    assert _append(services, "b", "c", "c", answer=9) == CaptureReport(accepted=1, duplicate=2)

    stats = services(Captures).stats("default", "live").of(1)
    assert (stats.n_requests, stats.n_rows) == (3, 3)
    assert services(Captures).get("default", "live", "b").prediction.outputs == {"predictions": 7}


def test_labels_are_kept_and_shown_with_their_predictions(services: Services) -> None:
    """The truth stands beside the answer, and is counted."""
    _append(services, "a", "b")

    report = _label(services, a=7, b=3)

    assert report == LabelReport(accepted=2)
    found = services(Captures).get("default", "live", "b")
    assert found.label is not None
    assert (found.label.value, found.label.prediction_id) == (3, "b")
    stats = services(Captures).stats("default", "live").of(1)
    assert (stats.n_labelled, stats.n_judged, stats.n_correct, stats.accuracy) == (2, 2, 1, 0.5)


def test_the_first_label_stands(services: Services) -> None:
    """The same again is a duplicate; another value is a contradiction, reported and counted."""
    _append(services, "a")
    _label(services, a=7)

    assert _label(services, a=7) == LabelReport(duplicate=["a"])
    assert _label(services, a=8) == LabelReport(conflicting=["a"])
    found = services(Captures).get("default", "live", "a").label
    assert found is not None
    assert (found.value, found.n_contradictions) == (7, 1)
    assert services(Captures).stats("default", "live").of(1).n_labelled == 1


def test_contradictions_within_one_batch_are_seen(services: Services) -> None:
    """Two labels for one prediction in one call are not two truths."""
    _append(services, "a")
    batch = LabelBatch(labels=[NewLabel(prediction_id="a", value=7), NewLabel(prediction_id="a", value=8)])

    report = services(Captures).label("default", "live", batch)

    assert report == LabelReport(accepted=1, conflicting=["a"])


def test_labels_of_unknown_predictions_are_named(services: Services) -> None:
    """The others of the batch are kept."""
    _append(services, "a")

    assert _label(services, a=7, nobody=1) == LabelReport(accepted=1, unknown=["nobody"])
    with pytest.raises(PredictionNotFound, match="nobody"):
        services(Captures).get("default", "live", "nobody")


def test_a_label_is_of_the_kind_that_is_predicted(services: Services) -> None:
    """A text for a number would never be right, so it is refused by name."""
    _append(services, "a")

    assert _label(services, a="seven") == LabelReport(mistyped=["a"])


def test_a_failed_request_is_counted_and_may_have_a_truth(services: Services) -> None:
    """It predicted nothing, so nothing is judged."""
    _append(services, "a", "b", error="ValueError: no")
    _label(services, a="anything")

    stats = services(Captures).stats("default", "live").of(1)

    assert (stats.n_requests, stats.n_errors, stats.n_labelled, stats.n_judged) == (2, 2, 1, 0)
    assert stats.latency_sum_us == 0


def test_late_labels_are_read_in_the_order_of_their_arrival(services: Services) -> None:
    """A reader with a cursor on labels misses none, however old the prediction."""
    _append(services, "a", "b", "c")
    _label(services, c=1)
    first = services(Captures).read("default", "live", order=CaptureOrder.LABELLED)
    _label(services, a=1)

    second = services(Captures).read("default", "live", order=CaptureOrder.LABELLED, after=first.next)

    assert [row.prediction.id for row in first.items] == ["c"]
    assert [row.prediction.id for row in second.items] == ["a"]
    assert services(Captures).head("default", "live").label_position == second.next


def test_labels_are_kept_months_after_their_predictions(services: Services) -> None:
    """In batches, once each, shown and counted with predictions that many newer ones and another version followed."""
    old = [f"old{n}" for n in range(300)]
    aged = [
        msgspec.structs.replace(each, at=datetime.now(UTC) - timedelta(days=200 - n / 10))
        for n, each in enumerate(predictions(old))
    ]
    captures = services(Captures)
    captures.append("default", "live", CaptureBatch(predictions=aged))
    for month in range(6):
        _append(services, *(f"new{month}-{n}" for n in range(60)), version=2)
    cursor = captures.head("default", "live").label_position
    given = datetime.now(UTC)
    for begin in range(0, 300, 100):
        labels = [NewLabel(prediction_id=key, value=7) for key in old[begin : begin + 100]]
        report = captures.label("default", "live", LabelBatch(labels=labels))
        assert report == LabelReport(accepted=100)
        assert captures.label("default", "live", LabelBatch(labels=labels)) == LabelReport(
            duplicate=old[begin : begin + 100]
        )
    assert _label(services, old0=8) == LabelReport(conflicting=["old0"])

    found = captures.get("default", "live", "old299")
    assert found.label is not None
    assert found.label.at - found.prediction.at > timedelta(days=100)
    assert found.label.at >= given - timedelta(seconds=1)
    stats = captures.stats("default", "live")
    assert [(s.version, s.n_labelled, s.n_correct) for s in stats.items] == [(1, 300, 300), (2, 0, 0)]
    read = captures.read("default", "live", order=CaptureOrder.LABELLED, after=cursor, limit=500)
    assert [row.prediction.id for row in read.items] == old


def test_rows_are_filtered_by_version_and_label(services: Services) -> None:
    """Each question reads only its own rows."""
    _append(services, "a", "b")
    _append(services, "c", version=2)
    _label(services, b=7, c=7)
    captures = services(Captures)

    def ids(**filters: object) -> list[str]:
        page = captures.read("default", "live", **filters)  # type: ignore[arg-type]
        return [row.prediction.id for row in page.items]

    assert ids(version=1) == ["a", "b"]
    assert ids(labelled=True) == ["b", "c"]
    assert ids(labelled=False) == ["a"]
    assert ids(version=2, labelled=True, order=CaptureOrder.LABELLED) == ["c"]


def test_figures_are_by_version_and_from_a_revision_on(services: Services) -> None:
    """A step of a rollout sees what was answered under it, with the labels that came later."""
    _append(services, "a", "b", revision=1, latency_us=1000)
    _append(services, "c", revision=2, latency_us=3000)
    _append(services, "d", version=2, revision=2)
    _label(services, a=7, c=1)

    everything = services(Captures).stats("default", "live")
    since = services(Captures).stats("default", "live", since_revision=2)

    assert [(s.version, s.n_requests) for s in everything.items] == [(1, 3), (2, 1)]
    assert everything.of(1).mean_latency_ms == pytest.approx(5 / 3)
    assert (since.of(1).n_requests, since.of(1).n_labelled, since.of(1).n_correct) == (1, 1, 0)
    assert services(Captures).stats("default", "live", version=2).items == [since.of(2)]
    assert sum(everything.of(1).latency_buckets.values()) == 3


def test_a_regressor_is_measured_by_its_absolute_error(services: Services, workspace: Workspace) -> None:
    """Numbers are not right or wrong."""
    register_version(workspace, "prices", task=Task.REGRESSION)
    services(Endpoints).deploy("default", "prices", Deployment(model="prices", version=1))
    batch = CaptureBatch(predictions=predictions(["a"], answer=10.5))
    services(Captures).append("default", "prices", batch)

    services(Captures).label("default", "prices", LabelBatch(labels=[NewLabel(prediction_id="a", value=12)]))
    stats = services(Captures).stats("default", "prices").of(1)

    assert (stats.n_measured, stats.abs_error_sum, stats.n_judged) == (1, 1.5, 0)


def test_predictions_are_located_across_endpoints(services: Services) -> None:
    """Whoever has only ids learns where they belong."""
    services(Endpoints).deploy("default", "other", Deployment(model="digits", version=1))
    _append(services, "a")
    services(Captures).append("default", "other", CaptureBatch(predictions=predictions(["b"])))

    found = services(Captures).locate(PredictionIds(ids=["a", "b", "nobody"])).items

    assert {(each.prediction_id, each.endpoint) for each in found} == {("a", "live"), ("b", "other")}


def test_what_arrives_after_an_endpoint_was_deleted_is_kept(services: Services) -> None:
    """A model server may hand on late; nothing that was answered is lost."""
    services(Endpoints).delete("default", "live")

    assert _append(services, "a").accepted == 1
    assert _label(services, a=7).accepted == 1
    with pytest.raises(NotFound):
        services(Captures).append("default", "never", CaptureBatch(predictions=predictions(["b"])))


def test_a_batch_has_a_size(services: Services) -> None:
    """One call cannot hold the writer for long."""
    ids = PredictionIds(ids=["x"] * (MAX_BATCH + 1))

    with pytest.raises(TooLarge):
        services(Captures).locate(ids)


def test_a_batch_larger_than_one_query_is_kept_once(services: Services) -> None:
    """The look for known ids covers all of it."""
    ids = [f"p{n}" for n in range(1100)]
    _append(services, *ids)

    assert _append(services, *ids).accepted == 0
    assert services(Captures).stats("default", "live").of(1).n_rows == 1100


def test_shadows_are_kept_beside_answers_and_read_only_when_asked_for(
    services: Services, context: Context
) -> None:
    """Under the ids of the answers, counted for their version, and judged by labels that came before or after them."""
    recorder = Recorder()
    one, two, many = new_id(), new_id(), new_id()

    def send(name: str, role: CaptureRole, version: int, predicted: int, n_rows: int = 1) -> CaptureReport:
        arrays = {"x": np.zeros((n_rows, 2))}, {"predictions": np.full(n_rows, predicted)}
        place = ("default", "live", version, 1)
        request = CapturedRequest(place, name, 9, 700, n_rows, *arrays, role=ROLES.index(role))
        batch = pack(by_endpoint([recorder.encode(request)])[("default", "live")])
        return services(Captures).append_packed("default", "live", batch)

    send(one, CaptureRole.ANSWER, 1, 4)
    assert send(one, CaptureRole.SHADOW, 2, 5).accepted == 1
    assert send(one, CaptureRole.SHADOW, 2, 5).duplicate == 1
    send(two, CaptureRole.FIRST, 1, 4)
    send(two, CaptureRole.ANSWER, 1, 4)
    send(many, CaptureRole.ANSWER, 1, 4, n_rows=300)
    send(many, CaptureRole.SHADOW, 2, 5, n_rows=300)
    assert _label(services, **{one: 5, f"{many}-270": 5, f"{many}-3": 4}).accepted == 3
    send(one, CaptureRole.SHADOW, 3, 5)

    captures = services(Captures)
    answers = captures.read("default", "live", limit=1000).items
    shadows = captures.read("default", "live", limit=1000, role=CaptureRole.SHADOW).items
    of_many = [f"{many}-{row}" for row in range(300)]
    assert [row.prediction.id for row in answers] == [one, two, *of_many]
    assert [row.prediction.id for row in shadows] == [one, *of_many, one]
    assert [row.prediction.version for row in (shadows[0], shadows[-1])] == [2, 3]
    assert {row.prediction.role for row in answers} == {CaptureRole.ANSWER}
    firsts = captures.read("default", "live", role=CaptureRole.FIRST).items
    assert [row.prediction.id for row in firsts] == [two]
    assert captures.get("default", "live", one).prediction.version == 1
    assert captures.head("default", "live").n_rows == 302
    assert captures.head("default", "live", after=answers[1].position).n_rows == 300
    figures = {s.version: s for s in captures.stats("default", "live").items}
    assert [(figures[v].n_requests, figures[v].n_rows) for v in (1, 2, 3)] == [(3, 302), (2, 301), (1, 1)]
    assert [(figures[v].n_labelled, figures[v].n_correct) for v in (1, 2, 3)] == [(3, 1), (3, 2), (1, 1)]
    assert [figures[v].sums.predicted for v in (1, 2, 3)] == [{"4": 3}, {"5": 2}, {"5": 1}]
    assert figures[2].sums.classes == {"4": ClassSums(1, 0, 0), "5": ClassSums(2, 3, 2)}
    with context.database.read() as connection:
        endpoint_pk = connection.execute(sa.select(endpoints.c.pk)).scalar_one()
        assert read_pairs(connection, endpoint_pk, 2, 1) == PairStats(
            n=301, n_judged=3, n_only_new_right=2, n_only_old_right=1
        )
        late = read_pairs(connection, endpoint_pk, 3, 1)
        assert late == PairStats(n=1, n_judged=1, n_only_new_right=1)
    with pytest.raises(Invalid):
        captures.read("default", "live", role=CaptureRole.SHADOW, labelled=True)


def test_packed_requests_are_kept_once_and_found_by_row(services: Services) -> None:
    """As a model server hands them on: again, overlapping and mixed, with long requests in pieces."""
    recorder = Recorder()
    ids = [new_id() for _ in range(100)]

    def packed(names: list[str], n_rows: int = 1, version: int = 1) -> Packed:
        arrays = {"x": np.arange(2.0 * n_rows).reshape(n_rows, 2)}
        outputs = {"predictions": np.arange(n_rows)}
        records = [
            recorder.encode(
                CapturedRequest(("default", "live", version, 1), name, 9, 700, n_rows, arrays, outputs)
            )
            for name in names
        ]
        return pack(by_endpoint(records)[("default", "live")])

    captures = services(Captures)

    def send(batch: Packed) -> tuple[int, int]:
        report = captures.append_packed("default", "live", batch)
        return report.accepted, report.duplicate

    assert send(packed(ids[:1])) == (1, 0)
    assert send(packed(ids[:3], version=2)) == (2, 1)  # joined to the few before
    assert send(packed([*ids[2:90], ids[50]])) == (87, 2)
    assert send(packed(ids[98:99], n_rows=300)) == (300, 0)
    assert send(packed(ids[98:99], n_rows=300)) == (0, 300)
    assert _append(services, f"{ids[98]}-270", ids[4], "own").accepted == 1

    rows = captures.read("default", "live", limit=1000).items
    assert [row.position for row in rows] == list(range(1, 392))
    assert [row.prediction.id for row in rows[:90]] == ids[:90]
    assert [row.prediction.row for row in rows[90:390]] == list(range(300))
    assert rows[360].prediction.inputs == {"x": [540.0, 541.0]}
    assert [row.position for row in captures.read("default", "live", version=2).items] == [2, 3]
    page = captures.read("default", "live", after=88, limit=4)
    assert [row.position for row in page.items] == [89, 90, 91, 92]
    assert captures.head("default", "live", after=89).n_rows == 302
    wanted = [f"{ids[98]}-{row}" for row in ("0", "270", "300", "0270")]
    located = captures.locate(PredictionIds(ids=wanted)).items
    assert sorted(each.prediction_id for each in located) == wanted[:2]
    assert _label(services, **{wanted[1]: 270, wanted[2]: 1}) == LabelReport(accepted=1, unknown=[wanted[2]])
    stats = captures.stats("default", "live")
    assert (stats.of(1).n_requests, stats.of(1).n_rows, stats.of(1).n_correct) == (90, 389, 1)

    services(Endpoints).delete("default", "live")
    services(Endpoints).deploy("default", "live", Deployment(model="digits", version=1))
    assert send(packed(ids[:1])) == (1, 0)
    assert captures.head("default", "live").position == 392  # whoever has read to 391 misses nothing
    with pytest.raises(Corrupt):
        captures.append_packed("default", "live", Packed(heads=b"no", data=b""))
