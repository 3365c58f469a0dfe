"""Bring what stands in a segment to the service, in order, and each thing once as far as the service tells."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

import msgspec

from noria.core.errors import (
    Conflict,
    Failed,
    Forbidden,
    Invalid,
    Locked,
    NoriaError,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from noria.core.http_errors import RouteNotFound
from noria.core.objects.digests import hash_bytes
from noria.core.objects.references import ObjectNotInProject
from noria.core.workspace import Workspace
from noria.tracking.entities import LogBatch, NewRun, RunChange, RunEnd, RunRecord
from noria.tracking.frames import Described, Ended, Kept, Linked, Opened, Params, Points, Record, Tags
from noria.tracking.gathering import Gathering, as_batch, n_points_of
from noria.tracking.lifecycle import RunStatusConflict
from noria.tracking.refusals import Refusal, RefusedFile
from noria.tracking.run_keys import RunDeleted, RunNotFound
from noria.tracking.segments import Segment
from noria.tracking.service import Runs

_WAITING = (Unavailable, Unauthenticated, Forbidden, Locked, RouteNotFound)
_REFUSING = (Invalid, NotFound, Conflict, Failed)
_GONE = (RunNotFound, RunDeleted)
_MOST_FAULTS = 5
"""So often is something sent that the service fails on in a way that nobody foresaw."""

_log = logging.getLogger(__name__)


class Sent(msgspec.Struct, kw_only=True):
    """How much the service took."""

    n_points: int = 0
    n_params: int = 0
    n_tags: int = 0
    n_links: int = 0
    n_artifacts: int = 0

    def count(self, record: Record) -> None:
        """Take in that a record was sent."""
        match record:
            case Points():
                self.n_points += n_points_of(record)
            case Params():
                self.n_params += len(record.params)
            case Tags():
                self.n_tags += len(record.tags)
            case Linked():
                self.n_links += 1
            case Kept():
                self.n_artifacts += 1
            case _:
                pass


class Uploads(msgspec.Struct):
    """Digests that this process brought to a project: an environment is the same for all its runs."""

    digests: set[tuple[str, str]] = msgspec.field(default_factory=set)


class Sender:
    """Sends one segment. Thread-safe: one thread sends at a time.

    Parameters
    ----------
    open_workspace
        Called when there is something to send for the first time.

    Attributes
    ----------
    sent
        What the service took so far.
    refusals
        What it refused so far; each also stands in the file of refusals beside the segment.
    run_refused
        Why the service does not take the run at all; nothing more is sent then.
    ended
        True when the service has the end of the run.
    n_damaged
        Records that could not be read.
    """

    def __init__(
        self, open_workspace: Callable[[], Workspace], segment: Segment, uploads: Uploads | None = None
    ) -> None:
        self._open_workspace = open_workspace
        self._opened: Workspace | None = None
        self._service: Runs | None = None
        self._segment = segment
        self._project = segment.opened.project
        self._run_id = segment.opened.run_id
        self._uploads = uploads or Uploads()
        self._lock = threading.Lock()
        self._n_faults = 0
        self.sent = Sent()
        self.refusals: list[Refusal] = []
        self.run_refused: NoriaError | None = None
        self.ended = False
        self.n_damaged = 0

    @property
    def _workspace(self) -> Workspace:
        if self._opened is None:
            self._opened = self._open_workspace()
        return self._opened

    @property
    def _runs(self) -> Runs:
        if self._service is None:
            self._service = self._workspace.service(Runs)
        return self._service

    def send(self) -> None:
        """Send all that the segment holds.

        Raises
        ------
        NoriaError
            If the service does not answer, or does not let us in; what it did not get stays in the segment.
        """
        with self._lock:
            while self.run_refused is None:
                batch = self._segment.read()
                if batch.n_damaged:
                    self._note_damage(batch.n_damaged)
                if not batch.records:
                    return
                self._send_records(batch.records)

    def send_directly(self, records: Sequence[Record]) -> None:
        """Send records that are in memory only, since the disk of the spool is full; raises as `send`."""
        with self._lock:
            if self.run_refused is None:
                self._send_records([(record, -1) for record in records])

    def _send_records(self, records: Sequence[tuple[Record, int]]) -> None:
        whole = whole_run(records)
        if whole is None or not self._record(*whole, records[-1][1]):
            self._send_parts(records)

    def _record(self, new: NewRun, last: Sequence[Record], ended: Ended, end: int) -> bool:
        """Send a run from its start to its end in one request; False when something of it is refused."""

        def record(batch: LogBatch) -> None:
            closing = RunEnd(status=ended.status, ended_at=ended.at, last=batch)
            self._runs.record(self._project, RunRecord(new=new, end=closing))

        try:
            self._call_with(last, record)
        except RouteNotFound:
            return False
        except Exception as error:
            if not self._is_final(error):
                raise
            return False
        self.ended = True
        self._settle(last, end)
        return True

    def _send_parts(self, records: Sequence[tuple[Record, int]]) -> None:
        gathering = Gathering()
        reached = -1
        for record, end in records:
            if self.run_refused is not None:
                return
            if isinstance(record, Ended):
                self._end(record, gathering.records, end)
                gathering = Gathering()
                continue
            alone = isinstance(record, (Opened, Described))
            if gathering.records and (alone or not gathering.fits(record)):
                self._flush(gathering.records, reached)
                gathering = Gathering()
            if alone:
                self._act(record, end)
            else:
                gathering.add(record)
            reached = end
        if gathering.records:
            self._flush(gathering.records, reached)

    def _flush(self, records: Sequence[Record], end: int) -> None:
        try:
            self._log(records)
        except _GONE as error:
            self._refuse_run(error)
            return
        except Exception as error:
            if not self._is_final(error):
                raise
            self._log_parts(records)
        self._settle(records, end)

    def _log(self, records: Sequence[Record]) -> None:
        if records:
            self._call_with(records, lambda batch: self._runs.log(self._project, self._run_id, batch))

    def _call_with(self, records: Sequence[Record], call: Callable[[LogBatch], object]) -> None:
        try:
            call(as_batch([self._uploaded(record) for record in records]))
        except ObjectNotInProject:
            # What was uploaded for another run may have been collected as garbage since.
            self._uploads.digests.clear()
            call(as_batch([self._uploaded(record) for record in records]))
        for record in records:
            self.sent.count(record)

    def _log_parts(self, records: Sequence[Record]) -> None:
        """Save from a refused batch what is not to blame."""
        for part in (part for record in records for part in parts_of(record)):
            try:
                self._log([part])
            except Exception as error:
                if not self._is_final(error):
                    raise
                self._refuse(part, error)

    def _act(self, record: Record, end: int) -> None:
        try:
            if isinstance(record, Opened):
                self._open(record)
            elif isinstance(record, Described):
                self._runs.amend(self._project, self._run_id, RunChange(source=record.source))
        except Exception as error:
            if not self._is_final(error):
                raise
            if isinstance(record, Opened) or isinstance(error, _GONE):
                self._refuse_run(error)
                return
            self._refuse(record, error)
        self._settle([record], end)

    def _end(self, record: Ended, last: Sequence[Record], end: int) -> None:
        """End the run, with what was logged last in the same request when nothing of it is refused."""
        try:
            self._call_with(last, lambda batch: self._finish(record, batch))
        except _GONE as error:
            self._refuse_run(error)
            return
        except RunStatusConflict:
            # Sent twice, or declared dead by somebody who could not reach this process: we know better.
            self._log(last)
            change = RunChange(status=record.status, ended_at=record.at)
            self._runs.amend(self._project, self._run_id, change)
        except Exception as error:
            if not self._is_final(error):
                raise
            if last:
                self._log_parts(last)
                self._end(record, (), end)
                return
            if record.at is not None:  # the service's clock may say that it started later
                self._end(Ended(record.status, None), (), end)
                return
            self._refuse(record, error)
        self.ended = True
        self._settle(last, end)

    def _finish(self, record: Ended, last: LogBatch | None) -> None:
        end = RunEnd(status=record.status, ended_at=record.at, last=last)
        self._runs.end(self._project, self._run_id, end)

    def _open(self, record: Opened) -> None:
        if record.new is None:
            self._runs.resume(record.project, record.run_id)
            return
        try:
            self._runs.create(record.project, record.new)
        except RunNotFound as error:
            raise Unavailable(
                f"The run `{record.run_id}` is one inside `{record.new.parent}`, which was not sent yet",
                hint="noria runs sync",
            ) from error

    def _uploaded(self, record: Record) -> Record:
        if not isinstance(record, Kept) or record.digest is not None:
            return record
        if record.data is None:
            path = self._segment.file(record.file or "")
            return Kept(record.path, digest=self._workspace.objects(self._project).put_file(path).digest)
        known = (self._project, hash_bytes(record.data))
        if known not in self._uploads.digests:
            self._workspace.objects(self._project).put_bytes(record.data)
            self._uploads.digests.add(known)
        return Kept(record.path, digest=known[1])

    def _settle(self, records: Sequence[Record], end: int) -> None:
        """Note that all before `end` was taken or refused."""
        self._n_faults = 0
        if end >= 0:
            self._segment.acknowledge(end)
        for record in records:
            if isinstance(record, Kept) and record.file is not None:
                self._segment.file(record.file).unlink(missing_ok=True)

    def _is_final(self, error: Exception) -> bool:
        """Tell whether sending the same again cannot help."""
        if isinstance(error, _WAITING):
            return False
        if isinstance(error, _REFUSING):
            return True
        self._n_faults += 1
        _log.warning("run.send_failed", extra={"run_id": self._run_id, "error": str(error)})
        return self._n_faults >= _MOST_FAULTS

    def _refuse(self, record: Record, error: Exception) -> None:
        refusal = Refusal.of(self._project, self._run_id, record, error)
        _log.warning("run.log_refused", extra={"run_id": self._run_id, "error": refusal.error.message})
        self.refusals.append(refusal)
        RefusedFile(self._segment.path).add(refusal)

    def _refuse_run(self, error: Exception) -> None:
        refusal = Refusal.of(self._project, self._run_id, self._segment.opened, error)
        _log.warning("run.refused", extra={"run_id": self._run_id, "error": refusal.error.message})
        self.run_refused = refusal.to_error()
        self.refusals.append(refusal)

    def _note_damage(self, n_damaged: int) -> None:
        self.n_damaged += n_damaged
        _log.warning("run.spool_damaged", extra={"run_id": self._run_id, "n_records": n_damaged})


def whole_run(
    records: Sequence[tuple[Record, int]],
) -> tuple[NewRun, list[Record], Ended] | None:
    """Tell whether these are all of a short run: how to start it, what it logged, how it ended."""
    first, ended = records[0][0], records[-1][0]
    if not isinstance(first, Opened) or first.new is None or not isinstance(ended, Ended):
        return None
    new, gathering = first.new, Gathering()
    for record, _ in records[1:-1]:
        if isinstance(record, Described):
            new = msgspec.structs.replace(new, source=record.source)
        elif isinstance(record, (Opened, Ended)) or not gathering.fits(record):
            return None
        else:
            gathering.add(record)
    return new, gathering.records, ended


def parts_of(record: Record) -> list[Record]:
    """Cut a record into what can be refused apart from the rest."""
    match record:
        case Params():
            return [Params({key: value}) for key, value in record.params.items()]
        case Tags():
            return [Tags({key: value}) for key, value in record.tags.items()]
        case _:
            return [record]
