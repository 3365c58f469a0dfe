"""Send what a collector has not been told yet, in the order of the log.

A cursor in the log says how far it was told. It moves only behind what was sent, so that nothing is left out; what was
sent just before a process died is sent again, under the same run and state. Nothing here is part of a run: a collector
that is slow or gone delays nobody.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec
import sqlalchemy as sa

from noria.core.context import Context
from noria.core.errors import NoriaError
from noria.core.events.log import Event, EventLog
from noria.core.events.sealer import assign_positions
from noria.core.events.tables import event_cursors
from noria.core.outbound.client import Outbound
from noria.core.outbound.entities import OutboundRequest, OutboundSection
from noria.interop.openlineage.entities import OpenLineageSection, Told
from noria.interop.openlineage.telling import RUN_EVENTS, STEP_EVENT, tell
from noria.interop.openlineage.wire import event_body

READER = "openlineage"
_BATCH = 100
_ANSWER_BYTES = 64 * 1024
_PASSING = frozenset({401, 403, 404, 408, 425, 429})
"""Refusals that a change of settings or some patience mends; on others the event itself is at fault."""

_log = logging.getLogger("noria.openlineage")


class Refused(Exception):
    """The collector takes nothing at present."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """How sending went.

    Attributes
    ----------
    n_sent
        OpenLineage events that the collector took.
    n_refused
        Those that it will never take; the log has the reasons.
    problem
        Why sending stopped before the end; None when nothing waits.
    """

    n_sent: int = 0
    n_refused: int = 0
    problem: str | None = None


def begin(context: Context) -> None:
    """Have the collector told of what happens from now on, unless it is told already."""
    query = sa.select(event_cursors.c.position).where(event_cursors.c.reader == READER)
    with context.database.read() as connection:
        has_begun = connection.execute(query).first() is not None
    if not has_begun:
        assign_positions(context.database)
        events = EventLog(context.database)
        events.advance(READER, events.last_position())


def waiting(context: Context) -> bool:
    """Tell whether the log has events behind the cursor."""
    events = EventLog(context.database)
    return events.last_position() > events.cursor(READER)


def send_waiting(
    context: Context, *, go_on: Callable[[], bool] = lambda: True, environ: Mapping[str, str] | None = None
) -> Sent:
    """Send all that waits, until the collector does not take an event.

    Parameters
    ----------
    go_on
        Asked before each event whether to send it now.
    environ
        Holds the collector's key; the process's own by default.
    """
    section = context.settings.section("openlineage", OpenLineageSection)
    if section.url is None:
        return Sent()
    types = [*RUN_EVENTS, STEP_EVENT] if section.steps else list(RUN_EVENTS)
    key = (os.environ if environ is None else environ).get(section.token_env)
    log, n_sent, n_refused = EventLog(context.database), 0, 0
    assign_positions(context.database)  # where no server does
    while True:
        last, cursor = log.last_position(), log.cursor(READER)
        batch = log.read(cursor, limit=_BATCH, types=types)
        done = cursor
        try:
            for event in batch:
                if not go_on():
                    raise Refused("there was no time")
                sent, refused = _send(context, section, event, key)
                n_sent, n_refused, done = n_sent + sent, n_refused + refused, event.position
        except Refused as error:
            log.advance(READER, done)
            return Sent(n_sent=n_sent, n_refused=n_refused, problem=str(error))
        if len(batch) < _BATCH:
            log.advance(READER, max(last, done))
            return Sent(n_sent=n_sent, n_refused=n_refused)
        log.advance(READER, done)


def _send(context: Context, section: OpenLineageSection, event: Event, key: str | None) -> tuple[int, int]:
    """Send what is told of an event; give how many were taken and how many never will be."""
    with context.database.read() as connection:
        told = tell(connection, event)
    taken = [_post(context, section, each, key) for each in told]
    return sum(taken), len(taken) - sum(taken)


def _post(context: Context, section: OpenLineageSection, told: Told, key: str | None) -> bool:
    """Post one event; False when the collector will never take it.

    Raises
    ------
    Refused
        If trying again later may help.
    """
    url = str(section.url)
    headers = {"content-type": "application/json"}
    if key:
        headers["authorization"] = f"Bearer {key}"
    request = OutboundRequest(
        method="POST",
        url=url,
        headers=headers,
        body=event_body(told, section.namespace),
        timeout_s=section.timeout_s,
        limit_bytes=_ANSWER_BYTES,
        cut=True,
    )
    try:
        answer = _outbound(context, url).send(request)
    except NoriaError as error:
        raise Refused(error.message) from error
    if answer.status < 300:
        return True
    if answer.status in _PASSING or answer.status >= 500 or answer.status < 400:
        raise Refused(f"`{url}` answered {answer.status}")
    said = answer.body[:500].decode(errors="replace")
    _log.warning(
        "openlineage.refused",
        extra={"status": answer.status, "run": told.run_id, "state": told.state, "said": said},
    )
    return False


def _outbound(context: Context, url: str) -> Outbound:
    """Give a client that may call the collector wherever it stands: who runs this wrote its address."""
    section = context.settings.section("outbound", OutboundSection)
    host = urlsplit(url).hostname
    allow = (*section.allow, host) if host else section.allow
    return Outbound(msgspec.structs.replace(section, allow=allow), context.clock)
