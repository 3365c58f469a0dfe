"""Whatever is applied, pinned and unpinned, a schedule runs what a few lines say that it runs."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from noria.core.clock import SystemClock
from noria.core.errors import Conflict, NotFound
from noria.pipelines.schedules.entities import NewSchedules, ScheduleSection
from noria.pipelines.schedules.revision_entities import PinSchedule
from noria.pipelines.schedules.service import Schedules
from support.conformance import open_test_context, workspace_settings

PROJECT, NAME = "default", "s"

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("apply"), st.integers(1, 3), st.booleans()),
        st.tuples(st.just("pin"), st.one_of(st.none(), st.integers(1, 6)), st.just(False)),
        st.tuples(st.just("unpin"), st.none(), st.just(False)),
    ),
    max_size=12,
)


class Model:
    """The rule in its plainest form: a list of what was applied, and a place in it."""

    def __init__(self) -> None:
        self.applied = [0]
        self.pinned: int | None = None

    @property
    def at(self) -> int:
        return len(self.applied) if self.pinned is None else self.pinned

    def apply(self, k: int, *, unpins: bool) -> None:
        if self.applied[-1] != k:
            self.applied.append(k)
        if unpins:
            self.pinned = None

    def pin(self, to: int | None) -> bool:
        if to is None:
            now = self.applied[self.at - 1]
            earlier = [n for n in range(1, self.at) if self.applied[n - 1] != now]
            to = max(earlier, default=0)
        if not 1 <= to <= len(self.applied):
            return False
        self.pinned = to
        return True


@given(STEPS)
@settings(deadline=None, max_examples=30)
def test_what_runs_follows_from_what_was_said(steps: list[tuple[str, int | None, bool]]) -> None:
    """After every word the schedule runs the revision that the model says, with its parameters."""
    with tempfile.TemporaryDirectory() as folder:
        settings_ = workspace_settings(Path(folder))
        with open_test_context(settings_, SystemClock()) as context:
            schedules, model = Schedules(context), Model()
            _apply(schedules, 0, unpins=False)
            for word, number, unpins in steps:
                if word == "apply":
                    assert number is not None
                    _apply(schedules, number, unpins=unpins)
                    model.apply(number, unpins=unpins)
                elif word == "pin":
                    assert _pinned(schedules, number) == model.pin(number)
                else:
                    schedules.unpin(PROJECT, NAME)
                    model.pinned = None
                found = schedules.get(PROJECT, NAME)
                assert (found.revision, found.newest) == (model.at, len(model.applied))
                assert found.spec.params == {"k": model.applied[model.at - 1]}
                assert (found.pin is not None) == (model.pinned is not None)


def _apply(schedules: Schedules, k: int, *, unpins: bool) -> None:
    spec = ScheduleSection(name=NAME, run="noria.x:y", every_s=60, params={"k": k})
    schedules.apply(PROJECT, NewSchedules(schedules=[spec], unpin=[NAME] if unpins else []))


def _pinned(schedules: Schedules, to: int | None) -> bool:
    try:
        schedules.pin(PROJECT, NAME, PinSchedule(to=None if to is None else str(to)))
    except (NotFound, Conflict):
        return False
    return True
