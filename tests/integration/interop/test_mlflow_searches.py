"""Searches of runs and experiments on MLflow's wire."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from noria.access.projects import NewProject, Projects
from noria.core.context import Context
from noria.core.permissions import Principal, Role
from noria.tracking.entities import LogBatch, NewRun
from noria.tracking.experiment_entities import NewExperiment
from noria.tracking.point_entities import MetricPoint
from noria.tracking.service import Experiments, Runs
from support.live_server import LiveServer

API = "/api/2.0/mlflow"
AT = datetime(2026, 1, 2, tzinfo=UTC)
AT_MS = int(AT.timestamp() * 1000)


def ask(http: httpx.Client, path: str, token: str | None = None, **sent: Any) -> dict[str, Any]:
    """Post a search and give the answer."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    answer = http.post(f"{API}/{path}", json=sent, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def refused(http: httpx.Client, path: str, **sent: Any) -> tuple[int, str, str]:
    """Post a search that is refused, and give status, code and message."""
    answer = http.post(f"{API}/{path}", json=sent)
    return answer.status_code, answer.json()["error_code"], answer.json()["message"]


def names(found: dict[str, Any]) -> list[str]:
    """Give the names of runs or experiments that were found."""
    if "experiments" in found:
        return [each["name"] for each in found["experiments"]]
    return [each["info"]["run_name"] for each in found.get("runs", [])]


@pytest.fixture
def runs(http: httpx.Client) -> dict[str, str]:
    """Start runs `r0` to `r4`, each a second after the one before, the last of them deleted, and give their ids."""
    made = {}
    for at in range(5):
        sent: dict[str, Any] = {"experiment_id": "0", "run_name": f"r{at}", "start_time": AT_MS + 1000 * at}
        run_id = ask(http, "runs/create", **sent)["run"]["info"]["run_id"]
        metrics = [{"key": "acc", "value": at / 10, "timestamp": 1, "step": 0}]
        params = [{"key": "lr", "value": str(at % 2)}]
        ask(http, "runs/log-batch", run_id=run_id, metrics=metrics, params=params)
        made[f"r{at}"] = run_id
    ask(http, "runs/delete", run_id=made["r4"])
    return made


class TestRuns:
    """Runs of experiments by filter, in an order, page by page."""

    def test_the_newest_come_first(self, http: httpx.Client, runs: dict[str, str]) -> None:
        """Whole, as each is read alone; deleted ones are left out."""
        found = ask(http, "runs/search", experiment_ids=["0"])
        assert names(found) == ["r3", "r2", "r1", "r0"]
        alone = http.get(f"{API}/runs/get", params={"run_id": runs["r3"]}).json()["run"]
        assert found["runs"][0] == alone
        assert "next_page_token" not in found

    @pytest.mark.parametrize(
        ("asked", "expected"),
        [
            ({"filter": "metrics.acc >= 0.2"}, ["r3", "r2"]),
            ({"filter": "params.lr = '1' and metrics.acc < 0.2"}, ["r1"]),
            ({"filter": "run_name LIKE 'r%'", "order_by": ["metrics.acc ASC"]}, ["r0", "r1", "r2", "r3"]),
            ({"order_by": ["params.lr DESC", "start_time ASC"]}, ["r1", "r3", "r0", "r2"]),
            ({"filter": f"start_time > {AT_MS + 1500}"}, ["r3", "r2"]),
            ({"run_view_type": "DELETED_ONLY"}, ["r4"]),
            ({"run_view_type": "ALL", "max_results": 2}, ["r4", "r3"]),
            ({"run_view_type": 3, "max_results": "2"}, ["r4", "r3"]),
            ({"experiment_ids": ["0", "0", "99"]}, ["r3", "r2", "r1", "r0"]),
            ({"experiment_ids": ["99"]}, []),
            ({"experiment_ids": []}, []),
        ],
        ids=str,
    )
    @pytest.mark.usefixtures("runs")
    def test_what_is_asked_is_found(
        self, http: httpx.Client, asked: dict[str, Any], expected: list[str]
    ) -> None:
        """Filters, orders, lifecycles, limits and experiments."""
        assert names(ask(http, "runs/search", **{"experiment_ids": ["0"], **asked})) == expected

    @pytest.mark.usefixtures("runs")
    def test_pages_follow_each_other(self, http: httpx.Client) -> None:
        """Each run comes once, and the last page has no token."""
        sent: dict[str, Any] = {
            "experiment_ids": ["0"],
            "order_by": ["metrics.acc"],
            "max_results": 3,
            "run_view_type": "ALL",
        }
        first = ask(http, "runs/search", **sent)
        second = ask(http, "runs/search", **sent, page_token=first["next_page_token"])
        assert names(first) + names(second) == ["r0", "r1", "r2", "r3", "r4"]
        assert "next_page_token" not in second
        status, code, message = refused(
            http, "runs/search", **{**sent, "order_by": []}, page_token=first["next_page_token"]
        )
        assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
        assert message.startswith("Invalid page token")

    def test_children_are_found_by_their_parent(
        self, http: httpx.Client, context: Context, runs: dict[str, str]
    ) -> None:
        """Those that MLflow's clients tagged, those of Noria's clients, and those whose parent is elsewhere."""
        for name, parent in (("child", runs["r0"]), ("lost", "elsewhere")):
            tags = [{"key": "mlflow.parentRunId", "value": parent}]
            ask(http, "runs/create", experiment_id="0", run_name=name, start_time=AT_MS, tags=tags)
        context.service(Runs).create("default", NewRun(name="own", parent=runs["r0"]))

        def children(parent: str) -> set[str]:
            where = f"tags.mlflow.parentRunId = '{parent}'"
            return set(names(ask(http, "runs/search", experiment_ids=["0"], filter=where)))

        assert children(runs["r0"]) == {"child", "own"}
        assert children("elsewhere") == {"lost"}
        assert children(runs["r1"]) == set()
        child = next(
            each["info"]["run_id"]
            for each in ask(http, "runs/search", experiment_ids=["0"], filter="run_name = 'child'")["runs"]
        )
        assert context.service(Runs).get("default", child).parent == runs["r0"]

    def test_runs_that_may_not_be_read_are_not_found(
        self, http: httpx.Client, context: Context, mlflow_server: LiveServer
    ) -> None:
        """Searches over experiments of several projects find the runs of those that the caller may read."""
        context.service(Projects).create(NewProject(name="bank"))
        hidden = context.service(Experiments).create("bank", NewExperiment(name="churn"))
        made = context.service(Runs).create("bank", NewRun(experiment="churn", name="secret"))
        point = MetricPoint(key="acc", value=1.0, step=0, at=AT)
        context.service(Runs).log("bank", made.id, LogBatch(metrics=[point]))
        ask(http, "runs/create", experiment_id="0", run_name="open", start_time=AT_MS)
        mlflow_server.tokens["stranger"] = Principal(name="eve", project_roles={"default": Role.VIEWER})
        sent: dict[str, Any] = {"experiment_ids": ["0", str(hidden.number)]}

        assert set(names(ask(http, "runs/search", **sent))) == {"open", "secret"}
        assert names(ask(http, "runs/search", token="stranger", **sent)) == ["open"]

    @pytest.mark.parametrize(
        ("asked", "told"),
        [
            ({"max_results": 50_001}, "Invalid value 50001 for parameter 'max_results' supplied"),
            ({"max_results": 0}, "Invalid value 0 for parameter 'max_results' supplied"),
            ({"max_results": "many"}, "Invalid value \"many\" for parameter 'max_results' supplied"),
            ({"filter": "metrics.acc >"}, "Invalid clause(s) in filter string"),
            ({"filter": "metrics.acc > 'x'"}, "Expected numeric value type for metric"),
            ({"filter": "params.lr > '0'"}, "Invalid comparator '>'"),
            ({"filter": "nope = '1'"}, "Invalid attribute key 'nope' specified"),
            (
                {"order_by": ["metrics.acc SIDEWAYS"]},
                "Invalid ordering key in order_by clause 'metrics.acc SIDEWAYS'",
            ),
            ({"order_by": [5]}, "Invalid value [5] for parameter 'order_by' supplied"),
            ({"page_token": "x"}, "Invalid page token"),
            ({"experiment_ids": ["nobody"]}, "Invalid experiment ID 'nobody'. Experiment ID must be"),
        ],
        ids=str,
    )
    @pytest.mark.usefixtures("runs")
    @pytest.mark.alike
    def test_what_cannot_be_searched_is_told(
        self, http: httpx.Client, asked: dict[str, Any], told: str
    ) -> None:
        """As MLflow's server does."""
        status, code, message = refused(http, "runs/search", **{"experiment_ids": ["0"], **asked})
        assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
        assert message.startswith(told)


@pytest.fixture
def experiments(http: httpx.Client) -> None:
    """Make experiments `a`, `b` and `c`; `a` has a tag, and `c` is deleted."""
    ask(http, "experiments/create", name="a", tags=[{"key": "team", "value": "risk"}])
    ask(http, "experiments/create", name="b")
    ask(
        http,
        "experiments/delete",
        experiment_id=ask(http, "experiments/create", name="c")["experiment_id"],
    )


@pytest.mark.usefixtures("experiments")
class TestExperiments:
    """Experiments of all projects that the caller may read."""

    @pytest.mark.parametrize(
        ("asked", "expected"),
        [
            ({}, ["b", "a", "Default"]),
            ({"view_type": "DELETED_ONLY"}, ["c"]),
            ({"view_type": "ALL", "order_by": ["name ASC"]}, ["Default", "a", "b", "c"]),
            ({"filter": "name LIKE 'a%'"}, ["a"]),
            ({"filter": "name ILIKE 'd%' "}, ["Default"]),
            ({"filter": "tags.team = 'risk'"}, ["a"]),
            ({"filter": "creation_time > 0 AND name != 'a'"}, ["b", "Default"]),
            ({"max_results": 1}, ["b"]),
        ],
        ids=str,
    )
    def test_what_is_asked_is_found(
        self, http: httpx.Client, asked: dict[str, Any], expected: list[str]
    ) -> None:
        """By POST and by GET."""
        sent = {"max_results": 100, **asked}
        assert names(ask(http, "experiments/search", **sent)) == expected
        assert names(http.get(f"{API}/experiments/search", params=sent).json()) == expected

    def test_pages_follow_each_other(self, http: httpx.Client) -> None:
        """To the last, which has no token."""
        first = ask(http, "experiments/search", max_results=2, order_by=["name"])
        token = first["next_page_token"]
        second = ask(http, "experiments/search", max_results=2, order_by=["name"], page_token=token)
        assert names(first) + names(second) == ["Default", "a", "b"]
        assert "next_page_token" not in second

    def test_experiments_of_other_projects_begin_with_them(
        self, http: httpx.Client, context: Context, mlflow_server: LiveServer
    ) -> None:
        """And who may not read a project finds none of its experiments."""
        context.service(Projects).create(NewProject(name="bank"))
        context.service(Experiments).create("bank", NewExperiment(name="churn"))
        mlflow_server.tokens["stranger"] = Principal(name="eve", project_roles={"default": Role.VIEWER})
        sent: dict[str, Any] = {"max_results": 10, "filter": "name LIKE 'bank/%'"}

        assert names(ask(http, "experiments/search", **sent)) == ["bank/churn"]
        assert ask(http, "experiments/search", token="stranger", **sent) == {}

    @pytest.mark.parametrize(
        ("asked", "told"),
        [
            ({"max_results": 0}, "Invalid value 0 for parameter 'max_results' supplied"),
            ({"max_results": 50_001}, "Invalid value 50001 for parameter 'max_results' supplied"),
            ({"filter": "metrics.m > 1"}, "Invalid entity type 'metrics'"),
            ({"filter": "name > 'a'"}, "Invalid comparator '>'"),
            ({"order_by": ["nope"]}, "Invalid attribute key 'nope' specified"),
            ({"page_token": "x"}, "Invalid page token"),
        ],
        ids=str,
    )
    @pytest.mark.alike
    def test_what_cannot_be_searched_is_told(
        self, http: httpx.Client, asked: dict[str, Any], told: str
    ) -> None:
        """As MLflow's server does."""
        status, code, message = refused(http, "experiments/search", **asked)
        assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
        assert message.startswith(told)


def test_an_empty_id_of_an_experiment_is_no_experiment(http: httpx.Client) -> None:
    """A search of it is refused, of runs and logged models alike."""
    for path in ("runs/search", "logged-models/search"):
        assert refused(http, path, experiment_ids=[""]) == (
            400,
            "INVALID_PARAMETER_VALUE",
            "Invalid experiment ID ''. Experiment ID must be a valid integer.",
        )
