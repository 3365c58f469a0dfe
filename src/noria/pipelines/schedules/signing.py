"""Signatures of calls, in and out, as the specification Standard Webhooks has them.

Three headers: `webhook-id`, the same at each attempt; `webhook-timestamp`, the second of the attempt; and
`webhook-signature`, HMAC-SHA256 over `id.timestamp.body` in base64 behind `v1,`. A secret is never stored: it is made
of the workspace key and of a random text that the schedule keeps.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from noria.core.errors import ConfigInvalid, Unauthenticated
from noria.core.key import ensure_key

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"
TOLERANCE_S = 300
MAX_ID_CHARS = 200
_PREFIX = "whsec_"
_KEY_BYTES = (24, 64)


class SignatureInvalid(Unauthenticated):
    """A call does not prove that its sender knows the secret."""

    code = "signature_invalid"


def hook_secret(folder: Path, salt: str) -> str:
    """Give the secret that calls of a schedule's address are signed with."""
    return _derived(folder, f"hook:{salt}")


def notice_secret(folder: Path, salt: str) -> str:
    """Give the secret that notices of a schedule are signed with."""
    return _derived(folder, f"notices:{salt}")


def check_secret(secret: str, *, where: str) -> str:
    """Give a secret back that calls can be signed with.

    Parameters
    ----------
    where
        What it was read from.

    Raises
    ------
    ConfigInvalid
        If it is none: `whsec_` and 24 to 64 bytes in base64. The message does not have it.
    """
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not (secret.startswith(_PREFIX) and _KEY_BYTES[0] <= len(key) <= _KEY_BYTES[1]):
        raise ConfigInvalid(
            f"`{where}` holds no secret of Standard Webhooks: `{_PREFIX}` and 24 to 64 bytes in base64",
            hint=f'Make one: `echo "{_PREFIX}$(openssl rand -base64 32)"`',
        )
    return secret


def signed_headers(secret: str, *, id_: str, now: datetime, body: bytes) -> dict[str, str]:
    """Give the headers of a signed call.

    Examples
    --------
    >>> from datetime import UTC
    >>> headers = signed_headers("whsec_a2V5", id_="1", now=datetime(1970, 1, 1, tzinfo=UTC), body=b"{}")
    >>> headers["webhook-signature"]
    'v1,zGwIsEpWJehWI9SAZ35qk1GA7jOFwoNvVGoKfG/SvCI='
    """
    timestamp = str(int(now.timestamp()))
    return {
        "content-type": "application/json",
        ID_HEADER: id_,
        TIMESTAMP_HEADER: timestamp,
        SIGNATURE_HEADER: _sign(secret, id_, timestamp, body),
    }


def verify(secret: str, headers: Mapping[str, str], *, now: datetime, body: bytes) -> str:
    """Give the identifier of a call that is signed with a secret and not old.

    Raises
    ------
    SignatureInvalid
        With the mend, and without saying what of it was wrong.
    """
    id_, timestamp = headers.get(ID_HEADER, ""), headers.get(TIMESTAMP_HEADER, "")
    expected = _sign(secret, id_, timestamp, body).encode()
    given = headers.get(SIGNATURE_HEADER, "").split(" ")
    is_signed = any([hmac.compare_digest(expected, found.encode()) for found in given])  # noqa: C419 - all are compared
    is_new = timestamp.isdecimal() and abs(int(timestamp[:15]) - now.timestamp()) <= TOLERANCE_S
    if not (is_signed and is_new and 0 < len(id_) <= MAX_ID_CHARS):
        raise refused()
    return id_


def refused() -> SignatureInvalid:
    """Give the one answer to every call that is not let in."""
    return SignatureInvalid(
        "There is no schedule here that this call may start",
        hint="Sign it with the secret of `noria schedules hook NAME`, within five minutes",
    )


def _sign(secret: str, id_: str, timestamp: str, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    signed = f"{id_}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _derived(folder: Path, purpose: str) -> str:
    key = hmac.new(ensure_key(folder).encode(), f"noria schedules {purpose}".encode(), hashlib.sha256)
    return _PREFIX + base64.b64encode(key.digest()).decode()
