"""What searches of runs and experiments promise, over each transport and on each database."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from noria.access.projects import NewProject, Projects
from noria.core.context import Context
from noria.core.database.schema import to_micros
from noria.core.errors import Forbidden, Invalid, NotFound
from noria.core.permissions import Principal, Role
from noria.tracking.entities import Dataset, Lifecycle, LogBatch, NewRun, RunEnd, RunStatus
from noria.tracking.experiment_entities import NewExperiment
from noria.tracking.point_entities import MetricPoint
from noria.tracking.search.entities import ExperimentSearch, NumberedRunSearch, RunSearch
from noria.tracking.search.grammar import FilterInvalid
from noria.tracking.search.operations import LOT
from noria.tracking.search.page_tokens import PageTokenInvalid
from noria.tracking.service import Experiments, Runs
from support.conformance import Services

PROJECT = "default"
START = datetime(2026, 1, 1, tzinfo=UTC)
MEMBER = Principal(name="ana", role=None, project_roles={"open": Role.VIEWER})


@pytest.fixture
def runs(services: Services) -> Runs:
    """Give the service, in a workspace of six runs: r0 to r5, started one after the other."""
    service = services(Runs)
    for at, accuracy in enumerate([0.1, 0.9, math.nan, math.inf, None, 0.5]):
        new = NewRun(
            name=f"r{at}",
            experiment="even" if at % 2 == 0 else "odd",
            started_at=START + timedelta(seconds=at),
            params={"lr": f"0.{at % 3}", "note": "it's"},
            tags={"team": "Vision"} if at < 3 else {},
        )
        made = service.create(PROJECT, new)
        if accuracy is not None:
            point = MetricPoint(key="acc", value=accuracy, at=START)
            service.log(PROJECT, made.id, LogBatch(metrics=[point]))
    return service


def found(runs: Runs, text: str = "", *orders: str, lifecycle: Lifecycle = Lifecycle.ACTIVE) -> str:
    """Give the names of what a search finds, without their first letter."""
    page = runs.search(PROJECT, RunSearch(filter=text, order_by=list(orders), lifecycle=lifecycle))
    assert page.next is None
    return "".join(run.name[1:] for run in page.items)


@pytest.mark.parametrize("value", ["a", "bb", "c", "e", ""])
def test_patterns_see_the_values_of_every_experiment(services: Services, value: str) -> None:
    """Those that the first experiment has are compared once; one before, between or after them is not passed over."""
    runs = services(Runs)
    for at, (experiment, param) in enumerate([("x", "b"), ("x", "d"), ("y", "d"), ("z", "b"), ("z", value)]):
        new = NewRun(name=f"r{at}", experiment=experiment, params={"k": param})
        runs.create(PROJECT, msgspec.structs.replace(new, started_at=START + timedelta(seconds=at)))

    def names(text: str) -> str:
        page = runs.search(PROJECT, RunSearch(filter=text, experiments=["x", "y", "z"]))
        return "".join(run.name[1:] for run in page.items)

    assert names(f"params.k LIKE '_{value[1:]}' and params.k != 'b' and params.k != 'd'") == "4" * bool(value)
    assert names("params.k LIKE '%d%'") == "21"
    assert names("params.k ILIKE '%X%'") == ""
    assert names("params.k LIKE '%%'") == "43210"


def test_everything_is_found_newest_first(runs: Runs) -> None:
    """Without a filter and an order."""
    assert found(runs) == "543210"


def test_filters_choose(runs: Runs) -> None:
    """Metrics, params, tags, attributes, alone and together."""
    assert found(runs, "metrics.acc > 0.4") == "531"
    assert found(runs, "metrics.acc != 0.5") == "3210"
    assert found(runs, "params.lr = '0.1' and metrics.acc > 0") == "1"
    assert found(runs, "params.lr != '0.1' and params.note = 'it''s'") == "5320"
    assert found(runs, "tags.team ILIKE 'vis%'") == "210"
    assert found(runs, "tags.team LIKE 'vis%'") == ""
    assert found(runs, "tags.team IS NULL") == "543"
    assert found(runs, "run_name LIKE 'r_' and tags.`mlflow.runName` != 'r0'") == "54321"
    assert found(runs, f"start_time >= {int((START + timedelta(seconds=4)).timestamp() * 1000)}") == "54"
    assert found(runs, "status = 'FINISHED'") == ""


def test_numbers_then_nan_then_nothing(runs: Runs) -> None:
    """Either way round; runs of one value are newest first."""
    assert found(runs, "", "metrics.acc ASC") == "051324"
    assert found(runs, "", "metrics.acc DESC") == "315024"
    assert found(runs, "", "params.lr DESC", "metrics.acc") == "521403"
    assert found(runs, "", "params.lr", "run_name DESC") == "304152"


def test_pages_join_to_the_whole(runs: Runs) -> None:
    """A token continues where a page ended, also among NaN and runs without a value."""
    order = ["metrics.acc DESC"]
    whole = [run.id for run in runs.search(PROJECT, RunSearch(order_by=order)).items]
    for limit in (1, 2, 5, 6):
        joined: list[str] = []
        after = None
        while True:
            page = runs.search(PROJECT, RunSearch(order_by=order, limit=limit, after=after))
            joined += [run.id for run in page.items]
            after = page.next
            if after is None:
                break
        assert joined == whole


def test_a_token_fits_its_search_only(runs: Runs) -> None:
    """Another filter, order, lifecycle or set of experiments is another search; nonsense is no token."""
    search = RunSearch(order_by=["metrics.acc"], limit=1)
    token = runs.search(PROJECT, search).next
    assert token is not None
    for other in (
        RunSearch(order_by=["metrics.acc DESC"], after=token),
        RunSearch(order_by=["metrics.acc"], filter="metrics.acc > 0", after=token),
        RunSearch(order_by=["metrics.acc"], lifecycle=Lifecycle.ALL, after=token),
        RunSearch(order_by=["metrics.acc"], experiments=["odd"], after=token),
        RunSearch(after="nonsense"),
    ):
        with pytest.raises(PageTokenInvalid, match="Invalid page token"):
            runs.search(PROJECT, other)


def test_a_page_continues_although_runs_came_between(runs: Runs) -> None:
    """What was logged since the page before does not move its end."""
    first = runs.search(PROJECT, RunSearch(order_by=["params.new", "run_name"], limit=3))
    runs.create(PROJECT, NewRun(name="r9", params={"new": "1"}, started_at=START))
    rest = runs.search(PROJECT, RunSearch(order_by=["params.new", "run_name"], limit=9, after=first.next))

    assert [run.name for run in first.items + rest.items] == ["r0", "r1", "r2", "r3", "r4", "r5"]


def test_lifecycles_are_searched_apart(runs: Runs) -> None:
    """Active runs unless deleted ones, or both, are asked for."""
    for run in runs.search(PROJECT, RunSearch(filter="metrics.acc > 0.4")).items:
        runs.delete(PROJECT, run.id)

    assert found(runs) == "420"
    assert found(runs, lifecycle=Lifecycle.DELETED) == "531"
    assert found(runs, "", "metrics.acc DESC", lifecycle=Lifecycle.DELETED) == "315"
    assert found(runs, "metrics.acc > 0.4") == ""
    assert found(runs, "metrics.acc > 0.4 and tags.team IS NULL", lifecycle=Lifecycle.ALL) == "53"


def test_what_changes_is_found_as_it_is(runs: Runs) -> None:
    """A new value of a metric, a changed tag and the end of a run count from then on."""
    run = runs.search(PROJECT, RunSearch(filter="run_name = 'r0'")).items[0]
    point = MetricPoint(key="acc", value=7.0, step=1, at=START)
    runs.log(PROJECT, run.id, LogBatch(metrics=[point], tags={"team": "Sound"}))
    runs.finish(PROJECT, run.id, RunEnd(status=RunStatus.FAILED, ended_at=START + timedelta(hours=1)))

    assert found(runs, "metrics.acc = 7") == "0"
    assert found(runs, "metrics.acc = 0.1") == ""
    assert found(runs, "tags.team = 'Vision'") == "21"
    assert found(runs, "status = 'FAILED' and end_time > 0") == "0"
    assert found(runs, "", "end_time")[0] == "0"


def test_data_sets_and_parents_are_found(runs: Runs) -> None:
    """By name, digest and use of what a run read, and by the run inside which it was started."""
    parent = runs.search(PROJECT, RunSearch(filter="run_name = 'r1'")).items[0]
    child = runs.create(PROJECT, NewRun(name="rc", parent=parent.id))
    sets = [Dataset(name="digits", digest="d1", tags={"mlflow.data.context": "train"})]
    runs.log(PROJECT, child.id, LogBatch(datasets=sets))

    assert found(runs, f"tags.mlflow.parentRunId = '{parent.id}'") == "c"
    assert found(runs, "tags.`mlflow.parentRunId` IS NULL") == "543210"
    assert found(runs, "datasets.name = 'digits' and dataset.digest IN ('d1', 'd2')") == "c"
    assert found(runs, "datasets.context LIKE 'tr%' and datasets.name != 'x'") == "c"
    assert found(runs, "datasets.context = 'test'") == ""


def test_values_are_never_part_of_the_statement(runs: Runs) -> None:
    """Whatever stands in quotes is compared, and nothing else happens."""
    for text in (
        "params.note = '''; drop table runs; --'",
        "tags.`x'; delete from runs; --` = 'a'",
        "run_name LIKE '%'' or 1=1 --'",
        "run_id IN ('x'') or (1=1', 'y')",
        'params.note = "%s ? :x $1 {}"',
    ):
        assert found(runs, text) == ""
    assert found(runs) == "543210"


def test_what_cannot_be_read_is_refused(runs: Runs) -> None:
    """Filters, orders, experiments and limits that make no sense."""
    with pytest.raises(FilterInvalid, match="Invalid comparator"):
        found(runs, "params.lr > '0'")
    with pytest.raises(FilterInvalid, match="Invalid ordering key"):
        found(runs, "", "metrics.acc UP")
    with pytest.raises(NotFound, match="evn"):
        runs.search(PROJECT, RunSearch(experiments=["evn"]))
    for limit in (0, 50_001):
        with pytest.raises(Invalid, match=str(limit)):
            runs.search(PROJECT, RunSearch(limit=limit))


def test_experiments_can_be_chosen(runs: Runs) -> None:
    """By name in one project, by number in all; none at all holds nothing."""

    def names(experiments: list[str]) -> str:
        page = runs.search(PROJECT, RunSearch(experiments=experiments))
        return "".join(run.name[1:] for run in page.items)

    assert names(["odd"]) == "531"
    assert names(["odd", "even", "odd"]) == "543210"
    assert names([]) == ""
    assert runs.search_numbers(NumberedRunSearch(numbers=[])).items == []
    assert runs.search_numbers(NumberedRunSearch(numbers=[99])).items == []


def test_a_page_of_many_lots_is_whole_and_in_order(services: Services, context: Context) -> None:
    """Runs are read some hundred at a time, which shows nowhere; each has the metrics that it had."""
    number = services(Experiments).create(PROJECT, NewExperiment(name="many")).number
    for at in range(LOT + 7):
        made = context.service(Runs).create(PROJECT, NewRun(name=f"r{at}", experiment="many"))
        points = [MetricPoint(key="m", value=float(at), at=START, step=at)]
        context.service(Runs).log(PROJECT, made.id, LogBatch(metrics=points))
    search = NumberedRunSearch(numbers=[number], order_by=["metrics.m"], limit=LOT + 5)
    page = services(Runs).search_numbers(search)
    rest = services(Runs).search_numbers(msgspec.structs.replace(search, after=page.next))
    rows = [*page.items, *rest.items]

    assert [row.name for row in rows] == [f"r{at}" for at in range(LOT + 7)]
    kept = [(["m"], [float(at)], [at], [to_micros(START)]) for at in range(LOT + 7)]
    assert [tuple(map(list, row.metrics)) for row in rows] == kept
    assert rest.next is None


def test_metrics_go_with_their_keys_in_whatever_order_they_came(services: Services) -> None:
    """A database may give the rows of a run in any order; one that was changed later often comes last."""
    runs = services(Runs)
    made = runs.create(PROJECT, NewRun(experiment="orders"))
    for step, values in enumerate(({"b": 1.0, "a": math.nan, "c": 3.0}, {"b": math.nan, "a": 0.1 + 0.2})):
        points = [MetricPoint(key=key, value=value, at=START, step=step) for key, value in values.items()]
        runs.log(PROJECT, made.id, LogBatch(metrics=points))
    other = runs.create(PROJECT, NewRun(experiment="orders"))
    runs.log(PROJECT, other.id, LogBatch(metrics=[MetricPoint(key="c", value=math.inf, at=START)]))
    page = runs.search(PROJECT, RunSearch(experiments=["orders"]))

    assert [str(run.metrics) for run in page.items] == [
        str({"c": math.inf}),
        str({"a": 0.1 + 0.2, "b": math.nan, "c": 3.0}),
    ]


def test_only_what_may_be_read_is_found(services: Services, context: Context) -> None:
    """Numbers of experiments of other projects hold nothing, and their experiments are not there."""
    projects, runs, experiments = services(Projects), services(Runs), services(Experiments)
    for project in ("open", "closed"):
        projects.create(NewProject(name=project))
        runs.create(project, NewRun(experiment="e", name=f"of {project}"))
    numbers = [experiments.get(project, "e").number for project in ("open", "closed")]
    search = NumberedRunSearch(numbers=numbers, order_by=["run_name"])
    member = context.acting_as(MEMBER)

    assert [row.name for row in runs.search_numbers(search).items] == ["of closed", "of open"]
    assert [row.name for row in member.guarded(Runs).search_numbers(search).items] == ["of open"]
    everywhere = ExperimentSearch(home="default")
    assert [one.project for one in member.guarded(Experiments).search(everywhere).items] == ["open"]
    with pytest.raises(Forbidden):
        member.guarded(Runs).search("closed", RunSearch())


def test_experiments_are_searched(services: Services) -> None:
    """By name, number, times and tags; newest first, then by number, unless asked otherwise."""
    experiments = services(Experiments)
    for at, name in enumerate(["b", "a", "B"]):
        tags = {"team": "x"} if at else {}
        new = NewExperiment(name=name, tags=tags, created_at=START + timedelta(seconds=at))
        experiments.create(PROJECT, new)

    def names(text: str, *orders: str) -> str:
        page = experiments.search(ExperimentSearch(filter=text, order_by=list(orders)))
        return "".join(one.name for one in page.items if one.name != "Default")

    assert names("") == "Bab"
    assert names("name ILIKE 'b'") == "Bb"
    assert names("tags.team IS NULL") == "b"
    assert names("", "name ASC") == "Bab"
    assert names("", "name DESC") == "baB"
    assert names("experiment_id = '1'") == "b"
    page = experiments.search(ExperimentSearch(limit=2))
    rest = experiments.search(ExperimentSearch(limit=9, after=page.next))
    assert len(page.items) == 2
    assert {one.name for one in page.items} | {one.name for one in rest.items} == {"a", "b", "B", "Default"}
