"""What may follow in a filter of runs that is being typed: a part of a page, fetched while one types."""

from __future__ import annotations

from dataclasses import dataclass

from noria.core.web.pages import Page, PageContext, Visit
from noria.core.web.urls import EXPERIMENT_PATH
from noria.tracking.known import KeyKind
from noria.tracking.permissions import READ_RUNS
from noria.tracking.run_tables import RunTables
from noria.tracking.search.completion import Suggestion, complete

COMPLETE_PATH = f"{EXPERIMENT_PATH}/complete"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionContext(PageContext):
    """What may follow in a filter.

    Attributes
    ----------
    suggestions
        The likeliest first.
    """

    suggestions: tuple[Suggestion, ...]


def completion(visit: Visit) -> CompletionContext:
    """Suggest what may follow in the filter that is being typed."""
    project, experiment = visit.parameters["project"], visit.parameters["experiment"]
    tables = visit.context.service(RunTables)
    _, _, keys = tables.experiment(project, experiment)

    def values(kind: KeyKind, key: str, beginning: str) -> list[str]:
        return tables.values(project, experiment, kind, key, beginning)

    return CompletionContext(suggestions=tuple(complete(visit.parameters.get("filter", ""), keys, values)))


PAGES = (
    Page(
        path=COMPLETE_PATH,
        needs=READ_RUNS,
        template="noria.tracking/completion.html",
        build=completion,
        query=("filter",),
    ),
)
