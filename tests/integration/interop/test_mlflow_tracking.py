"""Experiments, runs, metrics, params, tags and data sets on MLflow's wire, and the same things in Noria's own words."""

from __future__ import annotations

import math
import sys
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from noria.access.projects import NewProject, Projects
from noria.core.context import Context
from noria.core.permissions import Principal, Role
from noria.tracking.entities import LogBatch, NewRun, RunChange, RunSource, RunStatus
from noria.tracking.experiment_entities import NewExperiment
from noria.tracking.point_entities import HistoryOrder, MetricPoint
from noria.tracking.service import Experiments, Runs
from support.live_server import LiveServer

API = "/api/2.0/mlflow"
AJAX = "/ajax-api/2.0/mlflow"
AT = datetime(2026, 1, 2, tzinfo=UTC)
AT_MS = int(AT.timestamp() * 1000)


class Client:
    """Asks MLflow's endpoints."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http

    def post(self, path: str, **sent: Any) -> dict[str, Any]:
        """Post a message and give the answer."""
        answer = self.http.post(f"{API}/{path}", json=sent)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def get(self, path: str, **asked: Any) -> dict[str, Any]:
        """Ask by a query and give the answer."""
        answer = self.http.get(f"{API}/{path}", params=asked)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def refused(self, path: str, **sent: Any) -> tuple[int, str, str]:
        """Post a message that is refused, and give status, code and message."""
        answer = self.http.post(f"{API}/{path}", json=sent)
        told = answer.json()
        return answer.status_code, told["error_code"], told["message"]

    def run(self, **given: Any) -> str:
        """Start a run and give its id."""
        made = self.post("runs/create", **{"experiment_id": "0", "start_time": AT_MS, **given})
        run_id: str = made["run"]["info"]["run_id"]
        return run_id

    def read(self, run_id: str) -> dict[str, Any]:
        """Get a run."""
        run: dict[str, Any] = self.get("runs/get", run_id=run_id)["run"]
        return run


@pytest.fixture
def client(http: httpx.Client) -> Client:
    """Give what asks MLflow's endpoints as the owner."""
    return Client(http)


def pairs(found: list[dict[str, str]]) -> dict[str, str]:
    """Give params or tags by key."""
    return {each["key"]: each["value"] for each in found}


class TestExperiments:
    """Experiments live, are renamed, tagged, deleted and restored."""

    def test_one_is_read_by_id_and_by_name(self, client: Client) -> None:
        """What was given at its making comes back, with a location of this server and times in milliseconds."""
        made = client.post("experiments/create", name="a", tags=[{"key": "k", "value": "v"}])
        by_id = client.get("experiments/get", experiment_id=made["experiment_id"])["experiment"]

        assert by_id == client.get("experiments/get-by-name", experiment_name="a")["experiment"]
        assert by_id["name"] == "a"
        assert by_id["artifact_location"] == f"mlflow-artifacts:/{made['experiment_id']}"
        assert by_id["lifecycle_stage"] == "active"
        assert by_id["tags"] == [{"key": "k", "value": "v"}]
        assert by_id["creation_time"] == by_id["last_update_time"] > 1_700_000_000_000

    def test_the_first_is_there_from_the_start(self, client: Client) -> None:
        """Experiment 0 is called Default."""
        assert client.get("experiments/get", experiment_id="0")["experiment"]["name"] == "Default"

    def test_a_name_is_taken_once(self, client: Client) -> None:
        """Also by a deleted experiment; that it exists already is 400 for MLflow's clients."""
        made = client.post("experiments/create", name="a")
        expected = (400, "RESOURCE_ALREADY_EXISTS", "Experiment(name=a) already exists.")
        assert client.refused("experiments/create", name="a") == expected
        client.post("experiments/delete", experiment_id=made["experiment_id"])
        assert client.refused("experiments/create", name="a") == expected

    def test_deleting_takes_the_runs_along(self, client: Client) -> None:
        """They are deleted with it and restored with it; both can be read all the time."""
        number = client.post("experiments/create", name="a")["experiment_id"]
        run_id = client.run(experiment_id=number)
        client.post("experiments/delete", experiment_id=number)
        gone = client.get("experiments/get-by-name", experiment_name="a")["experiment"]

        assert gone["lifecycle_stage"] == "deleted"
        assert client.read(run_id)["info"]["lifecycle_stage"] == "deleted"
        status, code, message = client.refused("runs/create", experiment_id=number)
        assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
        assert message == f"The experiment {number} must be in the 'active' state. Current state is deleted."
        assert client.refused("experiments/delete", experiment_id=number)[:2] == (
            404,
            "RESOURCE_DOES_NOT_EXIST",
        )

        client.post("experiments/restore", experiment_id=number)
        assert client.read(run_id)["info"]["lifecycle_stage"] == "active"

    def test_tags_are_set_and_removed(self, client: Client) -> None:
        """A tag takes its last value; removing one that is not there is an error."""
        for value in ("1", "2\n3", ""):
            client.post("experiments/set-experiment-tag", experiment_id="0", key="t", value=value)
        found = client.get("experiments/get", experiment_id="0")["experiment"]["tags"]
        assert found == [{"key": "t", "value": ""}]
        client.post("experiments/delete-experiment-tag", experiment_id="0", key="t")
        assert "tags" not in client.get("experiments/get", experiment_id="0")["experiment"]
        assert client.refused("experiments/delete-experiment-tag", experiment_id="0", key="t")[:2] == (
            404,
            "RESOURCE_DOES_NOT_EXIST",
        )


class TestProjects:
    """MLflow's flat world of experiments is Noria's projects."""

    def test_names_of_other_projects_begin_with_them(self, client: Client, context: Context) -> None:
        """`bank/churn` is the experiment `churn` of the project `bank`, made and found from either side."""
        context.service(Projects).create(NewProject(name="bank"))
        number = client.post("experiments/create", name="bank/churn")["experiment_id"]

        assert context.service(Experiments).get("bank", "churn").number == int(number)
        assert client.get("experiments/get", experiment_id=number)["experiment"]["name"] == "bank/churn"
        client.post("experiments/update", experiment_id=number, new_name="bank/loss")
        assert context.service(Experiments).get("bank", "loss").number == int(number)
        run_id = client.run(experiment_id=number)
        assert context.service(Runs).get("bank", run_id).experiment == "loss"

    def test_a_slash_is_no_project_by_itself(self, client: Client, context: Context) -> None:
        """Without such a project, and where `default` has that very name, the name is what it says."""
        number = client.post("experiments/create", name="bank/churn")["experiment_id"]
        context.service(Projects).create(NewProject(name="bank"))

        assert context.service(Experiments).get("default", "bank/churn").number == int(number)
        found = client.get("experiments/get-by-name", experiment_name="bank/churn")["experiment"]
        assert found["experiment_id"] == number

    def test_what_may_not_be_read_does_not_exist(
        self, http: httpx.Client, context: Context, mlflow_server: LiveServer
    ) -> None:
        """Neither experiment nor run, by id or by name; what may only be read cannot be written to."""
        context.service(Projects).create(NewProject(name="bank"))
        experiment = context.service(Experiments).create("bank", NewExperiment(name="churn"))
        run = context.service(Runs).create("bank", NewRun(experiment="churn"))
        mlflow_server.tokens["stranger"] = Principal(name="eve", project_roles={"default": Role.ADMIN})
        mlflow_server.tokens["reader"] = Principal(name="ana", project_roles={"bank": Role.VIEWER})
        asked = [
            ("experiments/get", {"experiment_id": str(experiment.number)}),
            ("experiments/get-by-name", {"experiment_name": "bank/churn"}),
            ("runs/get", {"run_id": run.id}),
        ]
        for path, query in asked:
            for token, status in (("stranger", 404), ("reader", 200)):
                answer = http.get(f"{API}/{path}", params=query, headers={"authorization": f"Bearer {token}"})
                assert answer.status_code == status, (path, token, answer.text)
        point = {"run_id": run.id, "key": "m", "value": 1, "timestamp": 1}
        for token, status, code in (
            ("stranger", 404, "RESOURCE_DOES_NOT_EXIST"),
            ("reader", 403, "PERMISSION_DENIED"),
        ):
            headers = {"authorization": f"Bearer {token}"}
            answer = http.post(f"{API}/runs/log-metric", json=point, headers=headers)
            assert (answer.status_code, answer.json()["error_code"]) == (status, code)

    def test_who_signs_in_is_the_author(
        self, http: httpx.Client, context: Context, mlflow_server: LiveServer
    ) -> None:
        """Whatever name the client tells, as a token says who it is."""
        mlflow_server.tokens["ana"] = Principal(name="ana", role=Role.SCIENTIST)
        sent = {"experiment_id": "0", "user_id": "somebody else"}
        answer = http.post(f"{API}/runs/create", json=sent, headers={"authorization": "Bearer ana"})
        assert answer.json()["run"]["info"]["user_id"] == "ana"


class TestRuns:
    """Runs are made, read, changed, deleted and restored."""

    def test_the_whole_run_comes_back(self, client: Client) -> None:
        """At its making and when it is read: ids, name, author, times, where its artifacts are, tags."""
        sent = {
            "user_id": "ana",
            "run_name": "first",
            "tags": [{"key": "mlflow.parentRunId", "value": "7"}, {"key": "k", "value": "v"}],
        }
        made = client.post("runs/create", experiment_id="0", start_time=AT_MS, **sent)["run"]
        run_id = made["info"]["run_id"]

        assert made["info"] == {
            "run_id": run_id,
            "run_uuid": run_id,
            "experiment_id": "0",
            "run_name": "first",
            "user_id": "ana",
            "status": "RUNNING",
            "start_time": AT_MS,
            "artifact_uri": f"mlflow-artifacts:/0/{run_id}/artifacts",
            "lifecycle_stage": "active",
        }
        expected = {"mlflow.parentRunId": "7", "k": "v", "mlflow.runName": "first"}
        assert pairs(made["data"]["tags"]) == expected
        read = client.read(run_id)
        assert read["info"] == made["info"]
        assert pairs(read["data"]["tags"]) == expected
        assert client.get("runs/get", run_uuid=run_id)["run"] == read

    def test_name_and_tag_of_the_name_are_one(self, client: Client, context: Context) -> None:
        """Either changes both; two that differ at the making are refused."""
        run_id = client.run(tags=[{"key": "mlflow.runName", "value": "tagged"}])
        assert client.read(run_id)["info"]["run_name"] == "tagged"
        tag = {"key": "mlflow.runName", "value": "by tag"}
        changes: list[tuple[str, str, dict[str, Any]]] = [
            ("by update", "runs/update", {"run_name": "by update"}),
            ("by tag", "runs/set-tag", tag),
            ("by batch", "runs/log-batch", {"tags": [{**tag, "value": "by batch"}]}),
        ]
        for name, path, sent in changes:
            client.post(path, run_id=run_id, **sent)
            read = client.read(run_id)
            assert read["info"]["run_name"] == pairs(read["data"]["tags"])["mlflow.runName"] == name
        client.post("runs/delete-tag", run_id=run_id, key="mlflow.runName")
        assert client.read(run_id)["info"]["run_name"] == name
        assert "tags" not in client.read(run_id)["data"]
        assert client.refused("runs/delete-tag", run_id=run_id, key="mlflow.runName")[0] == 404
        assert context.service(Runs).get("default", run_id).name == "by batch"
        client.post("runs/update", run_id=run_id, run_name="again")
        assert pairs(client.read(run_id)["data"]["tags"]) == {"mlflow.runName": "again"}
        assert context.service(Runs).get("default", run_id).tags == {}
        differing = {"run_name": "x", "tags": [{"key": "mlflow.runName", "value": "y"}]}
        assert client.refused("runs/create", experiment_id="0", **differing)[:2] == (
            400,
            "INVALID_PARAMETER_VALUE",
        )

    def test_a_run_without_a_name_gets_one(self, client: Client) -> None:
        """In the form that MLflow's users know."""
        name = client.read(client.run())["info"]["run_name"]
        assert len(name.split("-")) == 3
        assert name.split("-")[2].isdigit()

    def test_a_parent_is_a_parent_on_both_sides(self, client: Client, context: Context) -> None:
        """The tag makes a parent of a run that exists, and a child made in Noria has the tag."""
        parent = client.run()
        child = client.run(tags=[{"key": "mlflow.parentRunId", "value": parent}])
        assert context.service(Runs).get("default", child).parent == parent
        own = context.service(Runs).create("default", NewRun(parent=parent))
        assert pairs(client.read(own.id)["data"]["tags"])["mlflow.parentRunId"] == parent

    def test_a_parent_follows_its_tag(self, client: Client, context: Context) -> None:
        """Set, changed, set with others and removed; one that names no run is a tag and no parent."""
        child, first, second = client.run(), client.run(), client.run()
        tag = {"run_id": child, "key": "mlflow.parentRunId"}

        def parent() -> tuple[str | None, str | None]:
            shown = pairs(client.read(child)["data"]["tags"]).get("mlflow.parentRunId")
            return context.service(Runs).get("default", child).parent, shown

        client.post("runs/set-tag", **tag, value=first)
        assert parent() == (first, first)
        client.post("runs/log-batch", run_id=child, tags=[{"key": "mlflow.parentRunId", "value": second}])
        assert parent() == (second, second)
        client.post("runs/set-tag", **tag, value="7")
        assert parent() == (None, "7")
        client.post("runs/set-tag", **tag, value=first)
        client.post("runs/delete-tag", **tag)
        assert parent() == (None, None)
        own = context.service(Runs).create("default", NewRun(parent=first)).id
        client.post("runs/delete-tag", run_id=own, key="mlflow.parentRunId")
        assert context.service(Runs).get("default", own).parent is None

    def test_status_and_end_change_freely(self, client: Client, context: Context) -> None:
        """An ended run may end anew, as MLflow's clients do; no status leaves it as it is."""
        run_id = client.run()
        ended = client.post("runs/update", run_id=run_id, status="FINISHED", end_time=AT_MS + 5)["run_info"]
        assert (ended["status"], ended["end_time"]) == ("FINISHED", AT_MS + 5)
        for status in ("FAILED", "KILLED", "FINISHED", "SCHEDULED", "RUNNING", 3):
            client.post("runs/update", run_id=run_id, status=status)
        renamed = client.post("runs/update", run_id=run_id, run_name="x")["run_info"]
        assert (renamed["status"], renamed["run_name"]) == ("FINISHED", "x")
        assert context.service(Runs).get("default", run_id).status is RunStatus.FINISHED

    def test_a_deleted_run_can_be_read_and_restored_only(self, client: Client) -> None:
        """Every write is refused; deleting it again and restoring it again are fine."""
        run_id = client.run()
        client.post("runs/delete", run_id=run_id)
        client.post("runs/delete", run_id=run_id)
        expected = (
            400,
            "INVALID_PARAMETER_VALUE",
            f"The run {run_id} must be in the 'active' state. Current state is deleted.",
        )
        writes: list[tuple[str, dict[str, Any]]] = [
            ("runs/log-metric", {"key": "m", "value": 1, "timestamp": 1}),
            ("runs/log-parameter", {"key": "p", "value": "1"}),
            ("runs/set-tag", {"key": "t", "value": "1"}),
            ("runs/set-tag", {"key": "mlflow.runName", "value": "1"}),
            ("runs/delete-tag", {"key": "t"}),
            ("runs/log-batch", {"tags": [{"key": "t", "value": "1"}]}),
            ("runs/log-batch", {}),
            ("runs/log-inputs", {"datasets": []}),
            ("runs/update", {"status": "FINISHED"}),
        ]
        for path, sent in writes:
            assert client.refused(path, run_id=run_id, **sent) == expected, path
        assert client.read(run_id)["info"]["lifecycle_stage"] == "deleted"
        client.post("runs/restore", run_id=run_id)
        client.post("runs/restore", run_id=run_id)
        client.post("runs/set-tag", run_id=run_id, key="t", value="1")

    def test_a_missing_run_is_named(self, client: Client) -> None:
        """By every endpoint that takes a run."""
        for path in ("runs/delete", "runs/restore", "runs/update", "runs/log-batch", "runs/log-inputs"):
            assert client.refused(path, run_id="nope") == (
                404,
                "RESOURCE_DOES_NOT_EXIST",
                "Run with id=nope not found",
            )


class TestNoriaRuns:
    """What Noria's own clients log is what MLflow's clients read, and the reverse."""

    def test_a_run_of_noria_is_read_by_mlflow(self, client: Client, context: Context) -> None:
        """With params, latest points, tags, author, and its source as the tags that MLflow knows."""
        runs = context.service(Runs)
        source = RunSource(git_commit="abc", command="train.py --lr 1")
        made = runs.create("default", NewRun(name="own", params={"lr": "1"}, tags={"t": "x"}, source=source))
        points = [
            MetricPoint(key="loss", value=value, step=step, at=AT) for step, value in enumerate((2.0, 1.0))
        ]
        runs.log("default", made.id, LogBatch(metrics=points))
        runs.amend("default", made.id, RunChange(status=RunStatus.FAILED, ended_at=AT))

        read = client.read(made.id)
        assert read["info"]["run_name"] == "own"
        assert (read["info"]["status"], read["info"]["end_time"]) == ("FAILED", AT_MS)
        assert pairs(read["data"]["params"]) == {"lr": "1"}
        assert read["data"]["metrics"] == [{"key": "loss", "value": 1.0, "timestamp": AT_MS, "step": 1}]
        assert pairs(read["data"]["tags"]) == {
            "t": "x",
            "mlflow.runName": "own",
            "mlflow.source.type": "LOCAL",
            "mlflow.source.name": "train.py --lr 1",
            "mlflow.source.git.commit": "abc",
        }

    def test_a_run_of_mlflow_is_read_by_noria(self, client: Client, context: Context) -> None:
        """As a run of the experiment, with params, metrics and data sets."""
        run_id = client.run(user_id="ana", run_name="theirs")
        client.post(
            "runs/log-batch",
            run_id=run_id,
            metrics=[{"key": "m", "value": 0.5, "timestamp": AT_MS, "step": 3}],
            params=[{"key": "p", "value": "1"}],
        )
        dataset = {"name": "n", "digest": "d", "source_type": "local", "source": "{}"}
        client.post("runs/log-inputs", run_id=run_id, datasets=[{"dataset": dataset}])
        run = context.service(Runs).get("default", run_id)

        assert (run.name, run.author, run.experiment, run.started_at) == ("theirs", "ana", "Default", AT)
        assert (run.params, run.metrics) == ({"p": "1"}, {"m": 0.5})
        assert [(each.name, each.digest) for each in run.datasets] == [("n", "d")]


class TestBatches:
    """Metrics, params and tags at once."""

    def test_a_batch_may_be_sent_again(self, client: Client) -> None:
        """The same points and params change nothing."""
        run_id = client.run()
        sent = {
            "metrics": [{"key": "m", "value": 0.5, "timestamp": 10, "step": step} for step in (1, 2)],
            "params": [{"key": "p", "value": ""}],
            "tags": [{"key": "t", "value": "1"}, {"key": "t", "value": "2"}],
        }
        for _ in range(2):
            client.post("runs/log-batch", run_id=run_id, **sent)
        data = client.read(run_id)["data"]
        assert pairs(data["params"]) == {"p": ""}
        assert pairs(data["tags"])["t"] == "2"
        assert len(client.get("metrics/get-history", run_id=run_id, metric_key="m")["metrics"]) == 2

    def test_a_changed_param_leaves_the_rest_unwritten(self, client: Client) -> None:
        """Nothing of the batch is kept, and the message names key and values."""
        run_id = client.run()
        client.post("runs/log-parameter", run_id=run_id, key="p", value="1")
        status, code, message = client.refused(
            "runs/log-batch",
            run_id=run_id,
            metrics=[{"key": "m", "value": 0.5, "timestamp": 10}],
            params=[{"key": "p", "value": "2"}],
            tags=[{"key": "t", "value": "1"}],
        )
        assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
        assert "{'key': 'p', 'old_value': '1', 'new_value': '2'}" in message
        data = client.read(run_id)["data"]
        assert "metrics" not in data
        assert "t" not in pairs(data["tags"])
        single = client.refused("runs/log-parameter", run_id=run_id, key="p", value="2")
        assert single[2].startswith(
            "Changing param values is not allowed. Param with key='p' was already logged"
        )

    @pytest.mark.parametrize(
        ("sent", "message"),
        [
            (
                {"metrics": [{"key": "m", "timestamp": 1}]},
                "Missing value for required parameter 'metrics[0].value'",
            ),
            (
                {"metrics": [{"key": "m", "value": 1}]},
                "Missing value for required parameter 'metrics[0].timestamp'",
            ),
            ({"params": [{"value": "1"}]}, "Missing value for required parameter 'params[0].key'"),
            ({"tags": [{"value": "1"}]}, "Missing value for required parameter 'tags[0].key'"),
            (
                {"params": [{"key": "p", "value": "1"}] * 2},
                "Duplicate parameter keys have been submitted: ['p']",
            ),
            (
                {"metrics": [{"key": "m", "value": 1, "timestamp": -1}]},
                "Invalid value -1 for parameter 'metrics[0].timestamp' supplied",
            ),
            (
                {"metrics": [{"key": "m", "value": 1, "timestamp": 1}] * 1001},
                "A batch logging request can contain at most 1000 metrics. Got 1001 metrics.",
            ),
            (
                {"params": [{"key": f"p{i}", "value": "1"} for i in range(101)]},
                "A batch logging request can contain at most 100 params. Got 101 params.",
            ),
        ],
    )
    @pytest.mark.alike
    def test_a_bad_batch_is_refused_whole(self, client: Client, sent: dict[str, Any], message: str) -> None:
        """With the place of what is wrong, before anything is written."""
        run_id = client.run()
        status, code, told = client.refused("runs/log-batch", run_id=run_id, **sent)
        assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
        assert told.startswith(message)
        assert set(client.read(run_id)["data"]) == {"tags"}

    def test_a_thousand_keys_and_unicode_are_kept(self, client: Client) -> None:
        """Keys in any script; values of params with line breaks, quotes and emoji."""
        run_id = client.run()
        metrics = [{"key": f"клас/{i}", "value": i / 7, "timestamp": 1} for i in range(1000)]
        client.post("runs/log-batch", run_id=run_id, metrics=metrics)
        text = "línea\n\"quoted\" 'too' \U0001f600 \\ %s"
        client.post("runs/log-parameter", run_id=run_id, key="ñ", value=text)
        data = client.read(run_id)["data"]
        assert {each["key"]: each["value"] for each in data["metrics"]} == {
            each["key"]: each["value"] for each in metrics
        }
        assert pairs(data["params"]) == {"ñ": text}


class TestHistories:
    """The points of metrics."""

    @pytest.mark.parametrize(
        ("word", "answered", "value"),
        [
            ("NaN", "NaN", math.nan),
            ("Infinity", sys.float_info.max, math.inf),
            ("-Infinity", -sys.float_info.max, -math.inf),
        ],
    )
    def test_doubles_that_json_has_not_travel_as_words(
        self, client: Client, context: Context, word: str, answered: str | float, value: float
    ) -> None:
        """In a point and a batch; MLflow's clients read the greatest double for an infinity, and Noria keeps it."""
        run_id = client.run()
        client.post("runs/log-metric", run_id=run_id, key="m", value=word, timestamp=5)
        client.post("runs/log-batch", run_id=run_id, metrics=[{"key": "b", "value": word, "timestamp": 5}])
        latest = {each["key"]: each["value"] for each in client.read(run_id)["data"]["metrics"]}
        assert latest == {"m": answered, "b": answered}
        history = client.get("metrics/get-history", run_id=run_id, metric_key="m")["metrics"]
        assert history == [{"key": "m", "value": answered, "timestamp": 5, "step": 0}]
        kept = context.service(Runs).get("default", run_id).metrics["m"]
        assert kept == value or (math.isnan(kept) and math.isnan(value))

    def test_order_and_pages(self, client: Client) -> None:
        """By time, then step, then value; pages of any size join to the whole."""
        run_id = client.run()
        points = [(1, 3, 12.0), (1, 2, 10.0), (2, 3, 12.0), (1, 3, 11.0), (0, 9, math.nan), (0, 9, 1.0)]
        for at_ms, step, value in points:
            sent = "NaN" if math.isnan(value) else value
            client.post("runs/log-metric", run_id=run_id, key="m", value=sent, timestamp=at_ms, step=step)
        whole = client.get("metrics/get-history", run_id=run_id, metric_key="m")["metrics"]
        expected = [(0, 9, 1.0), (0, 9, "NaN"), (1, 2, 10.0), (1, 3, 11.0), (1, 3, 12.0), (2, 3, 12.0)]
        assert [(each["timestamp"], each["step"], each["value"]) for each in whole] == expected
        for size in (1, 4, 5, 6, 100):
            pages, token = [], None
            while token != "":
                asked = {"run_id": run_id, "metric_key": "m", "max_results": size}
                page = client.get("metrics/get-history", **asked, **({"page_token": token} if token else {}))
                pages += page.get("metrics", [])
                token = page.get("next_page_token", "")
            assert pages == whole

    def test_what_is_not_there_has_no_history(self, client: Client) -> None:
        """Neither an unknown metric nor an unknown run is an error."""
        assert client.get("metrics/get-history", run_id=client.run(), metric_key="m") == {}
        assert client.get("metrics/get-history", run_id="nope", metric_key="m") == {}

    def test_many_points_come_back_as_sent(self, client: Client, context: Context) -> None:
        """A long history, sent in batches, is the same in both worlds."""
        run_id = client.run()
        values = [math.sin(step) for step in range(2500)]
        for begin in range(0, len(values), 1000):
            batch = [
                {"key": "m", "value": value, "timestamp": 1000 + step, "step": step}
                for step, value in list(enumerate(values))[begin : begin + 1000]
            ]
            client.post("runs/log-batch", run_id=run_id, metrics=batch)
        history = client.get("metrics/get-history", run_id=run_id, metric_key="m")["metrics"]
        assert [each["value"] for each in history] == values
        own = context.service(Runs).points("default", run_id, key="m", order=HistoryOrder.STEP)
        assert own.points.values == values

    def test_sampled_points_are_spread_evenly(self, client: Client) -> None:
        """The first of each of equal parts and the last; a range of steps holds its own."""
        first, second = client.run(), client.run()
        for run_id, n in ((first, 10), (second, 20)):
            batch = [{"key": "m", "value": 10.0, "timestamp": 1, "step": step} for step in range(n)]
            client.post("runs/log-batch", run_id=run_id, metrics=batch)

        def steps(**asked: Any) -> list[int]:
            path = "metrics/get-history-bulk-interval"
            return [each["step"] for each in client.get(path, metric_key="m", **asked).get("metrics", [])]

        assert steps(run_ids=first, max_results=5) == [0, 2, 4, 6, 9]
        assert steps(run_ids=first, max_results=1) == [9]
        assert steps(run_ids=first, max_results=5, start_step=0, end_step=4) == [0, 1, 2, 3, 4]
        assert steps(run_ids=[first, second], max_results=5) == [0, 2, 4, 6, 9, 0, 4, 8, 12, 19]
        assert steps(run_ids=["nope", first]) == list(range(10))

    def test_bulk_histories_come_run_by_run(self, client: Client) -> None:
        """In the order of ids, cut at the limit; an empty list is a list."""
        ids = sorted(client.run() for _ in range(3))
        for run_id in ids[:2]:
            batch = [{"key": "m", "value": 1.0, "timestamp": 2, "step": step} for step in range(3)]
            client.post("runs/log-batch", run_id=run_id, metrics=batch)

        def bulk(**asked: Any) -> list[tuple[str, int]]:
            answer = client.http.get(f"{AJAX}/metrics/get-history-bulk", params={"metric_key": "m", **asked})
            return [(each["run_id"], each["step"]) for each in answer.json()["metrics"]]

        expected = [(run_id, step) for run_id in ids[:2] for step in range(3)]
        assert bulk(run_id=list(reversed(ids))) == expected
        assert bulk(run_id=ids, max_results=4) == expected[:4]
        assert bulk(run_id="nope") == []


class TestDatasets:
    """Data sets that runs read."""

    def test_one_is_noted_once_with_its_first_tags(self, client: Client) -> None:
        """By name and digest, whatever the second notice says."""
        run_id = client.run()
        dataset = {
            "name": "n",
            "digest": "d",
            "source_type": "local",
            "source": "s",
            "schema": "{}",
            "profile": "{}",
        }
        for purpose in ("train", "test"):
            tags = [{"key": "mlflow.data.context", "value": purpose}]
            client.post("runs/log-inputs", run_id=run_id, datasets=[{"dataset": dataset, "tags": tags}] * 2)
        assert client.read(run_id)["inputs"]["dataset_inputs"] == [
            {"dataset": dataset, "tags": [{"key": "mlflow.data.context", "value": "train"}]}
        ]

    def test_as_many_as_a_client_sends_are_noted(self, client: Client) -> None:
        """A request holds as many as its size allows."""
        run_id = client.run()
        sent = [
            {"dataset": {"name": f"n{at}", "digest": "d", "source_type": "local", "source": "s"}}
            for at in range(1_010)
        ]
        client.post("runs/log-inputs", run_id=run_id, datasets=sent)
        read = client.read(run_id)["inputs"]["dataset_inputs"]
        assert {each["dataset"]["name"] for each in read} == {each["dataset"]["name"] for each in sent}

    def test_those_of_experiments_are_listed_by_purpose(self, client: Client) -> None:
        """Once for each purpose; an experiment that is not there has none."""
        for purpose in ("train", "train", None):
            tags = [{"key": "mlflow.data.context", "value": purpose}] if purpose else []
            dataset = {"name": "n", "digest": "d", "source_type": "local", "source": "s"}
            client.post("runs/log-inputs", run_id=client.run(), datasets=[{"dataset": dataset, "tags": tags}])
        answer = client.http.post(
            f"{AJAX}/experiments/search-datasets", json={"experiment_ids": ["0", "99"]}
        ).json()["dataset_summaries"]
        assert sorted(each.get("context", "") for each in answer) == ["", "train"]
        assert {(each["experiment_id"], each["name"], each["digest"]) for each in answer} == {("0", "n", "d")}


class TestGraphql:
    """The reads of MLflow's page."""

    def ask(self, client: Client, query: str, **more: Any) -> dict[str, Any]:
        """Ask, and give the answer."""
        answer = client.http.post("/graphql", json={"query": query, **more})
        assert answer.status_code == 200
        found: dict[str, Any] = answer.json()
        return found

    def test_runs_are_searched(self, client: Client) -> None:
        """Each with the fields that are asked for, the last started first, and the way to the next page."""
        ids = [client.run(run_name=name, start_time=n) for n, name in enumerate(("a", "b", "c"))]
        client.post("runs/log-metric", run_id=ids[2], key="m", value=0.5, timestamp=5)
        query = """{ mlflowSearchRuns(input: {experimentIds: ["0"], maxResults: 2}) {
            runs { info { runId runName } data { metrics { key value } } } nextPageToken } }"""
        found = self.ask(client, query)["data"]["mlflowSearchRuns"]

        assert [run["info"]["runId"] for run in found["runs"]] == ids[:0:-1]
        assert [run["data"]["metrics"] for run in found["runs"]] == [[{"key": "m", "value": 0.5}], []]
        assert found["nextPageToken"]

    def test_a_run_with_what_belongs_to_it(self, client: Client) -> None:
        """Under names in camelCase, 64-bit integers as text, NaN as null, what is absent empty."""
        run_id = client.run(run_name="first")
        client.post("runs/log-metric", run_id=run_id, key="m", value="NaN", timestamp=5, step=3)
        query = """
            query q($input: MlflowGetRunInput) @component(name: "x") {
              mlflowGetRun(input: $input) {
                run { info { runName status startTime endTime } experiment { name } modelVersions { name }
                      data { metrics { key value step } params { key } } inputs { datasetInputs { tags { key } } } }
              }
            }"""
        found = self.ask(client, query, variables={"input": {"runId": run_id}})
        assert found["errors"] is None
        assert found["data"]["mlflowGetRun"]["run"] == {
            "info": {"runName": "first", "status": "RUNNING", "startTime": str(AT_MS), "endTime": "0"},
            "experiment": {"name": "Default"},
            "modelVersions": [],
            "data": {"metrics": [{"key": "m", "value": None, "step": "3"}], "params": []},
            "inputs": {"datasetInputs": []},
        }

    def test_what_is_wrong_is_told_beside_the_data(self, client: Client) -> None:
        """An unknown thing, an unknown field, a broken query, one that asks for too much."""
        missing = self.ask(client, '{mlflowGetExperiment(input: {experimentId: "99"}) {experiment {name}}}')
        assert missing == {
            "data": {"mlflowGetExperiment": None},
            "errors": ["No Experiment with id=99 exists"],
        }
        assert self.ask(client, "{nope}")["errors"] == ["Cannot query field 'nope' on type 'Query'."]
        assert self.ask(client, "{broken")["errors"][0].startswith("Syntax Error")
        many = " ".join(f'a{i}: test(inputString: "x") {{output}}' for i in range(11))
        assert "at most 10 root fields, got 11" in self.ask(client, f"{{{many}}}")["errors"][0]
        spread = "query {...f ...g} fragment f on Query {a: test {output} b: test {output}} fragment g on Query {...f}"
        assert self.ask(client, spread)["data"]["a"] == {"output": ""}


class TestTheServer:
    """What clients ask first, and addresses that are not there."""

    def test_everybody_may_ask_what_it_is(
        self, http: httpx.Client, mlflow_server: LiveServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Health, version and abilities need no credential, also where everything else does."""
        monkeypatch.setattr(mlflow_server, "is_open", False)
        anonymous = httpx.Client(base_url=http.base_url)
        with anonymous:
            assert anonymous.get("/health").text == "OK"
            assert anonymous.get("/version").text == "3.17.2"
            info = anonymous.get("/api/3.0/mlflow/server-info").json()
            refused = anonymous.get(f"{API}/experiments/get", params={"experiment_id": "0"})
        assert info["workspaces_enabled"] is False
        assert (refused.status_code, refused.json()["error_code"]) == (401, "UNAUTHENTICATED")

    def test_unknown_addresses_are_told_in_its_words(self, client: Client) -> None:
        """A client takes ENDPOINT_NOT_FOUND for a server that is older than itself."""
        answer = client.http.get(f"{API}/nope")
        assert (answer.status_code, answer.json()["error_code"]) == (404, "ENDPOINT_NOT_FOUND")
        assert client.http.put(f"{API}/runs/get", json={}).status_code == 405

    def test_what_is_switched_off_says_so(self, client: Client) -> None:
        """The gateway, MCP servers and jobs are told to be off, in a way that no client asks again for minutes."""
        asked = (
            ("GET", "gateway/endpoints/list", 501, "NOT_IMPLEMENTED"),
            ("POST", "gateway/secrets/create", 501, "NOT_IMPLEMENTED"),
            ("POST", "prompt-optimization/jobs", 501, "NOT_IMPLEMENTED"),
            ("GET", "mcp-servers", 501, "NOT_IMPLEMENTED"),
            ("POST", "mcp-servers/io.github.x%2Fy/versions", 501, "NOT_IMPLEMENTED"),
            ("DELETE", "mcp-servers/io.github.x%2Fy/tags/a", 501, "NOT_IMPLEMENTED"),
            ("GET", "prompt-optimization/jobs/j1", 404, "RESOURCE_DOES_NOT_EXIST"),
            ("POST", "prompt-optimization/jobs/j1/cancel", 404, "RESOURCE_DOES_NOT_EXIST"),
            ("POST", "prompt-optimization/jobs/search", 400, "INVALID_PARAMETER_VALUE"),
        )
        for method, path, status, code in asked:
            body: dict[str, str] | None = {} if method == "POST" else None
            answer = client.http.request(method, f"/api/3.0/mlflow/{path}", json=body)
            assert (path, answer.status_code, answer.json()["error_code"]) == (path, status, code)
        chat = client.http.post("/gateway/openai/v1/chat/completions", json={"model": "chat"})
        assert (chat.status_code, chat.json()["error_code"]) == (501, "NOT_IMPLEMENTED")
        found = client.http.get("/api/3.0/mlflow/prompt-optimization/jobs/search?experiment_id=0")
        assert found.json() == {}

    def test_a_body_of_another_type_is_refused(self, client: Client) -> None:
        """As MLflow's server does, with 400."""
        for kind in ("text/plain", "application/x-www-form-urlencoded", "application/octet-stream"):
            answer = client.http.post(
                f"{API}/experiments/create", content=b'{"name": "x"}', headers={"content-type": kind}
            )
            assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


class TestThePage:
    """What only MLflow's page asks for."""

    def test_a_prompt_that_was_tried_is_a_run(self, client: Client, context: Context) -> None:
        """With its params, tags, and a table of what went in and came out."""
        sent = {
            "experiment_id": "0",
            "run_name": "tried",
            "prompt_template": "Say {{word}}",
            "prompt_parameters": [{"key": "word", "value": "hi"}],
            "model_route": "chat",
            "model_parameters": [{"key": "temperature", "value": 0.1}],
            "model_input": "Say hi",
            "model_output": "hi",
            "model_output_parameters": [{"key": "latency", "value": 100}],
            "mlflow_version": "3.17.2",
            "start_time": AT_MS,
        }
        answer = client.http.post(f"{AJAX}/runs/create-promptlab-run", json=sent)
        assert answer.status_code == 200, answer.text
        run = answer.json()["run"]
        assert (run["info"]["run_name"], run["info"]["status"], run["info"]["start_time"]) == (
            "tried",
            "FINISHED",
            AT_MS,
        )
        expected = {"temperature": "0.1", "model_route": "chat", "prompt_template": "Say {{word}}"}
        assert pairs(run["data"]["params"]) == expected
        assert pairs(run["data"]["tags"])["mlflow.runSourceType"] == "PROMPT_ENGINEERING"
        query = {"run_id": run["info"]["run_id"], "path": "eval_results_table.json"}
        table = client.http.get("/get-artifact", params=query).json()
        assert table == {
            "columns": ["word", "prompt", "output", "latency"],
            "data": [["hi", "Say hi", "hi", "100"]],
        }

    def test_what_a_tried_prompt_lacks_is_named(self, client: Client) -> None:
        """The first thing that is missing."""
        answer = client.http.post(f"{AJAX}/runs/create-promptlab-run", json={"experiment_id": "0"})
        assert answer.status_code == 400
        assert answer.json()["message"] == "CreatePromptlabRun request must specify prompt_template."

    def test_it_reports_nothing_about_its_users(self, client: Client) -> None:
        """Telemetry is off, and what comes all the same is dropped."""
        path = "/ajax-api/3.0/mlflow/ui-telemetry"
        assert client.http.get(path).json()["disable_ui_telemetry"] is True
        assert client.http.post(path, json={"records": []}).json() == {"status": "disabled"}
