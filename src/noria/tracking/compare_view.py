"""How runs are compared, as the address says it, and in which order they stand. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from noria.core.errors import Invalid
from noria.core.web.formats import clipped
from noria.core.web.pages import Visit
from noria.core.web.urls import Urls
from noria.tracking.comparison import differing_keys
from noria.tracking.entities import Run
from noria.tracking.table_view import AUTHOR, DURATION, ROWS, STARTED, STATUS

MAX_RUNS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareView:
    """What the address says.

    Attributes
    ----------
    runs
        Ids; empty where an experiment and a filter choose.
    all
        Whether what the runs share is shown, too.
    metrics
        Whose curves are drawn; None for some to begin with.
    score
        The metric by which settings are compared, and lines coloured; empty for the first.
    sort
        Key of a column, with `-` before it for descending.
    after
        Id of the run behind which this page of the table begins; empty for its beginning.
    """

    project: str
    runs: tuple[str, ...] = ()
    experiment: str = ""
    filter: str = ""
    all: bool = False
    metrics: tuple[str, ...] | None = None
    score: str = ""
    sort: str = ""
    after: str = ""

    def pairs(self, **changes: Any) -> list[tuple[str, str]]:
        """Give what the address holds with some changes, one pair a value; unless they say so, from the first page."""
        given = {
            "runs": self.runs,
            "experiment": self.experiment,
            "filter": self.filter,
            "show": "all" if self.all else "",
            "metric": self.metrics or (),
            "score": self.score,
            "sort": self.sort,
            **changes,
        }
        return [
            (name, each)
            for name, value in given.items()
            for each in ((value,) if isinstance(value, str) else value)
            if each
        ]

    def url(self, urls: Urls, **changes: Any) -> str:
        """Give the address of this view with some changes."""
        lists: dict[str, list[str]] = {}
        for name, value in self.pairs(**changes):
            lists.setdefault(name, []).append(value)
        return urls.compare(self.project, **lists)


def read_compare(visit: Visit) -> CompareView:
    """Read the comparison that an address asks for."""
    given, lists = visit.parameters, visit.lists
    runs = tuple(dict.fromkeys(lists.get("runs", ())))
    if len(runs) > MAX_RUNS:
        raise Invalid(f"{len(runs)} runs were given to compare", hint=f"Choose at most {MAX_RUNS}")
    experiment = given.get("experiment", "")
    if bool(runs) == bool(experiment):
        raise Invalid(
            "A comparison needs runs, or an experiment",
            hint="Tick runs in the table of an experiment and press Compare",
        )
    return CompareView(
        project=given["project"],
        runs=runs,
        experiment=experiment,
        filter=given.get("filter", ""),
        all=given.get("show") == "all",
        metrics=tuple(dict.fromkeys(lists["metric"])) if "metric" in lists else None,
        score=given.get("score", ""),
        sort=given.get("sort", ""),
        after=given.get("after", ""),
    )


def in_order_of(runs: list[Run], sort: str) -> list[Run]:
    """Sort runs by a column; those without a value come last."""
    if not sort:
        return runs
    key = sort.removeprefix("-")
    having = [(value, run) for run in runs if (value := _sort_value(run, key)) is not None]
    lacking = [run for run in runs if _sort_value(run, key) is None]
    having.sort(key=lambda pair: pair[0], reverse=sort.startswith("-"))
    return [*(run for _, run in having), *lacking]


def page_of(runs: Sequence[Run], after: str) -> tuple[int, int]:
    """Give where a page of the table begins and ends; at the beginning where its run is not compared any more."""
    begin = next((at + 1 for at, run in enumerate(runs) if run.id == after), 0)
    return begin, min(begin + ROWS, len(runs))


def _sort_value(run: Run, key: str) -> tuple[bool, float, str] | None:
    """Give what a column is sorted by: numbers, also those in params, before texts."""
    kind, _, name = key.partition(".")
    if kind == "metrics":
        value: object = run.metrics.get(name)
    elif kind == "params":
        value = run.params.get(name)
    else:
        value = {
            "name": run.name,
            STATUS: run.status.value,
            STARTED: run.started_at.timestamp(),
            DURATION: duration_s(run),
            AUTHOR: run.author,
        }.get(key)
    if value is None:
        return None
    number = as_number(value)
    if number is None:
        return True, 0.0, str(value)
    return None if math.isnan(number) else (False, number, "")


def as_number(value: object) -> float | None:
    """Give a number, also one that is written as text; None for other texts."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None


def duration_s(run: Run) -> float | None:
    """Give how long a run took; None before its end."""
    return None if run.ended_at is None else (run.ended_at - run.started_at).total_seconds()


def shown_keys(runs: Sequence[Run], view: CompareView) -> tuple[list[str], list[str]]:
    """Give the params and the metrics that are shown: all, or those that differ."""
    if view.all or len(runs) < 2:
        return sorted({key for run in runs for key in run.params}), sorted(
            {key for run in runs for key in run.metrics}
        )
    return differing_keys([run.params for run in runs]), differing_keys([run.metrics for run in runs])


def labels_of(runs: Sequence[Run]) -> dict[str, str]:
    """Name runs, by id; those of one name are told apart."""
    times = Counter(run.name for run in runs)
    return {
        run.id: clipped(run.name, 60) if times[run.name] == 1 else f"{clipped(run.name, 50)} ({run.id[-6:]})"
        for run in runs
    }
