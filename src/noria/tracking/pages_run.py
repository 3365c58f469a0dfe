"""The page of a run: what it is, what it was told, what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from noria.access.page_comments import discussion
from noria.core.web.discussions import EARLIER
from noria.core.web.languages import mark
from noria.core.web.pages import Page, Visit
from noria.core.web.revisions import text_revision
from noria.tracking import (
    pages_run_actions,
    pages_run_console,
    pages_run_files,
    pages_run_metrics,
    pages_run_source,
    pages_run_traces,
)
from noria.tracking.entities import Dataset, Link, Run, RunSource
from noria.tracking.pages_run_frame import (
    ERROR_TAG,
    NOTE_TAG,
    RunContext,
    is_system,
    own_tags,
    read_run,
    run_frame,
    run_path,
)
from noria.tracking.permissions import READ_RUNS
from noria.tracking.point_entities import MetricPoint
from noria.tracking.run_signs import SIGNS, Sign
from noria.tracking.run_views import Range, Relative, RunViews
from noria.tracking.service import Runs

MAX_SHOWN = 100
"""Metrics, params and tags that are shown at first."""
MAX_ALL = 5_000
_CHILDREN = 10
_CONTEXT_TAG = "mlflow.data.context"
_SHORT_DIGEST = 12

LINK_WORDS = {
    "dataset": mark("data set"),
    "model": mark("model"),
    "logged-model": mark("logged model"),
    "object": mark("object"),
    "run": mark("run"),
}
"""Kinds of references, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRow:
    """The latest value of a metric, and between what its values lie.

    Attributes
    ----------
    least, greatest
        None where nobody looked through all points.
    """

    key: str
    value: float
    step: int
    least: float | None
    greatest: float | None
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRow:
    """Something that a run read or made.

    Attributes
    ----------
    words
        What kind of thing; empty for a kind of a user's.
    url
        Its page; None when it has none.
    """

    ref: str
    text: str
    words: str
    url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRow:
    """Data that a program said it read.

    Attributes
    ----------
    purpose
        What for: `training`; empty when it did not say.
    source_type
        Where it came from, in a word.
    schema
        As the program described it; a JSON text.
    """

    name: str
    digest: str
    purpose: str
    source_type: str
    schema: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RelativeRow:
    """A run inside which this one was started, or that was started inside it."""

    name: str
    state: Sign
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPageContext(RunContext):
    """What the page of a run shows.

    Attributes
    ----------
    note, note_revision
        The description in Markdown, and what tells it apart from others.
    metrics, n_metrics
        Latest values of what the run logged, and how many there are.
    has_ranges
        Whether least and greatest values are known.
    params, n_params
        What it was told, and how many there are.
    tags
        What people and their programs noted.
    program_tags
        What Noria and MLflow noted.
    inputs, outputs
        What it read and made.
    datasets
        Data as its program described it.
    parent
        The run inside which it was started.
    children
        The newest runs that were started inside it.
    has_more_children
        Whether there are more.
    source
        What was run.
    all_url
        Shows everything where something was left out.
    """

    note: str
    note_revision: str
    metrics: tuple[MetricRow, ...]
    n_metrics: int
    has_ranges: bool
    params: tuple[tuple[str, str], ...]
    n_params: int
    tags: tuple[tuple[str, str], ...]
    program_tags: tuple[tuple[str, str], ...]
    inputs: tuple[LinkRow, ...]
    outputs: tuple[LinkRow, ...]
    datasets: tuple[DatasetRow, ...]
    parent: RelativeRow | None
    children: tuple[RelativeRow, ...]
    has_more_children: bool
    source: RunSource | None
    all_url: str | None


def overview(visit: Visit) -> RunPageContext:
    """Gather the page of a run."""
    run = read_run(visit)
    views = visit.context.service(RunViews)
    wants_all = visit.parameters.get("show") == "all"
    n_shown = MAX_ALL if wants_all else MAX_SHOWN
    points = [each for each in _latest(visit, run) if not is_system(each.key)]
    ranges = views.ranges(run.project, run.id) if points else {}
    note = run.tags.get(NOTE_TAG, "")
    children = views.children(run.project, run.id, _CHILDREN + 1)
    is_cut = max(len(points), len(run.params)) > n_shown
    return RunPageContext(
        **run_frame(visit, run, ""),
        **_tags(run),
        comments=discussion(visit, run.project, f"run:{run.id}", run.id),
        note=note,
        note_revision=text_revision(note),
        metrics=tuple(_metric_row(visit, run, each, ranges or {}) for each in points[:n_shown]),
        n_metrics=len(points),
        has_ranges=ranges is not None,
        params=tuple(run.params.items())[:n_shown],
        n_params=len(run.params),
        inputs=tuple(link_row(visit, run.project, each) for each in run.inputs),
        outputs=tuple(link_row(visit, run.project, each) for each in run.outputs),
        datasets=tuple(_dataset_row(each) for each in run.datasets),
        parent=_parent(visit, run, views),
        children=tuple(_relative(visit, run.project, each) for each in children[:_CHILDREN]),
        has_more_children=len(children) > _CHILDREN,
        source=run.source,
        all_url=visit.urls.run(run.project, run.id, show="all") if is_cut and not wants_all else None,
    )


def _latest(visit: Visit, run: Run) -> list[MetricPoint]:
    return visit.context.service(Runs).metrics(run.project, run.id).items if run.metrics else []


def _metric_row(visit: Visit, run: Run, point: MetricPoint, ranges: dict[str, Range]) -> MetricRow:
    found = ranges.get(point.key)
    least, greatest = (found.least, found.greatest) if found else (None, None)
    return MetricRow(
        key=point.key,
        value=point.value,
        step=point.step,
        least=least,
        greatest=greatest,
        url=visit.urls.run(run.project, run.id, "metrics", key=point.key),
    )


def _tags(run: Run) -> dict[str, Any]:
    own = own_tags(run)
    elsewhere = {*dict(own), NOTE_TAG, ERROR_TAG}
    others = [pair for pair in run.tags.items() if pair[0] not in elsewhere]
    return {"tags": own, "program_tags": tuple(others)[:MAX_ALL]}


def link_row(visit: Visit, project: str, link: Link) -> LinkRow:
    """Give a reference with the page that it means."""
    kind, _, rest = link.ref.partition(":")
    return LinkRow(
        ref=link.ref, text=rest, words=LINK_WORDS.get(kind, ""), url=_url_of(visit, project, kind, rest)
    )


def _url_of(visit: Visit, project: str, kind: str, rest: str) -> str | None:
    if kind == "run":
        return visit.urls.run(project, rest)
    name, _, version = rest.rpartition("@")
    if not name or not version.isdecimal() or len(version) > 9:
        return None
    if kind == "dataset":
        return visit.urls.dataset_version(project, name, int(version))
    return visit.urls.version(project, name, int(version)) if kind == "model" else None


def _dataset_row(dataset: Dataset) -> DatasetRow:
    return DatasetRow(
        name=dataset.name,
        digest=dataset.digest[:_SHORT_DIGEST],
        purpose=dataset.tags.get(_CONTEXT_TAG, ""),
        source_type=dataset.source_type,
        schema=(dataset.schema or "")[:10_000],
    )


def _parent(visit: Visit, run: Run, views: RunViews) -> RelativeRow | None:
    found = views.parent(run.project, run.id) if run.parent else None
    return _relative(visit, run.project, found) if found else None


def _relative(visit: Visit, project: str, relative: Relative) -> RelativeRow:
    return RelativeRow(
        name=relative.name,
        state=SIGNS[relative.status],
        url=visit.urls.run(project, relative.id),
    )


PAGES = (
    Page(
        path=run_path(""),
        needs=READ_RUNS,
        template="noria.tracking/run.html",
        build=overview,
        query=("show", EARLIER),
    ),
    *pages_run_metrics.PAGES,
    *pages_run_files.PAGES,
    *pages_run_source.PAGES,
    *pages_run_console.PAGES,
    *pages_run_traces.PAGES,
)
ACTIONS = pages_run_actions.ACTIONS
