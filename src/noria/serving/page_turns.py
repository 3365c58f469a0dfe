"""How two versions that answer in turn fare, as the page of their endpoint shows it."""

from __future__ import annotations

from dataclasses import dataclass

from noria.core.errors import NotFound
from noria.core.web.pages import Visit
from noria.registry.entities import Task
from noria.serving.cascades import Cascades, TurnFigures
from noria.serving.entities import Endpoint
from noria.serving.permissions import READ_CAPTURES


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRow:
    """One of the two.

    Attributes
    ----------
    version, url
        And its page.
    share, n_requests
        Of the requests since they answer in turn, those that it answered; None before there are any.
    mean_latency_ms
        None before there are any.
    n_labelled
        Labels of what it answered.
    accuracy, mean_absolute_error
        Over these, as its task has it: of the one that is asked first, over what it was sure of.
    """

    version: int
    url: str
    share: float | None
    n_requests: int
    mean_latency_ms: float | None
    n_labelled: int
    accuracy: float | None
    mean_absolute_error: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """Both of them.

    Attributes
    ----------
    min_confidence
        From which on the first one answers.
    is_classifier
        Whether their quality is an accuracy.
    """

    first: TurnRow
    second: TurnRow
    min_confidence: float
    is_classifier: bool


def turns_at(visit: Visit, endpoint: Endpoint) -> Turns | None:
    """Give how they fare; None where one version answers, or the reader may not see what was answered."""
    project = endpoint.project
    if endpoint.cascade is None or not visit.context.principal.may(READ_CAPTURES, project):
        return None
    try:
        report = visit.context.service(Cascades).report(project, endpoint.name)
    except NotFound:  # it ended between two reads
        return None

    def row(figures: TurnFigures) -> TurnRow:
        return TurnRow(
            version=figures.version,
            url=visit.urls.version(project, endpoint.model, figures.version),
            share=figures.share,
            n_requests=figures.n_requests,
            mean_latency_ms=figures.mean_latency_ms,
            n_labelled=figures.n_labelled,
            accuracy=figures.accuracy,
            mean_absolute_error=figures.mean_absolute_error,
        )

    return Turns(
        first=row(report.first),
        second=row(report.second),
        min_confidence=report.cascade.min_confidence,
        is_classifier=endpoint.task == Task.CLASSIFICATION,
    )
