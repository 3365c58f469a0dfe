"""Answer a request: choose the version, read the inputs, and keep the record before the answer is given."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
import numpy as np

from noria.core.clock import Clock
from noria.core.errors import Failed, Forbidden, Invalid
from noria.core.ids import is_id, new_id
from noria.registry.entities import Signature
from noria.serving.modelserver.culprits import Culprit
from noria.serving.modelserver.lanes import Outputs, writable
from noria.serving.modelserver.protocol import Answered, Encoded, ReadInputs
from noria.serving.modelserver.recorder import CapturedRequest, Recorder
from noria.serving.modelserver.routes import LoadedVersion, Route
from noria.serving.modelserver.turn import Keep, Turn, next_turn
from noria.serving.predictions import ROLES, CaptureRole

KEY = "key"
REPLAY = "replay"
FEATURES = "features"

_ERROR_LENGTH = 500
_FIRST = ROLES.index(CaptureRole.FIRST)
_LOG_EVERY_S = 5.0

_log = logging.getLogger("noria.serving.answering")


class Ask(Protocol):
    """A request for predictions, in whichever form it came.

    Attributes
    ----------
    id
        That the client gave it.
    parameters
        `key` and `replay`, if given.
    """

    id: str | None
    parameters: dict[str, Any]

    def inputs(self, signature: Signature) -> ReadInputs:
        """Give the arrays that the model is asked about; raises `InputInvalid`."""
        ...

    def reply(self, answered: Answered) -> Encoded:
        """Give the answer in the form of the request."""
        ...


class Pending(msgspec.Struct, frozen=True):
    """A request that was read, and is not answered yet.

    Attributes
    ----------
    first
        Version that is asked before the chosen one; None when there is none.
    received
        Inputs as they were sent, where they were put right, by the names under which they are captured.
    """

    route: Route
    chosen: LoadedVersion
    identity: str
    inputs: ReadInputs
    began: float
    replay: bool
    first: LoadedVersion | None = None
    received: Outputs = {}


class Answerer:
    """Reads requests and keeps what was answered. Called from many threads.

    Parameters
    ----------
    keep
        Keeps a record of so many requests, or drops and counts it when there is no room.
    clock
        Stamps records and measures latency.
    """

    def __init__(self, *, keep: Keep, clock: Clock) -> None:
        self._keep = keep
        self._turn: Turn | None = None
        self._recorder = Recorder()
        self._clock = clock
        self._logged_at = float("-inf")

    def begin(
        self, route: Route, ask: Ask, *, version: str | None, may_replay: Callable[[], bool]
    ) -> Pending:
        """Choose the version for a request, and read its inputs.

        Parameters
        ----------
        version
            Number of the version that shall answer; None lets the endpoint's shares choose.
        may_replay
            Tells whether the caller may send rows past the capture.

        Raises
        ------
        InputInvalid
            If the request does not fit the model; it is not kept.
        Forbidden
            If it asks for a replay and may not.
        """
        replay, key = (_flag(ask), _routing_key(ask)) if ask.parameters else (False, None)
        if replay and not may_replay():
            raise Forbidden(
                "A request with `replay` needs the workspace key",
                hint="Send `Authorization: Bearer <key>`; the command line and the SDK do it by themselves",
            )
        identity = ask.id if ask.id is not None and is_id(ask.id) else new_id()
        chosen = route.choose(key or identity) if version is None else route.version(version)
        inputs = ask.inputs(chosen.entity.signature)
        began = self._clock.monotonic()
        received: Outputs = {}
        # Frozen rows are as they were at registration: there is nothing to put right about them.
        if route.repair is not None and not replay:
            mended, received = route.repair(inputs.arrays)
            inputs = ReadInputs(mended, inputs.n_rows)
        if route.cascade is None or version is not None or replay:
            return Pending(route, chosen, identity, inputs, began, replay, None, received)
        return Pending(route, chosen, identity, inputs, began, replay, route.before(chosen), received)

    def unsure(self, pending: Pending, outputs: Outputs, error: Exception | None) -> None:
        """Keep what the first of two versions made of a request that the second answers."""
        if pending.route.captures(pending.identity):
            text = None if error is None else _told(error)
            self._record(pending, outputs, text, _FIRST)
        if error is not None:
            self._log_failure(pending.chosen.entity.ref, error)

    def replay(self, pending: Pending) -> Outputs:
        """Predict, and give what the last step of the model sees too."""
        inputs = pending.inputs
        outputs = pending.chosen.lane.run(inputs.arrays, inputs.n_rows)
        return {**outputs, FEATURES: np.asarray(pending.chosen.model.features(writable(inputs.arrays)))}

    async def finish(self, pending: Pending, outputs: Outputs) -> Answered:
        """Keep what was answered, and give the answer."""
        turn = self.take(pending, outputs)
        if turn is not None:
            try:
                await next_turn()
            finally:
                turn.keep()
            turn.check(pending.identity)
        return self.answered(pending, outputs)

    def take(self, pending: Pending, outputs: Outputs) -> Turn | None:
        """Keep what was answered; or give the turn with whose other requests it has yet to be kept."""
        if pending.replay or not pending.route.captures(pending.identity):
            return None
        if pending.inputs.n_rows == 1:
            return self._take(pending, outputs)
        self._record(pending, outputs, None)
        return None

    def answered(self, pending: Pending, outputs: Outputs) -> Answered:
        """Give the answer of what was kept."""
        return Answered(
            endpoint=pending.route.endpoint,
            version=pending.chosen.entity.version,
            identity=pending.identity,
            n_rows=pending.inputs.n_rows,
            outputs=outputs,
        )

    def failed(self, pending: Pending, error: Exception, culprit: Culprit | None = None) -> Failed:
        """Keep that the model raised, and give the error that says so, and on which value where that is known."""
        ref = pending.chosen.entity.ref
        text = _told(error)
        self._log_failure(ref, error)
        if not pending.replay:
            self._record(pending, {}, text)
        details = {"version": pending.chosen.entity.version, "prediction_id": pending.identity}
        if culprit is None:
            return Failed(
                f"`{ref}` raised on this request: {text}",
                hint="See the log of the model server",
                details=details,
            )
        return Failed(
            f"`{ref}` cannot take the value `{culprit.value}` of `{culprit.field}` in row {culprit.row}: {text}",
            hint="Send a value as the training data had them, or train a version on rows with this one",
            details={**details, **culprit._asdict()},
        )

    def _log_failure(self, ref: str, error: Exception) -> None:
        """Log an exception, but not each of a flood: the captured rows have them all."""
        now = self._clock.monotonic()
        if now - self._logged_at >= _LOG_EVERY_S:
            self._logged_at = now
            _log.error("model.raised", exc_info=error, extra={"version": ref})

    def _record(
        self,
        pending: Pending,
        outputs: Outputs,
        error: str | None,
        role: int = 0,
    ) -> None:
        self._keep(self._recorder.parts(self._captured(pending, outputs, error, role, self._now_us())), 1)

    def _captured(
        self, pending: Pending, outputs: Outputs, error: str | None, role: int, at_us: int
    ) -> CapturedRequest:
        route = pending.route
        return CapturedRequest(
            (route.project, route.endpoint, pending.chosen.entity.version, route.revision),
            pending.identity,
            at_us,
            round((self._clock.monotonic() - pending.began) * 1e6),
            pending.inputs.n_rows,
            pending.inputs.arrays,
            _with_received(pending, outputs),
            error,
            role,
        )

    def _take(self, pending: Pending, outputs: Outputs) -> Turn:
        """Have a request of one row kept with the others of this turn."""
        turn = self._turn
        if turn is None or turn.is_kept:
            turn = self._turn = Turn(self._keep, self._recorder, self._now_us())
        route = pending.route
        turn.add(
            (route.project, route.endpoint, pending.chosen.entity.version, route.revision),
            pending.identity,
            round((self._clock.monotonic() - pending.began) * 1e6),
            pending.inputs.arrays,
            _with_received(pending, outputs),
        )
        return turn

    def _now_us(self) -> int:
        return round(self._clock.now().timestamp() * 1e6)


def _with_received(pending: Pending, outputs: Outputs) -> Outputs:
    """Give what is captured beside the inputs that the model saw."""
    return {**outputs, **pending.received} if pending.received and outputs else outputs


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:_ERROR_LENGTH]


def _flag(ask: Ask) -> bool:
    value = ask.parameters.get(REPLAY, False)
    if not isinstance(value, bool):
        raise Invalid(f"The parameter `{REPLAY}` is true or false", details={"field": f"parameters.{REPLAY}"})
    return value


def _routing_key(ask: Ask) -> str | None:
    value = ask.parameters.get(KEY)
    if value is not None and not isinstance(value, str):
        raise Invalid(f"The parameter `{KEY}` is a text", details={"field": f"parameters.{KEY}"})
    return value
