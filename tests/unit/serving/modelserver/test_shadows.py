"""What a shadow is asked, and what is read again of the requests that were answered."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from noria.core.clock import ManualClock
from noria.core.errors import Unavailable
from noria.core.ids import new_id
from noria.serving.modelserver.again import read_again
from noria.serving.modelserver.board import Board, Page, Word
from noria.serving.modelserver.joint import n_requests, read_joint
from noria.serving.modelserver.lanes import Outputs
from noria.serving.modelserver.mirror import SHADOW, ShadowKeeper, asked_of, shadow_plan
from noria.serving.modelserver.pace import SPARE, Pace
from noria.serving.modelserver.recorder import Alike, CapturedRequest, Recorder, key_of
from noria.serving.modelserver.records import by_endpoint
from noria.serving.modelserver.routes import falls_under
from noria.serving.modelserver.shadow_note import HangWatch, ShadowNote, settle
from noria.serving.modelserver.shadower import PATIENCE_S, Shadows, batches
from noria.serving.modelserver.turns import is_sure
from noria.serving.packing import Entry, values_of
from noria.serving.plans import EndpointPlan, PlannedShadow, PlannedVersion
from noria.serving.predictions import ROLES, CaptureRole
from support.waiting import wait_until

PLAN = EndpointPlan(
    project="default",
    endpoint="live",
    model="digits",
    revision=5,
    versions=[PlannedVersion(version=1, digest="blake3:01", weight=1.0)],
    shadows=[PlannedShadow(version=2, digest="blake3:02")],
)


class Following:
    """A follower that follows a plan as far as the test says."""

    def __init__(self) -> None:
        self.routes: dict[str, Any] = {}
        self.known: tuple[EndpointPlan, int] | None = None

    def plan(self, _project: str, _endpoint: str) -> tuple[EndpointPlan, int] | None:
        return self.known

    def follow(self, plan: EndpointPlan, predict: Callable[[Any], Outputs]) -> None:
        lane = SimpleNamespace(run=lambda inputs, _n: predict(inputs["x"]), rows_within=lambda _s: 512)
        version = SimpleNamespace(lane=lane, entity=SimpleNamespace(version=2))
        self.routes = {"live": SimpleNamespace(versions={2: version}, revision=plan.revision)}
        self.known = (shadow_plan(plan), plan.revision)


class Kept:
    """What was kept, decoded."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.n_records = 0

    def append(self, record: bytes, n: int = 1) -> bool:
        assert n == n_requests(record)
        self.n_records += 1
        self.entries += by_endpoint([record])[("default", "live")]
        return True


@pytest.fixture
def following() -> Following:
    """Give a follower that knows no plan."""
    return Following()


@pytest.fixture
def kept() -> Kept:
    """Give what keeps nothing yet."""
    return Kept()


@pytest.fixture
def clock() -> ManualClock:
    """Give a clock that stands still."""
    return ManualClock(datetime(2030, 1, 1, tzinfo=UTC))


@pytest.fixture
def page() -> Page:
    """Give the page of the process that predicts."""
    return Board.create(1).pages[0]


@pytest.fixture
def shadows(following: Following, kept: Kept, clock: ManualClock, page: Page) -> Shadows:
    """Give what predicts by the follower's versions."""
    return _made(following, kept, clock, page)


def _made(following: Following, kept: Kept, clock: ManualClock, page: Page) -> Shadows:
    pace = Pace(clock, lambda _seconds: True, lambda: SPARE)
    given: Any = {"follower": following, "keep": kept, "page": page, "home": "default", "clock": clock}
    return Shadows(**given, pace=pace)


def _alone(record: bytes) -> str:
    """Give the id of the one request of a record."""
    found = read_again(record)
    assert found is not None
    return found.ids[0]


def _joint(rows: Any, *, version: int = 1, outputs: Any = None) -> bytes:
    """Give a record of requests of one row each, as a turn of the event loop makes it."""
    arrays = [np.asarray(row)[np.newaxis] for row in rows]
    given = [{"predictions": np.zeros(1)} for _ in arrays] if outputs is None else outputs
    common = ("default", "live", version, 5)
    alike = Alike(common, 9, key_of(common, 0, 1, {"x": arrays[0]}, given[0]), {"x": arrays[0]}, given[0])
    for array, found in zip(arrays, given, strict=True):
        alike.ids.append(new_id())
        alike.latencies_us.append(700)
        alike.arrays += [array, *found.values()]
    record = Recorder().encode_alike(alike)
    assert record is not None
    return record


def _record(x: Any, *, version: int = 1, revision: int = 5, role: CaptureRole = CaptureRole.ANSWER) -> bytes:
    array = np.asarray(x)
    place = ("default", "live", version, revision)
    outputs = {"predictions": np.zeros(len(array))}
    request = CapturedRequest(
        place, new_id(), 9, 700, len(array), {"x": array}, outputs, None, ROLES.index(role)
    )
    return Recorder().encode(request)


def _doubled(x: Any) -> Outputs:
    if np.any(x < 0):
        raise ValueError("not below 0")
    return {"predictions": 2 * x[:, 0]}


def test_each_request_is_predicted_under_its_revision_by_those_that_did_not_answer_it(
    shadows: Shadows, following: Following, kept: Kept
) -> None:
    """Long ones in pieces, one that raises by itself; none of another revision or role, or answered by it."""
    following.follow(PLAN, _doubled)
    records = [_record([[1.0], [2.0]]), _record([[-1.0]]), _record([[3.0]])]
    others = [
        _record([[4.0]], revision=4),
        _record([[4.0]], version=2),
        _record([[4.0]], role=CaptureRole.SHADOW),
    ]

    shadows.take([*records, *others])

    assert [entry.id for entry in kept.entries] == [_alone(record) for record in records]
    assert {(entry.version, entry.revision, entry.role) for entry in kept.entries} == {(2, 5, 1)}
    assert [values_of(entry) for entry in kept.entries] == [
        [({}, {"predictions": 2.0}), ({}, {"predictions": 4.0})],
        [({}, {})],
        [({}, {"predictions": 6.0})],
    ]
    assert [entry.error for entry in kept.entries] == [None, "ValueError: not below 0", None]


def test_requests_wait_for_their_plan_but_not_for_ever(
    shadows: Shadows, following: Following, kept: Kept, clock: ManualClock
) -> None:
    """Unavailable lets whoever hands them over try again; later they are given up."""
    record = _record([[1.0]])
    with pytest.raises(Unavailable):
        shadows.take([record])
    clock.advance(PATIENCE_S)
    shadows.take([record])
    assert kept.entries == []

    following.follow(PLAN, _doubled)
    shadows.take([record])
    assert len(kept.entries) == 1


class Children:
    """Starts processes that do nothing."""

    def __init__(self) -> None:
        self.started: list[subprocess.Popen[bytes]] = []

    def __call__(self) -> subprocess.Popen[bytes]:
        self.started.append(subprocess.Popen(["sleep", "600"]))
        return self.started[-1]


@pytest.fixture
def children() -> Iterator[Children]:
    """Give what starts processes, and end them."""
    made = Children()
    yield made
    for child in made.started:
        child.kill()
        child.wait()


def _looked(keeper: ShadowKeeper, children: Children, n_started: int) -> None:
    def look() -> bool:
        keeper.look(wanted=True)
        return len(children.started) == n_started

    wait_until(look, 20)


def test_a_process_that_hangs_is_replaced_and_what_it_hung_at_is_dropped(
    page: Page, children: Children
) -> None:
    """One that is at a prediction for long, not one that is idle; the next passes by what both before it hung at."""
    dropped: list[int] = []
    keeper = ShadowKeeper(children, page=page, dropped=dropped.append, hung_after_s=5.0)
    keeper.look(wanted=True)
    ShadowNote(page).begin(2, ["a", "b"])
    keeper.look(wanted=True)
    assert [child.poll() for child in children.started] == [None]

    page.words[Word.OLDEST_NS] -= int(6e9)
    keeper.look(wanted=True)
    assert children.started[0].returncode == -signal.SIGKILL
    assert dropped == [2]
    _looked(keeper, children, 2)
    note = ShadowNote(page)
    assert note.passed == {(2, "a"), (2, "b")}

    note.begin(3, ["a"])
    page.words[Word.OLDEST_NS] -= int(6e9)
    keeper.look(wanted=True)
    assert dropped == [2, 1]
    assert ShadowNote(page).passed == {(2, "a"), (2, "b"), (3, "a")}
    keeper.stop(1.0)


def test_a_process_that_gets_no_processor_does_not_hang(page: Page) -> None:
    """It gets one when others leave it; what counts is the time in which it had one, or waited for something else."""
    waited = {7: 100.0}
    watch = HangWatch(page, 10.0, waited.__getitem__)
    assert not watch.hangs(7, 10**12)

    page.words[Word.OLDEST_NS] = 10**12
    assert not watch.hangs(7, 10**12 + int(6e9))
    waited[7] += 30.0
    assert not watch.hangs(7, 10**12 + int(39e9))
    assert watch.hangs(7, 10**12 + int(41e9))

    page.words[Word.OLDEST_NS] = 10**12 + int(50e9)
    assert not watch.hangs(7, 10**12 + int(59e9))
    assert watch.hangs(7, 10**12 + int(61e9))
    waited[7] += 1000.0
    assert not watch.hangs(7, 10**12 + int(149e9))
    assert watch.hangs(7, 10**12 + int(151e9))


def test_what_a_process_was_at_that_was_killed_is_not_dropped(page: Page, children: Children) -> None:
    """Only hanging costs shadows."""
    dropped: list[int] = []
    keeper = ShadowKeeper(children, page=page, dropped=dropped.append, hung_after_s=5.0)
    keeper.look(wanted=True)
    ShadowNote(page).begin(2, ["a"])
    children.started[0].kill()
    _looked(keeper, children, 2)

    assert dropped == []
    assert ShadowNote(page).passed == set()
    assert page.words[Word.OLDEST_NS] == 0
    keeper.stop(1.0)


def test_what_the_process_before_hung_at_is_passed_by_once(
    following: Following, kept: Kept, clock: ManualClock, page: Page
) -> None:
    """The rest of the requests that it was handed are predicted."""
    following.follow(PLAN, _doubled)
    records = [_record([[float(n)]]) for n in range(3)]
    ids = [_alone(record) for record in records]
    before = ShadowNote(page)
    before.begin(2, [ids[1]])
    settle(page, hung=True)
    shadows = _made(following, kept, clock, page)

    shadows.take(records)
    assert [entry.id for entry in kept.entries] == [ids[0], ids[2]]
    assert page.words[Word.OLDEST_NS] == 0

    shadows.take([records[1]])
    assert len(kept.entries) == 3


@pytest.mark.parametrize(
    "x", [[[1.5, 2.5]], [[True], [False]], [["a", "bc"], ["", "ü"]], [[[1], [2]], [[3], [4]]]]
)
def test_a_request_is_read_again_as_it_was(x: Any) -> None:
    """Numbers, truth values and texts, in whatever shape."""
    found = read_again(_record(x))

    assert found is not None
    assert found.inputs["x"].tolist() == x
    assert (found.place, found.version, found.revision, found.n_rows) == (("default", "live"), 1, 5, len(x))


@pytest.mark.parametrize("rows", [[[1.5, 2.5], [3.5, 4.5]], [True, False, True], [[[1], [2]], [[3], [4]]]])
def test_requests_that_were_kept_together_are_read_again_together(rows: Any) -> None:
    """In their order, each with its own rows, and so are some of them."""
    record = _joint(rows)
    found = read_again(record)

    assert found is not None
    assert found.inputs["x"].tolist() == rows
    assert (found.ids, found.rows_each, found.n_rows) == (read_joint(record).ids, 1, len(rows))
    last = found.chosen([len(rows) - 1])
    assert (last.inputs["x"].tolist(), last.ids) == (rows[-1:], found.ids[-1:])


def test_requests_that_were_kept_together_are_predicted_and_kept_together(
    shadows: Shadows, following: Following, kept: Kept
) -> None:
    """Each under its own id with its own prediction; where one raises, each by itself."""
    following.follow(PLAN, _doubled)
    good, bad = _joint([[1.0], [2.0], [3.0]]), _joint([[4.0], [-1.0], [5.0]])

    shadows.take([good])
    assert kept.n_records == 1
    assert [values_of(entry)[0][1] for entry in kept.entries] == [
        {"predictions": 2.0},
        {"predictions": 4.0},
        {"predictions": 6.0},
    ]
    assert [entry.id for entry in kept.entries] == read_joint(good).ids
    assert {(entry.version, entry.revision, entry.role, entry.at_us) for entry in kept.entries} == {
        (2, 5, 1, 9)
    }

    shadows.take([bad])
    assert [entry.id for entry in kept.entries[3:]] == read_joint(bad).ids
    assert [entry.error for entry in kept.entries[3:]] == [None, "ValueError: not below 0", None]


def test_what_waits_when_the_plan_changes_is_let_go_of(
    shadows: Shadows, following: Following, kept: Kept
) -> None:
    """Nobody asks for it any more, and what the new plan asks for comes next."""
    after = msgspec.structs.replace(PLAN, revision=6)

    def predict_while_the_plan_changes(x: Any) -> Outputs:
        following.follow(after, _doubled)
        return _doubled(x)

    following.follow(PLAN, predict_while_the_plan_changes)
    shadows.take([_joint([[float(n)] for n in range(512)]), _joint([[1.0], [2.0]])])

    assert len(kept.entries) == 512


def test_outputs_of_several_arrays_and_of_texts_are_kept(
    shadows: Shadows, following: Following, kept: Kept
) -> None:
    """Whatever a version gives beside its predictions."""

    def several(x: Any) -> Outputs:
        return {"sure": np.stack([x[:, 0], -x[:, 0]], axis=1).astype(np.float32), "predictions": x[:, 0] > 1}

    following.follow(PLAN, several)
    shadows.take([_joint([[1.0], [2.0]])])
    following.follow(PLAN, lambda x: {"predictions": np.array([f"n{value:.0f}" for value in x[:, 0]])})
    shadows.take([_joint([[1.0], [2.0]])])

    assert [values_of(entry)[0][1] for entry in kept.entries] == [
        {"sure": [1.0, -1.0], "predictions": False},
        {"sure": [2.0, -2.0], "predictions": True},
        {"predictions": "n1"},
        {"predictions": "n2"},
    ]


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_what_is_copied_for_a_shadow_is_its_share(share: float) -> None:
    """Of requests that were kept together, too: those, and no others, that the share is of."""
    plan = msgspec.structs.replace(PLAN, shadows=[PlannedShadow(version=2, digest="blake3:02", share=share)])
    together, alone = _joint([[float(n)] for n in range(200)]), [_record([[1.0]]) for _ in range(50)]
    copied = [found for record in [together, *alone] if (found := asked_of(plan, 1, record)) is not None]

    ids = {identity for record in copied for identity in read_again(record).ids}  # type: ignore[union-attr]
    all_ids = {*read_joint(together).ids, *map(_alone, alone)}
    assert ids == {identity for identity in all_ids if falls_under(share, SHADOW, "live", identity)}
    assert 0 < len(ids) <= len(all_ids)
    rows = dict(zip(read_joint(together).ids, range(200), strict=True))
    first = read_again(copied[0])
    assert first is not None
    assert first.inputs["x"][:, 0].tolist() == [rows[identity] for identity in first.ids]
    assert asked_of(plan, 2, _joint([[1.0], [2.0]], version=2)) is None


def test_batches_hold_what_one_call_can_predict() -> None:
    """Not too many rows, and arrays of one form."""
    rows = [read_again(_record(np.zeros((n, width)))) for n, width in [(300, 2), (200, 2), (13, 2), (1, 3)]]
    requests = [request for request in rows if request is not None]

    found = [[request.n_rows for request in batch] for batch in batches(requests, 512)]
    assert found == [[300, 200], [13], [1]]
    assert [len(batch) for batch in batches(requests, 1)] == [1, 1, 1, 1]

    together = read_again(_joint([[float(n)] for n in range(7)]))
    assert together is not None
    cut = list(batches([together], 3))
    assert [[some.n_rows for some in batch] for batch in cut] == [[3], [3], [1]]
    assert [identity for batch in cut for some in batch for identity in some.ids] == together.ids


@pytest.mark.parametrize(
    ("outputs", "sure"),
    [
        ({"probabilities": [[0.1, 0.9], [0.95, 0.05]]}, True),
        ({"probabilities": [[0.1, 0.9], [0.6, 0.4]]}, False),
        ({"probabilities": [[0.5, 0.5]], "confidence": [0.9]}, True),
        ({"confidence": [[float("nan")]]}, False),
        ({"predictions": [1]}, False),
    ],
)
def test_a_version_is_sure_of_all_rows_or_not_sure(outputs: dict[str, Any], sure: bool) -> None:
    """By its own confidence where it has one, else by its largest probability."""
    assert is_sure({name: np.array(values) for name, values in outputs.items()}, 0.9) is sure
