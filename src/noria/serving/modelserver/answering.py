"""Answer a request: choose the version, predict, keep the record, and only then give the answer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.core.clock import Clock
from noria.core.database.schema import to_micros
from noria.core.errors import Failed, Forbidden, Invalid
from noria.core.ids import is_id, new_id
from noria.serving.modelserver.protocol import (
    InferRequest,
    ReadInputs,
    read_inputs,
    tensor_of,
    wanted_outputs,
)
from noria.serving.modelserver.records import AnsweredRequest, encode, to_tensors
from noria.serving.modelserver.routes import LoadedVersion, Route
from noria.serving.predictions import prediction_ids

KEY = "key"
REPLAY = "replay"
FEATURES = "features"

_ERROR_LENGTH = 500
_LOG_EVERY_S = 5.0

_log = logging.getLogger("noria.serving.answering")

Outputs = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answered request, in the protocol's terms."""

    version: int
    n_rows: int
    body: dict[str, Any]


class Answerer:
    """Answers requests. Called from many threads.

    Parameters
    ----------
    keep
        Keeps a record, or drops and counts it when there is no room.
    clock
        Stamps records and measures latency.
    """

    def __init__(self, *, keep: Callable[[bytes], bool], clock: Clock) -> None:
        self._keep = keep
        self._clock = clock
        self._logged_at = float("-inf")

    def answer(self, route: Route, request: InferRequest, *, version: str | None, may_replay: bool) -> Answer:
        """Predict the rows of a request.

        Parameters
        ----------
        version
            Number of the version that shall answer; None lets the endpoint's shares choose.
        may_replay
            Whether the caller may send rows past the capture.

        Raises
        ------
        InputInvalid
            If the request does not fit the model; it is not kept.
        Failed
            If the model raised; the request is kept with the error.
        Forbidden
            If it asks for a replay and may not.
        """
        replay = _flag(request, REPLAY)
        if replay and not may_replay:
            raise Forbidden(
                "A request with `replay` needs the workspace key",
                hint="Send `Authorization: Bearer <key>`; the command line and the SDK do it by themselves",
            )
        identity = request.id if request.id is not None and is_id(request.id) else new_id()
        chosen = (
            route.choose(_routing_key(request) or identity) if version is None else route.version(version)
        )
        inputs = read_inputs(request, chosen.entity.signature)
        outputs = self._predict(route, chosen, identity, inputs, replay=replay)
        return Answer(
            version=chosen.entity.version,
            n_rows=inputs.n_rows,
            body={
                "model_name": route.endpoint,
                "model_version": str(chosen.entity.version),
                "id": request.id if request.id is not None else identity,
                "parameters": {"prediction_ids": prediction_ids(identity, inputs.n_rows)},
                "outputs": _selected(request, outputs),
            },
        )

    def _predict(
        self, route: Route, chosen: LoadedVersion, identity: str, inputs: ReadInputs, *, replay: bool
    ) -> Outputs:
        began = self._clock.monotonic()
        try:
            outputs = dict(chosen.model.predict(inputs.arrays))
            _check_rows(outputs, inputs.n_rows)
            if replay:
                return {**outputs, FEATURES: np.asarray(chosen.model.features(inputs.arrays))}
        except Exception as error:
            self._log_failure(chosen)
            text = f"{type(error).__name__}: {error}"[:_ERROR_LENGTH]
            if not replay:
                self._record(route, chosen, identity, inputs, began, {}, text)
            raise Failed(
                f"`{chosen.entity.ref}` raised on this request: {text}",
                hint="See the log of the model server",
                details={"version": chosen.entity.version, "prediction_id": identity},
            ) from error
        self._record(route, chosen, identity, inputs, began, outputs, None)
        return outputs

    def _log_failure(self, chosen: LoadedVersion) -> None:
        """Log the exception at hand, but not each of a flood: the captured rows have them all."""
        now = self._clock.monotonic()
        if now - self._logged_at >= _LOG_EVERY_S:
            self._logged_at = now
            _log.exception("model.raised", extra={"version": chosen.entity.ref})

    def _record(
        self,
        route: Route,
        chosen: LoadedVersion,
        identity: str,
        inputs: ReadInputs,
        began: float,
        outputs: Outputs,
        error: str | None,
    ) -> None:
        if error is None and not route.captures(identity):
            return
        record = AnsweredRequest(
            project=route.project,
            endpoint=route.endpoint,
            id=identity,
            version=chosen.entity.version,
            revision=route.revision,
            at_us=to_micros(self._clock.now()),
            latency_us=round((self._clock.monotonic() - began) * 1e6),
            n_rows=inputs.n_rows,
            inputs=to_tensors(inputs.arrays),
            outputs=to_tensors(outputs),
            error=error,
        )
        self._keep(encode(record))


def _selected(request: InferRequest, outputs: Outputs) -> list[dict[str, Any]]:
    wanted = wanted_outputs(request, list(outputs))
    return [tensor_of(name, array) for name, array in outputs.items() if name in wanted]


def _check_rows(outputs: Outputs, n_rows: int) -> None:
    for name, array in outputs.items():
        if array.shape[:1] != (n_rows,):
            raise ValueError(f"the output `{name}` has the shape {list(array.shape)} for {n_rows} rows")


def _flag(request: InferRequest, name: str) -> bool:
    value = request.parameters.get(name, False)
    if not isinstance(value, bool):
        raise Invalid(f"The parameter `{name}` is true or false", details={"field": f"parameters.{name}"})
    return value


def _routing_key(request: InferRequest) -> str | None:
    value = request.parameters.get(KEY)
    if value is not None and not isinstance(value, str):
        raise Invalid(f"The parameter `{KEY}` is a text", details={"field": f"parameters.{KEY}"})
    return value
