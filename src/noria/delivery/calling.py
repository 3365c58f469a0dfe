"""One call of a webhook: the request with its signature, and what the answer means.

Headers and signature are those of MLflow's webhooks: the identifier of the delivery, the second of the attempt, and
HMAC-SHA256 over `identifier.second.body` in base64 behind `v1,`. The identifier is the same at each attempt.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime

from noria.core.context import Context
from noria.core.errors import NoriaError
from noria.core.outbound.client import Outbound
from noria.core.outbound.entities import OutboundRequest, OutboundSection
from noria.delivery.secrets import SecretBox

DELIVERY_HEADER = "X-MLflow-Delivery-Id"
SIGNATURE_HEADER = "X-MLflow-Signature"
TIMESTAMP_HEADER = "X-MLflow-Timestamp"

TIMEOUT_S = 10.0
ANSWER_BYTES = 64 * 1024

_PASSING = frozenset({408, 425, 429})
"""Refusals that may be over soon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Whom to call."""

    webhook_id: str
    url: str
    sealed_secret: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a call went.

    Attributes
    ----------
    status
        Of the answer, if there was one.
    error
        Why there was none.
    again
        Whether trying again may help.
    wait_s
        Seconds after which the receiver wants to be asked again, if it says so.
    """

    status: int | None = None
    body: str | None = None
    error: str | None = None
    again: bool = False
    wait_s: float | None = None

    @property
    def success(self) -> bool:
        """Whether the receiver took it."""
        return self.status is not None and self.status < 400


def call(context: Context, target: Target, *, delivery_id: str, body: bytes) -> Outcome:
    """Call a webhook once; never raises."""
    try:
        section = context.settings.section("outbound", OutboundSection)
        headers = _headers(context, target, delivery_id, body)
        request = OutboundRequest(
            method="POST",
            url=target.url,
            headers=headers,
            body=body,
            timeout_s=TIMEOUT_S,
            limit_bytes=ANSWER_BYTES,
            cut=True,
        )
        answer = Outbound(section, context.clock).send(request)
    except NoriaError as error:
        return Outcome(error=error.message, again=error.retryable)
    return Outcome(
        status=answer.status,
        body=answer.body.decode(errors="replace"),
        again=answer.status in _PASSING or answer.status >= 500,
        wait_s=_seconds(answer.headers.get("retry-after")),
    )


def sign(secret: str, *, delivery_id: str, timestamp: str, body: bytes) -> str:
    """Give the signature of a call.

    Examples
    --------
    >>> sign("key", delivery_id="1", timestamp="0", body=b"{}")
    'v1,zGwIsEpWJehWI9SAZ35qk1GA7jOFwoNvVGoKfG/SvCI='
    """
    signed = f"{delivery_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()


def _headers(context: Context, target: Target, delivery_id: str, body: bytes) -> dict[str, str]:
    timestamp = _second(context.clock.now())
    headers = {
        "content-type": "application/json",
        DELIVERY_HEADER: delivery_id,
        TIMESTAMP_HEADER: timestamp,
    }
    if target.sealed_secret is not None:
        secret = SecretBox(context.settings.folder).open(target.webhook_id, target.sealed_secret)
        headers[SIGNATURE_HEADER] = sign(secret, delivery_id=delivery_id, timestamp=timestamp, body=body)
    return headers


def _second(now: datetime) -> str:
    return str(int(now.timestamp()))


def _seconds(text: str | None) -> float | None:
    """Read `Retry-After` where it is a number; dates are left to our own pauses."""
    return float(text) if text is not None and text.isdecimal() and len(text) < 10 else None
