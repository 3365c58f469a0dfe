"""`noria runs compare` and `noria runs export`: what is done with runs that a filter or their ids choose."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import print_json, say, show, table
from noria.core.console.progress import track
from noria.core.errors import Invalid

if TYPE_CHECKING:
    from noria.core.workspace import Workspace
    from noria.tracking.entities import Run, RunComparison
    from noria.tracking.point_entities import MetricPoint
    from noria.tracking.replicates import ReplicateComparison, Replicates

_PAGE = 1_000
_MAX_GROUPED = 5_000
_POINTS_PAGE = 10_000
_DRAWN_POINTS = 1_000

IdsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[ID…]", help="Ids of the runs.", show_default=False)
]
ExperimentOption = Annotated[
    str | None, typer.Option("--experiment", "-e", help="Runs of this experiment.", show_default=False)
]
FilterOption = Annotated[
    str | None,
    typer.Option(
        "--filter", "-f", help="Runs that it matches, such as `params.lr = '0.1'`.", show_default=False
    ),
]


def compare_runs(
    ids: IdsArgument = None,
    experiment: ExperimentOption = None,
    filter_: FilterOption = None,
    metric: Annotated[
        str | None,
        typer.Option(
            "--metric",
            "-m",
            help="Group the runs by their params, seeds left out, and compare this metric by intervals.",
            show_default=False,
        ),
    ] = None,
    seed_param: Annotated[
        list[str] | None,
        typer.Option("--seed-param", help="Param by which repeated runs differ.", show_default="seed, …"),
    ] = None,
    alpha: Annotated[float, typer.Option("--alpha", help="Chance that an interval misses.")] = 0.05,
    curves: Annotated[bool, typer.Option("--curves", help="Draw the course of each metric, too.")] = False,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Put runs side by side: only what differs, or, with --metric, settings by intervals over their seeds."""
    from noria.tracking.comparison import differences

    with opened(workspace, project) as ws:
        runs = [run for page in chosen(ws, ids, experiment, filter_, at_most=_MAX_GROUPED) for run in page]
        if len(runs) < 2:
            raise Invalid(f"{len(runs)} runs were chosen to compare", hint="Give ids, or `--experiment NAME`")
        if metric is not None:
            _show_replicates(runs, metric, seed_param or [], alpha, json=json)
            return
        compared = differences(runs)
        courses = _courses(ws, compared) if curves and not json else {}
    show(compared, json=json, render=lambda found: comparison_table(found, courses))


def export_runs(
    to: Annotated[
        Path, typer.Option("--to", help="File to write: `.csv`, `.parquet` or `.json`.", show_default=False)
    ],
    ids: IdsArgument = None,
    experiment: ExperimentOption = None,
    filter_: FilterOption = None,
    history: Annotated[
        list[str] | None,
        typer.Option("--history", help="Write all points of this metric, one a row.", show_default=False),
    ] = None,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Write runs to a table: a row a run, or, with --history, a row a point."""
    from noria.tracking.export import check_target, write_points, write_runs

    check_target(to)
    with opened(workspace, project) as ws:
        pages = track(chosen(ws, ids, experiment, filter_), "thousands of runs")
        n_rows = write_points(_points(ws, pages, history), to) if history else write_runs(pages, to)
    if json:
        print_json({"file": str(to), "rows": n_rows})
    else:
        say(f"{n_rows} rows in {to}")


def chosen(
    workspace: Workspace,
    ids: list[str] | None,
    experiment: str | None,
    filter_: str | None,
    *,
    at_most: int | None = None,
) -> Iterator[list[Run]]:
    """Give the runs of these ids, or those that the filter matches, newest first, page by page.

    Raises
    ------
    Invalid
        If there are both ids and a filter, or more runs than `at_most`.
    """
    from noria.tracking.search.entities import RunSearch
    from noria.tracking.service import Runs

    service = workspace.service(Runs)
    if ids:
        if experiment is not None or filter_ is not None:
            raise Invalid("Runs are chosen by id and by filter at once", hint="Leave one of them out")
        yield [service.get(workspace.project, run_id) for run_id in dict.fromkeys(ids)]
        return
    after, n_found = None, 0
    while True:
        search = RunSearch(
            filter=filter_ or "",
            experiments=None if experiment is None else [experiment],
            limit=_PAGE,
            after=after,
        )
        page = service.search(workspace.project, search)
        n_found += len(page.items)
        if at_most is not None and n_found > at_most:
            raise Invalid(f"More than {at_most} runs match", hint="Narrow them down with `--filter`")
        yield page.items
        if page.next is None:
            return
        after = page.next


def comparison_table(compared: RunComparison, courses: dict[tuple[str, str], str] | None = None) -> Any:
    """Lay out a comparison: one column a run, one line for each param and metric that differs."""
    drawn = courses or {}
    headings = ["", *(f"{run.name} ({run.id[-6:]})" for run in compared.runs)]
    rows: list[list[object]] = [["status", *(run.status for run in compared.runs)]]
    rows += [[f"param {key}", *(run.params.get(key) for run in compared.runs)] for key in compared.params]
    for key in compared.metrics:
        rows.append([f"metric {key}", *(run.metrics.get(key) for run in compared.runs)])
        if drawn:
            rows.append(["", *(drawn.get((run.id, key), "") for run in compared.runs)])
    return table(headings, rows)


def replicates_table(found: ReplicateComparison) -> Any:
    """Lay out the groups with their intervals drawn on one scale, and the pairs below."""
    from rich.console import Group

    share = f"{100 * (1 - found.alpha):g} %"
    low = min(min(group.values) if group.lower is None else group.lower for group in found.groups)
    high = max(max(group.values) if group.upper is None else group.upper for group in found.groups)
    rows = [
        (group.label, len(group.values), group.mean, group.lower, group.upper, _bar(group, low, high))
        for group in found.groups
    ]
    shown = [table([found.metric, "runs", "mean", f"{share} from", "to", ""], rows)]
    if found.pairs:
        pairs = [
            (
                f"{p.first} − {p.second}",
                p.difference,
                p.lower,
                p.upper,
                p.p_adjusted,
                f"{p.method}, n = {p.n}",
            )
            for p in found.pairs
        ]
        shown.append(table(["difference", "mean", f"{share} from", "to", "p (Holm)", "test"], pairs))
    if found.n_left_out:
        shown.append(f"{found.n_left_out} runs have not finished with a finite `{found.metric}`.")
    return Group(*shown)


def _show_replicates(runs: list[Run], metric: str, seeds: list[str], alpha: float, *, json: bool) -> None:
    from noria.tracking.replicates import compare_replicates

    found = compare_replicates(runs, metric, seed_params=seeds, alpha=alpha)
    show(found, json=json, render=replicates_table)


_BAR_CHARS = 30


def _bar(group: Replicates, low: float, high: float) -> str:
    """Draw an interval between the least and the greatest of all: `   ├──●──┤  `."""
    width = high - low

    def place(value: float) -> int:
        return 0 if width <= 0 else round((value - low) / width * (_BAR_CHARS - 1))

    drawn = [" "] * _BAR_CHARS
    if group.lower is not None and group.upper is not None:
        first, last = place(group.lower), place(group.upper)
        drawn[first : last + 1] = "─" * (last - first + 1)
        drawn[first], drawn[last] = "├", "┤"
    drawn[place(group.mean)] = "●"
    return "".join(drawn)


def _courses(workspace: Workspace, compared: RunComparison) -> dict[tuple[str, str], str]:
    from noria.tracking.service import Runs
    from noria.tracking.sparkline import sparkline

    service = workspace.service(Runs)
    found = {}
    for run in compared.runs:
        for key in (key for key in compared.metrics if key in run.metrics):
            points = service.history(run.project, run.id, key, limit=_DRAWN_POINTS).items
            found[run.id, key] = sparkline([point.value for point in points])
    return found


def _points(
    workspace: Workspace, pages: Iterator[list[Run]], keys: list[str]
) -> Iterator[tuple[str, list[MetricPoint]]]:
    from noria.tracking.service import Runs

    service = workspace.service(Runs)
    for run in (run for page in pages for run in page):
        for key in (key for key in dict.fromkeys(keys) if key in run.metrics):
            after = None
            while True:
                page = service.history(run.project, run.id, key, limit=_POINTS_PAGE, after=after)
                yield run.id, page.items
                if page.next is None:
                    break
                after = page.next
