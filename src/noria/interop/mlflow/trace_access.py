"""What the endpoints of traces have in common: finding a trace, a page of them, and links to runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from noria.core.adapters import AdapterRequest
from noria.core.errors import NotFound
from noria.interop.mlflow.errors import invalid, missing
from noria.interop.mlflow.projects import get_place, number_of
from noria.interop.mlflow.wire import Int32, Message, invalid_parameter
from noria.tracking.traces.entities import Trace, TracePlace, TraceRunLinks, TraceSearch
from noria.tracking.traces.service import Traces

MAX_SEARCHED: Final = 500
DEFAULT_SEARCHED: Final = 100
MAX_LINKED: Final = 100

NOT_FOUND: Final = "Trace with ID '{}' not found."
SPANS_NOT_FOUND: Final = "Trace with ID {} is not found."
"""How it is said that there is no trace: where the spans are asked for, MLflow words it otherwise."""


class Wanted(Message):
    """Which traces are asked for, besides where."""

    filter: str = ""
    max_results: Int32 = DEFAULT_SEARCHED
    order_by: list[str] = []
    page_token: str = ""


def trace_place(request: AdapterRequest, trace_id: str, *, told: str = NOT_FOUND) -> TracePlace:
    """Find the project and experiment of a trace.

    Raises
    ------
    MlflowError
        If there is no such trace that the caller may read.
    """
    try:
        return request.context.guarded(Traces).locate(trace_id)
    except NotFound as error:
        raise missing(told.format(trace_id)) from error


def experiment_numbers(ids: Sequence[str]) -> list[int]:
    """Read ids of experiments."""
    return [number_of(each) for each in ids]


def find_trace(
    request: AdapterRequest, trace_id: str, *, spans: bool = False, told: str = NOT_FOUND
) -> Trace:
    """Get a trace.

    Raises
    ------
    MlflowError
        If there is no such trace that the caller may read.
    """
    place = trace_place(request, trace_id, told=told)
    found: Trace = request.context.guarded(Traces).get(place.project, trace_id, spans=spans)
    return found


def search(request: AdapterRequest, ids: Sequence[str], message: Wanted) -> tuple[list[Trace], str | None]:
    """Find traces of experiments; gives a page of them, and the token of the next."""
    if message.max_results > MAX_SEARCHED:
        raise invalid_parameter("max_results", message.max_results)
    if message.max_results < 1:
        raise invalid(
            f"Invalid value {message.max_results} for parameter 'max_results' supplied. It must be"
            " a positive integer"
        )
    wanted = TraceSearch(
        experiments=experiment_numbers(ids),
        filter=message.filter,
        order_by=message.order_by,
        limit=message.max_results,
        after=message.page_token or None,
    )
    page = request.context.guarded(Traces).search(wanted)
    return page.items, page.next


def page_of(found: Mapping[str, list[Any]], token: str | None) -> dict[str, Any]:
    """Give a page as an answer has it: without empty lists."""
    filled = {name: items for name, items in found.items() if items}
    return filled if token is None else {**filled, "next_page_token": token}


def link_traces(request: AdapterRequest, trace_ids: Sequence[str], run_id: str) -> None:
    """Say that traces have to do with a run.

    Raises
    ------
    MlflowError
        If there is no such run, or too many traces.
    """
    if not trace_ids:
        return
    if len(trace_ids) > MAX_LINKED:
        raise invalid(
            f"Cannot link more than {MAX_LINKED} traces to a run in a single request."
            f" Provided {len(trace_ids)} traces."
        )
    place = get_place(request, run_id)
    links = TraceRunLinks(trace_ids=list(trace_ids), run_id=run_id)
    request.context.guarded(Traces).link_run(place.project, links)
