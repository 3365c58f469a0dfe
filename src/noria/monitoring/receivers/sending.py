"""Send notices: each attempt is claimed, made once, and written down."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from noria.core.context import Context
from noria.core.errors import ConfigInvalid, NoriaError
from noria.core.ids import new_id
from noria.core.outbound.mail import Mail
from noria.monitoring.alerts.entities import NoticeStatus, Told
from noria.monitoring.alerts.ledger import claim, next_in, settle
from noria.monitoring.receivers.entities import AlertSection, Receiver, ReceiverForm, TrialOutcome
from noria.monitoring.receivers.forms import body_of
from noria.pipelines.receivers import MAILTO, check_notice_address, post, send_mail
from noria.pipelines.schedules.signing import notice_secret, signed_headers

PAUSES_S = (2.0, 10.0, 60.0, 300.0, 1800.0)
"""Between the attempts to send a notice; the last one again and again."""

GIVEN_UP_AFTER = timedelta(days=1)
"""A notice that nobody took for so long tells nobody anything new."""

_ERROR_CHARS = 500
_AT_ONCE = 8

_log = logging.getLogger("noria.alerts")


def send_due(context: Context, group_id: str) -> float | None:
    """Make the attempts that are due, and give the seconds until the next one; None when all have ended."""
    rows = claim(context, group_id, PAUSES_S)
    if rows:
        with ThreadPoolExecutor(min(_AT_ONCE, len(rows)), thread_name_prefix="noria-alert") as pool:
            list(pool.map(lambda row: _attempt(context, row), rows))
    return next_in(context, group_id)


def try_out(context: Context, name: str, receiver: Receiver) -> TrialOutcome:
    """Send a trial message once, at once."""
    text = f"This is a trial: alerts of the workspace `{context.settings.workspace}` reach you.\n"
    told = Told(kind="test", project="", group="", cause="", text=text)
    identity, now = new_id(), context.clock.now()
    error: str | None = None
    try:
        _send(context, name, receiver, id_=identity, subject="[noria] a trial message", told=told, at=now)
    except NoriaError as problem:
        error = problem.message
    return TrialOutcome(receiver=name, form=receiver.sent_as, error=error)


def secret_of(context: Context, name: str) -> str:
    """Give the secret that the calls of a webhook are signed with."""
    return notice_secret(context.settings.folder, f"alerts:{name}")


def place_of(receiver: Receiver) -> str:
    """Give what may be shown of an address.

    Examples
    --------
    >>> place_of(Receiver(to="https://hooks.example.com/services/T0/B0/secret"))
    'https://hooks.example.com'
    """
    if receiver.to.startswith(MAILTO):
        return receiver.to.removeprefix(MAILTO)
    parts = urlsplit(receiver.to)
    return f"{parts.scheme}://{parts.hostname or ''}"


def _attempt(context: Context, row: Any) -> None:
    receiver = context.settings.section("alerts", AlertSection).receivers.get(row.receiver)
    if receiver is None:
        settle(context, row.pk, NoticeStatus.DROPPED, "The settings no longer name this receiver")
        return
    try:
        _send(
            context,
            row.receiver,
            receiver,
            id_=row.id,
            subject=row.subject,
            told=row.told,
            at=row.created_at,
        )
    except NoriaError as error:
        _settle_failure(context, row, error)
    else:
        settle(context, row.pk, NoticeStatus.SENT, None)


def _settle_failure(context: Context, row: Any, error: NoriaError) -> None:
    goes_on = error.retryable and context.clock.now() - row.created_at < GIVEN_UP_AFTER
    status = NoticeStatus.WAITING if goes_on else NoticeStatus.FAILED
    told = {"receiver": row.receiver, "notice": row.id, "error": error.message, "outcome": str(status)}
    _log.warning("alert.notice", extra=told)
    settle(context, row.pk, status, error.message[:_ERROR_CHARS])


def _send(
    context: Context, name: str, receiver: Receiver, *, id_: str, subject: str, told: Told, at: datetime
) -> None:
    settings, clock = context.settings, context.clock
    check_notice_address(receiver.to)
    is_mail = receiver.to.startswith(MAILTO)
    if is_mail != (receiver.sent_as is ReceiverForm.MAIL):
        raise ConfigInvalid(
            f"The receiver `{name}` cannot be sent `{receiver.sent_as}` at `{place_of(receiver)}`",
            hint=f"Change `to` or `form` in `[alerts.receivers.{name}]`",
        )
    if is_mail:
        to = receiver.to.removeprefix(MAILTO)
        send_mail(settings, clock, Mail(to=to, subject=subject, text=told.text, id=id_))
        return
    body = body_of(receiver.sent_as, subject=subject, told=told, at=at)
    headers = {"content-type": "application/json"}
    if receiver.sent_as is ReceiverForm.WEBHOOK:
        headers = signed_headers(secret_of(context, name), id_=id_, now=clock.now(), body=body)
    post(settings, clock, receiver.to, headers=headers, body=body)
