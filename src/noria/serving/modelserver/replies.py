"""What a model server sends: answers, and errors in the form that all have."""

from __future__ import annotations

import msgspec
from granian._granian import RSGIHTTPProtocol as HTTPProtocol

from noria.core.errors import Unavailable
from noria.core.gate import SECURITY_HEADERS
from noria.core.http_errors import error_answer, known_error
from noria.core.serialisation import to_json
from noria.serving.modelserver.answering import Ask
from noria.serving.modelserver.protocol import Answered

BODY_TIMEOUT_S = 30.0
"""How long a client may take to send the body of one request."""

VERSION_HEADER = "noria-model-version"
PREDICTION_HEADER = "noria-prediction-id"

_JSON = [("content-type", "application/json")]
_COMMON = list(SECURITY_HEADERS.items())


class Reply(msgspec.Struct, frozen=True):
    """An answer to send."""

    body: bytes
    status: int = 200
    headers: list[tuple[str, str]] = msgspec.field(default_factory=lambda: _JSON)

    def that_closes(self) -> Reply:
        """Give it as the last one of its connection."""
        return Reply(self.body, self.status, [*self.headers, ("connection", "close")])


def respond(protocol: HTTPProtocol, reply: Reply) -> None:
    """Send an answer."""
    protocol.response_bytes(reply.status, reply.headers + _COMMON, reply.body)


def too_slow() -> Unavailable:
    """Give the error for a body that does not come."""
    return Unavailable(f"The body of the request did not arrive within {BODY_TIMEOUT_S:g} s")


def reply_of(ask: Ask, answered: Answered) -> Reply:
    """Give the answer of a request."""
    encoded = ask.reply(answered)
    told = (VERSION_HEADER, str(answered.version)), (PREDICTION_HEADER, answered.identity)
    return Reply(encoded.body, 200, [*encoded.headers, *told])


def error_reply(error: Exception) -> Reply:
    """Give the answer that says what is wrong."""
    known = known_error(error)
    status, headers, _ = error_answer(known)
    body = known.to_body()
    # `error` is what clients of the protocol look for, the rest is the form of all of Noria's errors.
    fields = {
        "error": body.message,
        "code": body.code,
        "message": body.message,
        "hint": body.hint,
        "details": body.details,
    }
    return Reply(
        to_json(fields),
        status,
        [(key.decode(), value.decode()) for key, value in headers],
    )
