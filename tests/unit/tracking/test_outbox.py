"""From memory over the spool to the service, behind a switch that makes the service fail."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from noria.core.config import Settings
from noria.core.errors import Conflict, Forbidden, Invalid, NoriaError, StorageFull, Unavailable
from noria.core.workspace import Workspace, open_workspace
from noria.tracking.batches import ParamChanged
from noria.tracking.buffer import PointBuffer
from noria.tracking.entities import Link, LogBatch, NewRun, Run, RunEnd, RunStatus
from noria.tracking.frames import Ended, Linked, Opened, Params, Tags
from noria.tracking.line import going_on, open_outbox
from noria.tracking.outbox import Outbox
from noria.tracking.segments import Segment
from noria.tracking.sender import Sender
from noria.tracking.service import Runs
from noria.tracking.spool import segments_in, spool_folder
from noria.tracking.sync import sync
from support.disks import tiny_disk
from support.flaky import FlakyBackend, flaky
from support.waiting import wait_until

QUICK_S = 0.3


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Workspace]:
    folder = tmp_path / "workspace"
    settings = Settings(
        workspace=str(folder), database_url=f"sqlite:///{folder}/noria.db", objects_url=f"{folder}/objects"
    )
    with open_workspace(settings) as opened:
        yield opened


@pytest.fixture
def runs(real: Workspace) -> Runs:
    return real.service(Runs)


@pytest.fixture
def run(runs: Runs) -> Run:
    return runs.create("default", NewRun())


@pytest.fixture
def switched(real: Workspace) -> tuple[Workspace, FlakyBackend]:
    return flaky(real)


@pytest.fixture
def workspace(switched: tuple[Workspace, FlakyBackend]) -> Workspace:
    return switched[0]


@pytest.fixture
def service(switched: tuple[Workspace, FlakyBackend]) -> FlakyBackend:
    return switched[1]


@pytest.fixture
def outbox(workspace: Workspace, run: Run) -> Iterator[Outbox]:
    opened = open_outbox(workspace, PointBuffer(lambda: 0), going_on("default", run.id))
    yield opened
    with contextlib.suppress(NoriaError):
        opened.close(None, give_up_s=0.0)


def log(outbox: Outbox, *steps: int) -> None:
    for step in steps:
        outbox.buffer.add({"m": float(step)}, step)
    if outbox.quiet:
        outbox.wake()


def steps_of(runs: Runs, run: Run) -> list[int]:
    if "m" not in runs.get("default", run.id).metrics:
        return []
    return runs.points("default", run.id, "m").points.steps


def spool_of(workspace: Workspace) -> list[Path]:
    return segments_in(spool_folder(workspace.settings))


def test_what_waits_is_sent_in_the_background(outbox: Outbox, runs: Runs, run: Run) -> None:
    """Nobody has to flush."""
    log(outbox, 0, 1)
    outbox.add(Tags({"t": "x"}))
    wait_until(lambda: runs.get("default", run.id).tags == {"t": "x"} and runs.get("default", run.id).metrics)
    log(outbox, 2)
    wait_until(lambda: runs.get("default", run.id).metrics == {"m": 2.0})
    assert outbox.close(None, give_up_s=QUICK_S) is None


def test_what_was_logged_is_on_disk_within_moments(
    outbox: Outbox, service: FlakyBackend, workspace: Workspace
) -> None:
    """It is there while the service does not answer, and before anybody flushes."""
    service.error = Unavailable("gone")
    log(outbox, 0)
    segment = outbox.segment
    wait_until(lambda: segment.waiting_bytes > 0)

    assert spool_of(workspace) == [segment.path]


def test_flush_sends_everything(outbox: Outbox, runs: Runs, run: Run, service: FlakyBackend) -> None:
    """Many points go in several batches."""
    log(outbox, *range(25_000))
    outbox.flush()

    assert runs.get("default", run.id).metrics == {"m": 24_999.0}
    assert 3 <= service.calls.count("log") <= 10


def test_the_end_goes_with_what_was_logged_last(
    outbox: Outbox, runs: Runs, run: Run, service: FlakyBackend, workspace: Workspace
) -> None:
    """A short run takes one request more than its start, and leaves nothing in the spool."""
    log(outbox, 0, 1)
    outbox.add(Params({"a": "1"}))
    outbox.add(Linked("inputs", "dataset:a@1", ""))
    assert outbox.close(Ended(RunStatus.FAILED, None), give_up_s=QUICK_S) is None
    kept = runs.get("default", run.id)

    assert service.calls == ["end"]
    assert (kept.status, kept.metrics, kept.params) == (RunStatus.FAILED, {"m": 1.0}, {"a": "1"})
    assert kept.inputs == [Link(ref="dataset:a@1")]
    assert list(spool_folder(workspace.settings).iterdir()) == []


def test_a_service_that_does_not_answer_is_tried_again(
    outbox: Outbox, runs: Runs, run: Run, service: FlakyBackend
) -> None:
    """Nothing is lost while it is away, and the run hears nothing of it."""
    service.error = Unavailable("gone")
    log(outbox, 0, 1)
    outbox.add(Params({"a": "1"}))
    wait_until(lambda: service.n_failed >= 2)
    log(outbox, 2, 3)
    service.error = None
    wait_until(lambda: steps_of(runs, run) == [0, 1, 2, 3])
    assert outbox.close(Ended(RunStatus.FINISHED, None), give_up_s=QUICK_S) is None

    assert runs.get("default", run.id).params == {"a": "1"}


def test_a_lost_answer_makes_nothing_twice(
    outbox: Outbox, real: Workspace, runs: Runs, run: Run, service: FlakyBackend
) -> None:
    """What the service kept before its answer was lost is sent again, and is there once."""
    service.error, service.after = Unavailable("lost"), True
    log(outbox, 0, 1)
    outbox.add(Params({"a": "1"}))
    with pytest.raises(Unavailable):
        outbox.flush(give_up_s=QUICK_S)
    assert outbox.close(Ended(RunStatus.FAILED, None), give_up_s=QUICK_S) is not None
    report = sync(real)

    assert (report.sent[0].n_points, report.left, report.refused) == (2, [], [])
    assert steps_of(runs, run) == [0, 1]
    assert runs.get("default", run.id).status is RunStatus.FAILED


def test_flush_gives_up_and_keeps_what_waits(
    outbox: Outbox, runs: Runs, run: Run, service: FlakyBackend
) -> None:
    """A flush that gets no answer says so, and a later one sends the same."""
    service.error = Unavailable("gone")
    log(outbox, 0, 1)
    with pytest.raises(Unavailable, match="gone"):
        outbox.flush(give_up_s=QUICK_S)
    service.error = None
    outbox.flush()

    assert steps_of(runs, run) == [0, 1]


def test_a_close_without_an_answer_leaves_all_in_the_spool(
    outbox: Outbox, service: FlakyBackend, workspace: Workspace
) -> None:
    """The reason is given back, and the segment is free for whoever sends it."""
    service.error = Unavailable("gone")
    log(outbox, 0)
    left = outbox.close(Ended(RunStatus.FINISHED, None), give_up_s=QUICK_S)

    assert isinstance(left, Unavailable)
    assert len(spool_of(workspace)) == 1


def test_a_caller_who_is_not_let_in_loses_nothing(
    outbox: Outbox, runs: Runs, run: Run, service: FlakyBackend
) -> None:
    """A token that ran out stops the sending at once, and nothing is taken for refused."""
    service.error = Forbidden("the token is no longer valid")
    log(outbox, 0)
    with pytest.raises(Forbidden):
        outbox.flush()
    service.error = None
    outbox.flush()

    assert steps_of(runs, run) == [0]


def test_a_refusal_costs_only_what_is_refused(outbox: Outbox, runs: Runs, run: Run) -> None:
    """The rest of a refused batch is kept; the error is raised once, and what it cost stands beside the spool."""
    runs.log("default", run.id, LogBatch(params={"bad": "theirs"}))
    outbox.add(Params({"bad": "ours", "good": "2"}))
    outbox.add(Tags({"t": "x"}))
    log(outbox, 0, 1)
    with pytest.raises(ParamChanged, match="`bad`"):
        outbox.flush()
    outbox.flush()
    kept = runs.get("default", run.id)
    (refused,) = outbox.segment.path.parent.glob("*.refused")

    assert (kept.params, kept.tags, kept.metrics) == ({"bad": "theirs", "good": "2"}, {"t": "x"}, {"m": 1.0})
    assert b"ours" in refused.read_bytes()


def test_a_refusal_at_the_end_ends_the_run_all_the_same(outbox: Outbox, runs: Runs, run: Run) -> None:
    """The last request is taken apart: its end counts."""
    runs.log("default", run.id, LogBatch(params={"bad": "theirs"}))
    outbox.add(Params({"bad": "ours", "good": "2"}))
    with pytest.raises(ParamChanged):
        outbox.close(Ended(RunStatus.FINISHED, None), give_up_s=QUICK_S)
    kept = runs.get("default", run.id)

    assert (kept.status, kept.params) == (RunStatus.FINISHED, {"bad": "theirs", "good": "2"})


def test_a_run_declared_dead_by_mistake_gets_its_own_end(outbox: Outbox, runs: Runs, run: Run) -> None:
    """Who could not reach this process may have ended the run: the process knows better."""
    log(outbox, 0)
    runs.finish("default", run.id, RunEnd(status=RunStatus.KILLED))
    assert outbox.close(Ended(RunStatus.FINISHED, None), give_up_s=QUICK_S) is None

    assert runs.get("default", run.id).status is RunStatus.FINISHED
    assert steps_of(runs, run) == [0]


def test_a_run_that_is_refused_stays_in_the_spool(
    workspace: Workspace, service: FlakyBackend, runs: Runs
) -> None:
    """When the service does not want the run at all, the close says why, and nothing is thrown away."""
    new = NewRun(id="0" * 31 + "1", name="\x00")
    opened = Opened(project="default", run_id=new.id or "", new=new, known=False, process=1)
    outbox = open_outbox(workspace, PointBuffer(lambda: 0), opened)
    log(outbox, 0)
    with pytest.raises(Invalid, match="run name"):
        outbox.close(Ended(RunStatus.FINISHED, None), give_up_s=QUICK_S)

    assert runs.list("default").items == []
    assert len(spool_of(workspace)) == 1


def test_what_nobody_foresaw_is_tried_some_times_and_set_aside(
    outbox: Outbox, runs: Runs, run: Run, service: FlakyBackend
) -> None:
    """A bug in the service must not hold up all that comes later for ever."""
    service.error = ZeroDivisionError("bug")
    outbox.add(Params({"a": "1"}))
    wait_until(lambda: outbox.sender.refusals != [])
    service.error = None
    log(outbox, 0)
    with pytest.raises(NoriaError, match="ZeroDivisionError: bug"):
        outbox.flush()

    assert steps_of(runs, run) == [0]


def test_nothing_can_be_logged_after_the_end(outbox: Outbox) -> None:
    """The call says so, and no thread is left."""
    log(outbox, 0)
    outbox.close(Ended(RunStatus.FINISHED, None), give_up_s=QUICK_S)
    with pytest.raises(Conflict, match="has ended"):
        log(outbox, 1)
    with pytest.raises(Conflict):
        outbox.add(Params({"a": "1"}))

    assert not any(thread.name == "noria-send" for thread in threading.enumerate())


def test_with_a_full_disk_points_go_straight_to_the_service(
    real: Workspace, runs: Runs, run: Run, tmp_path: Path
) -> None:
    """No room for the spool is no reason to lose anything while the service answers."""
    with tiny_disk(tmp_path / "disk", "size=64k") as disk:
        outbox = _outbox_on(disk, real, run)
        (disk / "ballast").write_bytes(b"x" * 40_000)
        log(outbox, *range(10_000))
        assert outbox.close(Ended(RunStatus.FINISHED, None), give_up_s=QUICK_S) is None

    assert steps_of(runs, run) == list(range(10_000))


def test_with_a_full_disk_and_no_service_points_wait_in_memory(
    switched: tuple[Workspace, FlakyBackend], runs: Runs, run: Run, tmp_path: Path
) -> None:
    """The training goes on; a flush says what is wrong; with room, all is kept."""
    workspace, service = switched
    service.error = Unavailable("gone")
    with tiny_disk(tmp_path / "disk", "size=64k") as disk:
        outbox = _outbox_on(disk, workspace, run)
        (disk / "ballast").write_bytes(b"x" * 40_000)
        log(outbox, *range(10_000))
        with pytest.raises(StorageFull, match="full"):
            outbox.flush(give_up_s=QUICK_S)
        log(outbox, 10_000)
        service.error = None
        wait_until(lambda: len(steps_of(runs, run)) >= 10_000)
        assert outbox.close(Ended(RunStatus.FINISHED, None), give_up_s=QUICK_S) is None

    assert runs.get("default", run.id).metrics == {"m": 10_000.0}


def _outbox_on(disk: Path, workspace: Workspace, run: Run) -> Outbox:
    segment = Segment.create(disk, going_on("default", run.id))
    line = (segment, Sender(lambda: workspace, segment))
    return Outbox(line, PointBuffer(lambda: 0), workspace.clock, line_of_child=lambda: line)
