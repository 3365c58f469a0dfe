"""`noria runs search`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, LimitOption, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import say, show, table
from noria.tracking.entities import Lifecycle

if TYPE_CHECKING:
    from noria.tracking.entities import RunPage

_MOST_COLUMNS = 6


def search_runs(
    text: Annotated[
        str, typer.Argument(metavar="[FILTER]", help="Such as `metrics.acc > 0.9 and params.lr = '0.1'`.")
    ] = "",
    order_by: Annotated[
        list[str] | None,
        typer.Option(
            "--order-by",
            "-o",
            help="Such as `metrics.acc DESC`; may be repeated.",
            show_default="newest first",
        ),
    ] = None,
    experiment: Annotated[
        list[str] | None,
        typer.Option(
            "--experiment", "-e", help="Only of this experiment; may be repeated.", show_default="all"
        ),
    ] = None,
    lifecycle: Annotated[
        Lifecycle, typer.Option("--lifecycle", help="Active runs, deleted ones, or both.")
    ] = Lifecycle.ACTIVE,
    limit: LimitOption = 20,
    after: Annotated[
        str | None, typer.Option("--after", help="Token of the page before.", show_default=False)
    ] = None,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Find runs by what they logged, in any order; the filter is MLflow's."""
    from noria.tracking.search.entities import RunSearch
    from noria.tracking.search.fields import RUNS
    from noria.tracking.service import Runs

    orders = order_by or []
    search = RunSearch(
        filter=text, order_by=orders, lifecycle=lifecycle, experiments=experiment, limit=limit, after=after
    )
    keys = [(one.entity, one.key) for one in RUNS.parse_filter(text)]
    keys += [(one.entity, one.key) for one in RUNS.parse_orders(orders)]
    with opened(workspace, project) as ws:
        page = ws.service(Runs).search(ws.project, search)
    show(page, json=json, render=lambda found: found_table(found, list(dict.fromkeys(keys))))
    if page.next and not json:
        say(f"There are more: repeat with `--after {page.next}`")


def found_table(page: RunPage, keys: list[tuple[str, str]]) -> Any:
    """Lay out runs with what the search named of them: metrics, params and tags, a column each."""
    kinds = {"metric": "metrics", "parameter": "params", "tag": "tags"}
    shown = [(kinds[entity], key) for entity, key in keys if entity in kinds][:_MOST_COLUMNS]
    rows: list[list[object]] = [
        [run.id, run.name, run.experiment, run.status, run.started_at]
        + [getattr(run, kind).get(key) for kind, key in shown]
        for run in page.items
    ]
    return table(["id", "name", "experiment", "status", "started", *(key for _, key in shown)], rows)
