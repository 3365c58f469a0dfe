"""What a shadow is asked, and what is read again of the requests that were answered."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from noria.core.clock import ManualClock
from noria.core.errors import Unavailable
from noria.core.ids import new_id
from noria.serving.modelserver.again import read_again
from noria.serving.modelserver.board import Board, Page, Word
from noria.serving.modelserver.lanes import Outputs
from noria.serving.modelserver.mirror import ShadowKeeper, shadow_plan
from noria.serving.modelserver.recorder import CapturedRequest, Recorder
from noria.serving.modelserver.records import by_endpoint
from noria.serving.modelserver.shadow_note import ShadowNote, settle
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

    def append(self, record: bytes) -> bool:
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
    given: Any = {"follower": following, "keep": kept, "page": page, "home": "default", "clock": clock}
    return Shadows(**given)


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

    assert [entry.id for entry in kept.entries] == [read_again(record).id for record in records]  # type: ignore[union-attr]
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
    ids = [read_again(record).id for record in records]  # type: ignore[union-attr]
    before = ShadowNote(page)
    before.begin(2, [ids[1]])
    settle(page, hung=True)
    given: Any = {"follower": following, "keep": kept, "page": page, "home": "default", "clock": clock}
    shadows = Shadows(**given)

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


def test_batches_hold_what_one_call_can_predict() -> None:
    """Not too many rows, and arrays of one form."""
    rows = [read_again(_record(np.zeros((n, width)))) for n, width in [(300, 2), (200, 2), (13, 2), (1, 3)]]
    requests = [request for request in rows if request is not None]

    found = [[request.n_rows for request in batch] for batch in batches(requests, 512)]
    assert found == [[300, 200], [13], [1]]
    assert [len(batch) for batch in batches(requests, 1)] == [1, 1, 1, 1]


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
