"""MLflow's endpoints of searches: runs of any experiments, and experiments."""

from __future__ import annotations

from typing import Final

import msgspec

from noria.core.adapters import AdapterRequest
from noria.interop.mlflow import messages
from noria.interop.mlflow.decoding import invalid_parameter
from noria.interop.mlflow.errors import invalid
from noria.interop.mlflow.experiments import wire_experiment
from noria.interop.mlflow.messages import ViewType
from noria.interop.mlflow.projects import DEFAULT_PROJECT, numbers_of
from noria.interop.mlflow.run_answers import wire_run
from noria.interop.mlflow.wire import Endpoints, Int32, Int64, Message, encode
from noria.tracking.entities import Lifecycle
from noria.tracking.search.entities import MAX_FOUND, ExperimentSearch, NumberedRunSearch
from noria.tracking.service import Experiments, Runs

MAX_BY_DEFAULT: Final = 1_000

_LIFECYCLES: Final = {
    ViewType.ACTIVE_ONLY: Lifecycle.ACTIVE,
    ViewType.DELETED_ONLY: Lifecycle.DELETED,
    ViewType.ALL: Lifecycle.ALL,
}

endpoint = Endpoints()


class SearchRuns(Message):
    """Runs to find."""

    experiment_ids: list[str] = []
    filter: str = ""
    run_view_type: ViewType = ViewType.ACTIVE_ONLY
    max_results: Int32 = MAX_BY_DEFAULT
    order_by: list[str] = []
    page_token: str = ""


class RunsFound(Message):
    """Runs in the order asked for, and how to go on."""

    runs: list[msgspec.Raw] = []
    next_page_token: str | None = None


class SearchExperiments(Message):
    """Experiments to find."""

    view_type: ViewType = ViewType.ACTIVE_ONLY
    max_results: Int64 = MAX_BY_DEFAULT
    order_by: list[str] = []
    filter: str = ""
    page_token: str = ""


class ExperimentsFound(Message):
    """Experiments in the order asked for, and how to go on."""

    experiments: list[messages.Experiment] = []
    next_page_token: str | None = None


@endpoint("POST", "2:runs/search", SearchRuns)
def search_runs(request: AdapterRequest, message: SearchRuns) -> RunsFound:
    """Find runs of experiments; those that the caller may not read hold none."""
    if message.max_results > MAX_FOUND:
        raise invalid_parameter("max_results", message.max_results)
    _check_positive(message.max_results)
    # Each lot becomes text before the next one is read: the runs of a page are megabytes.
    lots, following = request.context.service(Runs).numbers_by_lots(
        NumberedRunSearch(
            numbers=numbers_of(message.experiment_ids),
            filter=message.filter,
            order_by=message.order_by,
            lifecycle=_LIFECYCLES[message.run_view_type],
            limit=message.max_results,
            after=message.page_token or None,
        ),
        lambda rows: encode([wire_run(row) for row in rows])[1:-1],
    )
    # One text that stands for many items of the list.
    runs = [msgspec.Raw(b",".join(lots))] if lots else []
    return RunsFound(runs=runs, next_page_token=following)


def search_experiments(request: AdapterRequest, message: SearchExperiments) -> ExperimentsFound:
    """Find experiments of all projects that the caller may read."""
    _check_positive(message.max_results)
    if message.max_results > MAX_FOUND:
        raise invalid(
            f"Invalid value {message.max_results} for parameter 'max_results' supplied. It must be at most {MAX_FOUND}"
        )
    found = request.context.guarded(Experiments).search(
        ExperimentSearch(
            filter=message.filter,
            order_by=message.order_by,
            lifecycle=_LIFECYCLES[message.view_type],
            home=DEFAULT_PROJECT,
            limit=message.max_results,
            after=message.page_token or None,
        )
    )
    return ExperimentsFound(
        experiments=[wire_experiment(each) for each in found.items], next_page_token=found.next
    )


for _method in ("GET", "POST"):
    endpoint(_method, "2:experiments/search", SearchExperiments)(search_experiments)


def _check_positive(limit: int) -> None:
    if limit < 1:
        raise invalid(
            f"Invalid value {limit} for parameter 'max_results' supplied. It must be a positive integer"
        )


ROUTES = endpoint.routes
