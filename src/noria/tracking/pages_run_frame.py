"""What all pages of a run have in common: its head, its tabs, and the way there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from noria.core.errors import NotFound
from noria.core.ids import is_id
from noria.core.web.languages import mark, translations
from noria.core.web.pages import Crumb, PageContext, Visit
from noria.core.web.parts import Tab
from noria.core.web.urls import RUN_PATH
from noria.tracking.entities import Run
from noria.tracking.permissions import WRITE_RUNS
from noria.tracking.run_keys import RunNotFound
from noria.tracking.run_signs import SIGNS, Sign
from noria.tracking.service import Runs
from noria.tracking.system_metrics import PREFIX
from noria.tracking.traces.permissions import READ_TRACES

NOTE_TAG = "mlflow.note.content"
"""The description, where MLflow's clients write it too."""
_PROGRAM_TAGS = ("mlflow.", "noria.")
MAX_TAGS = 5_000
"""Tags that a page shows."""
ERROR_TAG = "noria.error"

_PARTS = (
    ("", mark("Overview")),
    ("metrics", mark("Metrics")),
    ("artifacts", mark("Artifacts")),
    ("code", mark("Code")),
    ("environment", mark("Environment")),
    ("system", mark("System")),
    ("console", mark("Console")),
    ("traces", mark("Traces")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHead:
    """A run as the head of its pages shows it.

    Attributes
    ----------
    state
        Its status.
    duration_s
        Until its end, or until now; None for one that ended at an unknown time.
    error
        Why it failed; empty when nobody said.
    may_change
        Whether the reader may change it.
    is_running
        Whether it goes on.
    """

    id: str
    project: str
    experiment: str
    name: str
    state: Sign
    started_at: datetime
    ended_at: datetime | None
    duration_s: float | None
    author: str
    error: str
    deleted_at: datetime | None
    may_change: bool
    is_running: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext(PageContext):
    """What every page of a run shows.

    Attributes
    ----------
    head
        Name, status, times.
    tabs
        The other pages of the run.
    now
        When this was read.
    """

    head: RunHead
    tabs: tuple[Tab, ...]
    now: datetime


def run_path(part: str) -> str:
    """Give the path of a part of a run, with `{name}` for its parameters."""
    return f"{RUN_PATH}/{part}" if part else RUN_PATH


def read_run(visit: Visit) -> Run:
    """Read the run that the address names.

    Raises
    ------
    NotFound
        If the project has none of this id; the hint names the project that has it, if the reader may see it.
    """
    project, run_id = visit.parameters["project"], visit.parameters["run_id"]
    try:
        return visit.context.service(Runs).get(project, run_id)
    except RunNotFound as error:
        if is_id(run_id):
            raise _elsewhere(visit, run_id, error) from error
        raise


def _elsewhere(visit: Visit, run_id: str, error: RunNotFound) -> NotFound:
    try:
        place = visit.context.service(Runs).locate(run_id)
    except NotFound:
        return error
    error.hint = f"It is in the project `{place.project}`: {visit.urls.run(place.project, run_id)}"
    return error


def run_frame(visit: Visit, run: Run, part: str) -> dict[str, Any]:
    """Give the fields of `RunContext` for a part of a run."""
    now = visit.context.clock.now()
    return {
        "head": run_head(visit, run, now),
        "tabs": _tabs(visit, run, part),
        "now": now,
        "live": not run.status.ended and run.deleted_at is None,
        "trail": _trail(visit, run, part),
    }


def run_head(visit: Visit, run: Run, now: datetime) -> RunHead:
    """Give the head of a run's pages."""
    end = run.ended_at or (None if run.status.ended else now)
    return RunHead(
        id=run.id,
        project=run.project,
        experiment=run.experiment,
        name=run.name,
        state=SIGNS[run.status],
        started_at=run.started_at,
        ended_at=run.ended_at,
        duration_s=None if end is None else max(0.0, (end - run.started_at).total_seconds()),
        author=run.author,
        error=run.tags.get(ERROR_TAG, ""),
        deleted_at=run.deleted_at,
        may_change=visit.context.principal.may(WRITE_RUNS, run.project),
        is_running=not run.status.ended,
    )


def own_words(visit: Visit, text: str) -> str:
    """Translate a text of ours that a chart shows."""
    return translations(visit.language).gettext(text)


def own_tags(run: Run) -> tuple[tuple[str, str], ...]:
    """Give what people and their programs noted, the first of it; what Noria and MLflow noted stands elsewhere."""
    noted = [(key, value) for key, value in run.tags.items() if key not in (NOTE_TAG, ERROR_TAG)]
    return tuple(pair for pair in noted if not pair[0].startswith(_PROGRAM_TAGS))[:MAX_TAGS]


def is_system(key: str) -> bool:
    """Tell whether a metric is of the machine, not of the run's work."""
    return key.startswith(PREFIX)


def _tabs(visit: Visit, run: Run, part: str) -> tuple[Tab, ...]:
    n_metrics = sum(not is_system(key) for key in run.metrics)
    counts = {"metrics": n_metrics}
    sees_traces = visit.context.principal.may(READ_TRACES, run.project)
    return tuple(
        Tab(
            words=words,
            url=visit.urls.run(run.project, run.id, each),
            is_current=each == part,
            count=counts.get(each),
        )
        for each, words in _PARTS
        if each != "traces" or sees_traces
    )


def _trail(visit: Visit, run: Run, part: str) -> tuple[Crumb, ...]:
    urls, project = visit.urls, run.project
    words = dict(_PARTS)[part]
    return (
        Crumb(text=mark("Experiments"), url=urls.experiments(project), is_ours=True),
        Crumb(text=run.experiment, url=urls.experiment(project, run.experiment)),
        Crumb(text=run.name, url=urls.run(project, run.id) if part else None),
        *([Crumb(text=words, is_ours=True)] if part else []),
    )
