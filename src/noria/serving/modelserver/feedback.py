"""Take true labels: to the control server while the caller waits, or to the disk when it is away."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import msgspec

from noria.core.errors import Conflict, Invalid, NoriaError, StorageFull, Unavailable
from noria.core.http_errors import MethodNotAllowed, RouteNotFound, TooManyRequests
from noria.core.serialisation import from_json
from noria.serving.captures import Captures, PredictionNotFound
from noria.serving.modelserver.link import Link
from noria.serving.modelserver.outbox import Outbox
from noria.serving.modelserver.records import GivenLabels, by_endpoint, decode_labels, encode
from noria.serving.modelserver.routes import Route
from noria.serving.modelserver.transfer import Transfer
from noria.serving.packing import Entry, Packed, pack
from noria.serving.predictions import LabelBatch, LabelReport, NewLabel, PredictionIds

MAX_LABELS = 1_000
"""Most labels of one request."""

_FLUSH_S = 5.0
_ROWS_PER_CALL = 4_000
_BYTES_PER_CALL = 1 << 20

_log = logging.getLogger("noria.serving.feedback")


class FeedbackRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Labels by prediction id.

    Attributes
    ----------
    endpoint
        Which endpoint's predictions they are of; looked up when left out.
    """

    labels: list[NewLabel]
    endpoint: str | None = None


def read_feedback(body: bytes) -> FeedbackRequest:
    """Read the labels of a request.

    Raises
    ------
    Invalid
        If they do not have the right form; the message names the field.
    """
    try:
        return from_json(body, FeedbackRequest, what="feedback")
    except Invalid as error:
        raise Invalid(
            error.message, hint='Send `{"labels": [{"prediction_id": "…", "value": …}]}`'
        ) from error


class FeedbackAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the labels.

    Attributes
    ----------
    queued
        How many were kept here, on disk, until the control server is back.
    """

    accepted: int = 0
    unknown: list[str] = []
    duplicate: list[str] = []
    conflicting: list[str] = []
    mistyped: list[str] = []
    capped: list[str] = []
    corrected: int = 0
    queued: int = 0


def stamp(request: FeedbackRequest, client: str | None) -> FeedbackRequest:
    """Say of each label whom it counts against; None leaves what the caller says of its own clients."""
    if client is None:
        return request
    given = [msgspec.structs.replace(label, client=client) for label in request.labels]
    return msgspec.structs.replace(request, labels=given)


class Feedback:
    """Takes labels. Called from many threads.

    Parameters
    ----------
    captures
        What this server answered; handed on before its labels are.
    queue
        Durable; what hands it on calls `hand_on_labels`.
    """

    def __init__(self, *, link: Link, captures: Outbox, queue: Outbox) -> None:
        self._link = link
        self._captures = captures
        self._queue = queue

    def take(self, request: FeedbackRequest, route: Route | None) -> FeedbackAnswer:
        """Keep labels; when this returns they survive the loss of power.

        Parameters
        ----------
        route
            The endpoint that answered their predictions; None when it has to be looked up.

        Raises
        ------
        PredictionNotFound, Conflict, Invalid, TooManyRequests
            If none of the labels could be kept; `details` has the ids by reason.
        StorageFull
            If the control server is away and there is no room on this disk.
        """
        if not 0 < len(request.labels) <= MAX_LABELS:
            raise Invalid(
                f"A request holds 1 to {MAX_LABELS} labels, not {len(request.labels)}",
                details={"field": "labels"},
            )
        try:
            answer = self._deliver(request.labels, route)
        except Unavailable as error:
            _log.info("feedback.queued", extra={"reason": error.message, "n_labels": len(request.labels)})
            return self._keep(request.labels, route)
        _refuse_if_nothing_was_kept(answer, route)
        return answer

    def _deliver(self, labels: list[NewLabel], route: Route | None) -> FeedbackAnswer:
        if not self._captures.flush(_FLUSH_S):
            raise Unavailable("The predictions before these labels could not be handed on yet")
        return deliver(
            self._link.service(Captures), labels, (route.project, route.endpoint) if route else None
        )

    def _keep(self, labels: list[NewLabel], route: Route | None) -> FeedbackAnswer:
        project, endpoint = (route.project, route.endpoint) if route else ("", "")
        record = GivenLabels(project=project, endpoint=endpoint, labels=labels)
        if not self._queue.append(encode(record)):
            raise StorageFull(
                "The control server is away, and there is no room here to keep the labels until it is back",
                hint="Send them again later",
            )
        return FeedbackAnswer(queued=len(labels))


def deliver(captures: Captures, labels: list[NewLabel], place: tuple[str, str] | None) -> FeedbackAnswer:
    """Give labels to the control server, each to the endpoint that answered its prediction.

    Parameters
    ----------
    place
        Project and endpoint of all of them, when they are known.
    """
    if place is not None:
        return _merged([captures.label(*place, LabelBatch(labels=labels))])
    found = captures.locate(PredictionIds(ids=[label.prediction_id for label in labels])).items
    places = {each.prediction_id: (each.project, each.endpoint) for each in found}
    groups: dict[tuple[str, str], list[NewLabel]] = {}
    for label in labels:
        if label.prediction_id in places:
            groups.setdefault(places[label.prediction_id], []).append(label)
    unknown = [label.prediction_id for label in labels if label.prediction_id not in places]
    reports = [captures.label(*key, LabelBatch(labels=group)) for key, group in groups.items()]
    return _merged([*reports, LabelReport(unknown=unknown)])


def hand_on_requests(link: Link, records: list[bytes]) -> None:
    """Give answered requests to the control server: the sink of the capture spool."""
    captures = link.service(Captures)
    for (project, endpoint), entries in by_endpoint(records).items():
        for part in _parts(entries):
            _hand_on(captures, project, endpoint, pack(part))


def _hand_on(captures: Captures, project: str, endpoint: str, part: Packed) -> None:
    try:
        captures.append_packed(project, endpoint, part)
    except NoriaError as error:
        if error.code in (RouteNotFound.code, MethodNotAllowed.code):
            # Given up otherwise: what is refused is not sent again.
            raise Unavailable("The control server is of an older version than this model server") from error
        raise


def hand_on_labels(link: Link, requests: Transfer, records: list[bytes]) -> None:
    """Give kept labels to the control server: the sink of the label spool."""
    if not requests.flush(_FLUSH_S):
        raise Unavailable("The predictions before these labels could not be handed on yet")
    captures = link.service(Captures)
    for record in records:
        given = decode_labels(record)
        place = (given.project, given.endpoint) if given.endpoint else None
        answer = deliver(captures, given.labels, place)
        for reason in ("unknown", "conflicting", "mistyped", "capped"):
            ids = getattr(answer, reason)
            if ids:
                _log.warning("feedback.not_kept", extra={"reason": reason, "prediction_ids": ids})


def _parts(entries: list[Entry]) -> Iterator[list[Entry]]:
    """Cut what is to be handed on into parts that the control server takes in one call."""
    part: list[Entry] = []
    n_rows = size_bytes = 0
    for entry in entries:
        n_rows += entry.n_rows
        size_bytes += len(entry.data)
        if part and (n_rows > _ROWS_PER_CALL or size_bytes > _BYTES_PER_CALL):
            yield part
            part, n_rows, size_bytes = [], entry.n_rows, len(entry.data)
        part.append(entry)
    if part:
        yield part


def _merged(reports: list[LabelReport]) -> FeedbackAnswer:
    return FeedbackAnswer(
        accepted=sum(report.accepted for report in reports),
        unknown=[identity for report in reports for identity in report.unknown],
        duplicate=[identity for report in reports for identity in report.duplicate],
        conflicting=[identity for report in reports for identity in report.conflicting],
        mistyped=[identity for report in reports for identity in report.mistyped],
        capped=[identity for report in reports for identity in report.capped],
        corrected=sum(report.corrected for report in reports),
    )


def _refuse_if_nothing_was_kept(answer: FeedbackAnswer, route: Route | None) -> None:
    if answer.accepted or answer.corrected or answer.duplicate:
        return
    details = {
        reason: getattr(answer, reason)
        for reason in ("unknown", "conflicting", "mistyped", "capped")
        if getattr(answer, reason)
    }
    if answer.unknown:
        error = PredictionNotFound(route.endpoint if route else "*", answer.unknown[0])
        error.details.update(details)
        raise error
    if answer.capped:
        raise TooManyRequests(
            "This client has given as many labels as one may that is not trusted", details=details
        )
    if answer.conflicting:
        raise Conflict(
            f"The prediction `{answer.conflicting[0]}` has another label already, which stands",
            details=details,
        )
    raise Invalid(
        f"The label of `{answer.mistyped[0]}` is not of the kind that the model predicts",
        hint="Send a number where the model predicts numbers, a text where it predicts texts",
        details=details,
    )
