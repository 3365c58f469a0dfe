"""Send what dead processes and unreachable services left in the spool."""

from __future__ import annotations

import contextlib
import logging
import threading
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from noria.core.errors import ErrorBody, NoriaError
from noria.core.workspace import Workspace
from noria.tracking.capture import CONSOLE_FILE, CONSOLE_PATH
from noria.tracking.entities import RunEnd, RunStatus
from noria.tracking.frames import Kept
from noria.tracking.lifecycle import RunStatusConflict
from noria.tracking.refusals import Refusal, refused_in
from noria.tracking.run_keys import RunNotFound
from noria.tracking.segments import Segment, peek
from noria.tracking.sender import Sender, Sent
from noria.tracking.service import Runs
from noria.tracking.spool import has_segments, segments_in, spool_folder

_log = logging.getLogger(__name__)


class SentRun(msgspec.Struct, frozen=True, kw_only=True):
    """What was sent of a run.

    Attributes
    ----------
    ended
        True when its end was sent, too, or it was declared killed since its process died without one.
    n_damaged
        Records that could not be read, and are lost.
    """

    run_id: str
    project: str
    n_points: int = 0
    n_params: int = 0
    n_tags: int = 0
    n_links: int = 0
    n_artifacts: int = 0
    ended: bool = False
    n_damaged: int = 0


class LeftRun(msgspec.Struct, frozen=True, kw_only=True):
    """What stays in the spool of a run.

    Attributes
    ----------
    process
        Number of the process that opened the run, while that or another one sends it; None when nobody does.
    reason
        Why the rest was not sent; None when a process sends it.
    """

    run_id: str
    project: str
    waiting_bytes: int
    process: int | None = None
    reason: ErrorBody | None = None


class SyncReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `sync` did."""

    sent: list[SentRun]
    left: list[LeftRun]
    refused: list[Refusal]

    @property
    def is_clean(self) -> bool:
        """Whether nothing is left but what living processes send, and nothing was refused."""
        return not self.refused and all(run.reason is None for run in self.left)


def sync(workspace: Workspace, *, discard_refused: bool = False) -> SyncReport:
    """Send all that no living process sends.

    Parameters
    ----------
    discard_refused
        Forget afterwards what the service refused.
    """
    folder = spool_folder(workspace.settings)
    sent: list[SentRun] = []
    left: list[LeftRun] = []
    refused: list[Refusal] = []
    for path in segments_in(folder):
        _sync_segment(workspace, path, sent, left, refused, discard=discard_refused)
    for file in refused_in(folder):
        refused += file.read()
        if discard_refused:
            file.remove()
    return SyncReport(sent=sent, left=left, refused=refused)


def send_rest_of_run(workspace: Workspace, run_id: str) -> None:
    """Send what processes that logged to a run, and have ended since, left of it."""
    for path in segments_in(spool_folder(workspace.settings), run_id):
        with contextlib.suppress(NoriaError):
            segment = Segment.claim(path)
            if segment is not None:
                _send(workspace, segment)


def begin_in_background(workspace: Workspace) -> threading.Thread | None:
    """Send what was left, in a thread that does not keep the process alive; None when there is nothing."""
    try:
        if not has_segments(spool_folder(workspace.settings)):
            return None
    except NoriaError:
        return None
    thread = threading.Thread(target=_sync_quietly, args=(workspace,), name="noria-sync", daemon=True)
    thread.start()
    return thread


def _sync_quietly(workspace: Workspace) -> None:
    try:
        report = sync(workspace)
    except Exception as error:  # noqa: BLE001 - nobody waits for this thread
        _log.info("runs.not_synced", extra={"error": str(error)})
    else:
        _log.info("runs.synced", extra={"n_sent": len(report.sent), "n_left": len(report.left)})


def _sync_segment(
    workspace: Workspace,
    path: Path,
    sent: list[SentRun],
    left: list[LeftRun],
    refused: list[Refusal],
    *,
    discard: bool,
) -> None:
    try:
        segment = Segment.claim(path)
    except NoriaError as error:
        left.append(
            LeftRun(run_id=path.stem[:32], project="", waiting_bytes=_size(path), reason=error.to_body())
        )
        return
    if segment is None:
        left += _held(path)
        return
    sender, reason = _send(workspace, segment, discard=discard)
    if sender.sent != Sent() or sender.ended or sender.n_damaged:
        sent.append(_sent_run(segment, sender))
    if sender.run_refused is not None:
        refused += sender.refusals[-1:]
    elif reason is not None:
        left.append(_left_run(segment, reason))


def _send(
    workspace: Workspace, segment: Segment, *, discard: bool = False
) -> tuple[Sender, NoriaError | None]:
    """Send a dead process's segment, and delete it when all of it was taken."""
    sender = Sender(lambda: workspace, segment)
    died_at = datetime.fromtimestamp(segment.path.stat().st_mtime, UTC)
    try:
        _keep_console(segment)
        sender.send()
        is_last = _is_last(segment)
        if sender.run_refused is None and not sender.ended and is_last:
            sender.ended = _declare_killed(workspace, segment, died_at)
    except NoriaError as error:
        segment.release()
        return sender, error
    except BaseException:
        segment.release()
        raise
    if discard or (sender.run_refused is None and (is_last or segment.opened.forked)):
        segment.remove()
    else:
        segment.release()
    return sender, None


def _is_last(segment: Segment) -> bool:
    """Tell whether no other process has logged to the run, or all that did were sent."""
    return segments_in(segment.path.parent, segment.opened.run_id) == [segment.path]


def _keep_console(segment: Segment) -> None:
    path = segment.file(CONSOLE_FILE)
    if path.exists():
        segment.append([Kept(CONSOLE_PATH, data=path.read_bytes())])
        path.unlink()


def _declare_killed(workspace: Workspace, segment: Segment, died_at: datetime) -> bool:
    """End a run whose process died without a word."""
    run_id, project = segment.opened.run_id, segment.opened.project
    if segment.opened.forked:
        return False
    runs = workspace.service(Runs)
    try:
        run = runs.get(project, run_id)
        if run.status is RunStatus.RUNNING:
            ended_at = max(died_at, run.started_at)
            runs.end(project, run_id, RunEnd(status=RunStatus.KILLED, ended_at=ended_at))
            return True
    except (RunStatusConflict, RunNotFound):
        pass  # somebody was faster
    return False


def _sent_run(segment: Segment, sender: Sender) -> SentRun:
    sent = sender.sent
    return SentRun(
        run_id=segment.opened.run_id,
        project=segment.opened.project,
        n_points=sent.n_points,
        n_params=sent.n_params,
        n_tags=sent.n_tags,
        n_links=sent.n_links,
        n_artifacts=sent.n_artifacts,
        ended=sender.ended,
        n_damaged=sender.n_damaged,
    )


def _left_run(segment: Segment, reason: NoriaError) -> LeftRun:
    return LeftRun(
        run_id=segment.opened.run_id,
        project=segment.opened.project,
        waiting_bytes=_size(segment.path),
        reason=reason.to_body(),
    )


def _held(path: Path) -> list[LeftRun]:
    opened = peek(path)
    if opened is None:
        return []  # its holder has sent all of it and deleted it
    left = LeftRun(
        run_id=opened.run_id, project=opened.project, waiting_bytes=_size(path), process=opened.process
    )
    return [left]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
