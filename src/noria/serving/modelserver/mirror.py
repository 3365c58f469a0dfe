"""What shadows are to predict: copies of answered requests, and the process that predicts them."""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from noria.core.errors import NoriaError
from noria.serving.endpoints import Endpoints
from noria.serving.modelserver.board import Page, Word
from noria.serving.modelserver.joint import is_joint, n_requests, read_joint, write_joint
from noria.serving.modelserver.link import Link
from noria.serving.modelserver.records import Origin, id_of, origin_of
from noria.serving.modelserver.routes import falls_under
from noria.serving.modelserver.shadow_note import HangWatch, settle
from noria.serving.modelserver.spool import Claim, Spool, claim, disk_bytes
from noria.serving.plans import EndpointPlan, PlannedVersion

SHADOW = "shadow"
"""Purpose of the share that a shadow predicts."""

QUEUE_BYTES = 32 << 20
"""Most that waits for shadows; what comes on top of it is dropped and counted."""

_POLL_S = 0.3
_LINGER_S = 30.0
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 10.0
_STEADY_S = 20.0

_log = logging.getLogger("noria.serving.mirror")


def shadow_plan(plan: EndpointPlan) -> EndpointPlan:
    """Give a plan in which the shadows are all versions, and their shares the weights."""
    versions = [
        PlannedVersion(version=shadow.version, digest=shadow.digest, weight=shadow.share)
        for shadow in plan.shadows
    ]
    return msgspec.structs.replace(plan, versions=versions, shadows=[], cascade=None)


class Mirror:
    """Copies answered requests for shadows into a bounded spool. Used by the thread that hands on, but for `wanted`.

    Nothing is copied before it was handed on, so the answer is there before what a shadow makes of it, and whoever
    answers has no part in it.

    Parameters
    ----------
    root
        Folder of the spools.
    own
        How the name of the spool begins.
    page
        Where it is counted what was dropped.
    only
        The one endpoint (project, name) that this server is for; None for all.
    """

    def __init__(
        self, link: Link, root: Path, *, own: str, page: Page, only: tuple[str, str] | None = None
    ) -> None:
        self._link = link
        self._root = root
        self._own = own
        self._only = only
        self._words = page.words
        self._etag = ""
        self._plans: dict[tuple[str, str], EndpointPlan] = {}
        self._polled_at = float("-inf")
        self._opened: tuple[Claim, Spool] | None = None
        self._is_full = False
        self.wanted = False

    def take(self, records: list[bytes]) -> None:
        """Copy those of the records that a shadow is to predict. Never raises: they were handed on."""
        try:
            self._poll(after_s=_POLL_S)
            plans: dict[Origin, EndpointPlan | None] = {}
            for record in records:
                origin = origin_of(record)
                if origin is None or origin.role:
                    continue
                if origin not in plans:
                    plans[origin] = self._shadowed(origin)
                plan = plans[origin]
                asked = None if plan is None else asked_of(plan, origin.version, record)
                if asked is not None:
                    self._append(asked)
        except Exception as error:  # noqa: BLE001 - shadows are nobody's answer
            _log.warning("mirror.failed", exc_info=error)

    def close(self) -> None:
        """Leave what waits to the next."""
        if self._opened is not None:
            held, spool = self._opened
            spool.close()
            held.release()
            self._opened = None

    def _poll(self, *, after_s: float) -> None:
        now = time.monotonic()
        if now - self._polled_at < after_s:
            return
        self._polled_at = now
        try:
            found = self._link.service(Endpoints).plans(etag=self._etag)
        except NoriaError as error:
            _log.debug("mirror.waits", extra={"reason": error.message})
            return
        if found.plans is not None:
            self._etag = found.etag
            plans = {(plan.project, plan.endpoint): plan for plan in found.plans}
            self._plans = {place: plan for place, plan in plans.items() if self._only in (None, place)}
            self.wanted = any(plan.shadows for plan in self._plans.values())

    def _shadowed(self, origin: Origin) -> EndpointPlan | None:
        """Give the plan under which a request was answered, when it has shadows."""
        place = origin.project, origin.endpoint
        plan = self._plans.get(place)
        if plan is None or plan.revision < origin.revision:
            self._poll(after_s=0.0)
            plan = self._plans.get(place)
        return plan if plan is not None and plan.shadows and plan.revision == origin.revision else None

    def _append(self, record: bytes) -> None:
        if self._opened is None:
            held = claim(self._root, prefix=self._own)
            self._opened = held, Spool(held.folder, max_bytes=QUEUE_BYTES, among=self._root)
        if self._opened[1].append(record):
            self._is_full = False
            return
        self._words[Word.N_SHADOWS_DROPPED] += n_requests(record)
        if not self._is_full:
            self._is_full = True
            _log.warning("mirror.full", extra={"waiting_bytes": disk_bytes(self._root)})


def asked_of(plan: EndpointPlan, answered_by: int, record: bytes) -> bytes | None:
    """Give a record of those requests of a record that a shadow is to predict; None where there are none.

    Requests that were kept together stay so: to copy them one by one would cost more than to predict them.
    """
    shares = [shadow.share for shadow in plan.shadows if shadow.version != answered_by]
    if not shares or max(shares) >= 1:
        return record if shares else None

    def is_asked(identity: str) -> bool:
        return any(falls_under(share, SHADOW, plan.endpoint, identity) for share in shares)

    if not is_joint(record):
        return record if is_asked(id_of(record)) else None
    joint = read_joint(record)
    places = [place for place, identity in enumerate(joint.ids) if is_asked(identity)]
    if len(places) == len(joint.ids):
        return record
    return write_joint(joint.chosen(places)) if places else None


class _Child(NamedTuple):
    process: subprocess.Popen[bytes]
    started_at: float


class ShadowKeeper:
    """Keeps the process up that predicts shadows, while there are any. Used by the main thread.

    Parameters
    ----------
    spawn
        Starts it.
    page
        Of the process.
    dropped
        Told how many requests no shadow predicts, since the process hung at them.
    hung_after_s
        One that is at a prediction for longer is replaced; the time does not count in which others had the processors.
    """

    def __init__(
        self,
        spawn: Callable[[], subprocess.Popen[bytes]],
        *,
        page: Page,
        dropped: Callable[[int], None],
        hung_after_s: float,
    ) -> None:
        self._spawn = spawn
        self._page = page
        self._dropped = dropped
        self._watch = HangWatch(page, hung_after_s)
        self._child: _Child | None = None
        self._wanted_at = float("-inf")
        self._start_at = 0.0
        self._pause_s = 0.0

    @property
    def pid(self) -> int | None:
        """Of the process; None when there is none."""
        return None if self._child is None else self._child.process.pid

    def look(self, *, wanted: bool) -> None:
        """Start it, start it again when it died or hung, or end it when it has not been wanted for a while."""
        now = time.monotonic()
        if wanted:
            self._wanted_at = now
        if self._child is not None:
            self._look_at(self._child, now)
        if self._child is None and wanted and now >= self._start_at:
            self._child = self._started(now)
        elif self._child is not None and now - self._wanted_at > _LINGER_S:
            self.stop(timeout_s=_FIRST_PAUSE_S)

    def _look_at(self, child: _Child, now: float) -> None:
        ended = child.process.poll() is not None
        hung = not ended and self._watch.hangs(child.process.pid, time.monotonic_ns())
        if not ended and not hung:
            return
        if hung:
            child.process.kill()
            child.process.wait()
        n_dropped = settle(self._page, hung=hung)
        if ended:
            _log.warning("shadows.ended", extra={"pid": self.pid, "code": child.process.returncode})
        else:
            _log.warning("shadows.hung", extra={"pid": self.pid, "n_dropped": n_dropped})
            self._dropped(n_dropped)
        steady = now - child.started_at >= _STEADY_S
        self._pause_s = 0.0 if steady else min(max(2 * self._pause_s, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
        self._start_at = now + self._pause_s
        self._child = None

    def stop(self, timeout_s: float) -> None:
        """End it; after `timeout_s` it is killed."""
        if self._child is None:
            return
        process = self._child.process
        self._child = None
        process.terminate()
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        settle(self._page, hung=False)

    def _started(self, now: float) -> _Child | None:
        try:
            return _Child(self._spawn(), now)
        except OSError as error:
            _log.error("shadows.not_started", extra={"reason": str(error)})
            self._start_at = now + _LONGEST_PAUSE_S
            return None
